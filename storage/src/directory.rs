//! The data directory: one process at a time, a known format, no files that nothing lists.
//!
//! | name | holds |
//! |---|---|
//! | `LOCK` | is locked by the process that has the directory open; its number, for people |
//! | `FORMAT` | one line: the version of everything below |
//! | `raft/` | the log, RocksDB |
//! | `hot/` | catalog, recent rows, manifests, RocksDB |
//! | `tmp/` | what statements spill; emptied by each start |
//! | `cold/` | parts, Parquet, unless they lie in a bucket |
//! | `PARTS` | where parts lie, and the directory's own name (`objects/place.rs`) |
//! | `cache/` | what was read of parts in a bucket |
//! | `tls/` | the certificate that the server made for itself, if it was given none |

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, SqlState};

/// Room on the disk that rows leave free, beside what is still to be written: definitions and deletes need some.
const RESERVE_BYTES: u64 = 32 << 20;
/// The same on a small disk: one part in so many of it.
const RESERVE_FRACTION: u64 = 16;

const FORMAT_VERSION: u32 = 1;
const FORMAT_NAME: &str = "sightline data directory, format";
/// What a directory without a `FORMAT` may hold: the rest of a first start that was cut short.
const OURS: [&str; 11] =
    ["LOCK", "FORMAT.new", "PARTS", "PARTS.new", "cache", "raft", "hot", "cold", "tls", "tmp", "lost+found"];

/// A data directory that this process has to itself.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// Whether nothing was ever acknowledged in it.
    pub(crate) fresh: bool,
    /// Unlocked when dropped.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// 55006 if another process has it, 55000 if it is not ours or too new.
    pub(crate) fn open(path: &Path) -> Result<Directory> {
        make(path).map_err(|e| named(path, e))?;
        let path = path.canonicalize().map_err(|e| named(path, e))?;
        // Before anything is left in a directory that is somebody else's.
        has_format(&path)?;
        let lock = lock(&path)?;
        let fresh = !has_format(&path)?;
        Ok(Directory { path, fresh, _lock: lock })
    }

    /// Marks the directory as ours for ever: from now on what is missing in it is a damage.
    pub(crate) fn set_format(&self) -> Result<()> {
        let new = self.path.join("FORMAT.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{FORMAT_NAME} {FORMAT_VERSION}")?;
        file.sync_all()?;
        fs::rename(&new, self.path.join("FORMAT"))?;
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    /// The empty folder for what statements spill: what a crash left of it goes.
    pub(crate) fn temporary(&self) -> Result<PathBuf> {
        let folder = self.path.join("tmp");
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(named(&folder, e)),
            _ => {}
        }
        fs::create_dir(&folder).map_err(|e| named(&folder, e))?;
        Ok(folder)
    }
}

/// Makes the directory and those above it that are missing, so that they survive a power cut.
fn make(path: &Path) -> std::io::Result<()> {
    let missing = path.ancestors().filter(|p| !p.as_os_str().is_empty()).take_while(|p| !p.exists());
    let missing = missing.map(Path::to_path_buf).collect::<Vec<_>>();
    fs::create_dir_all(path)?;
    for directory in missing {
        let above = directory.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Bytes that rows may still take of the disk that holds `path`; none if its reserve is touched. Where the system does not
/// tell there is always room.
pub(crate) fn spare_bytes(path: &Path) -> Option<u64> {
    let Ok(disk) = fs4::statvfs(path) else { return Some(u64::MAX) };
    disk.available_space().checked_sub(RESERVE_BYTES.min(disk.total_space() / RESERVE_FRACTION))
}

/// The error of a write that the disk has no room for, made before anything is written.
pub(crate) fn disk_full() -> Error {
    Error::new(SqlState::DISK_FULL, "could not write rows: no space left on device")
        .hint("Free some space; reads, TRUNCATE and DROP still work.")
        .refusal()
}

/// The error of a statement that has no memory left, and no room on the disk for its temporary files.
pub(crate) fn no_room_to_spill() -> Error {
    Error::new(SqlState::DISK_FULL, "could not write temporary file: no space left on device")
        .hint("Free some space, make the statement smaller, or give it more memory.")
}

fn named(path: &Path, e: std::io::Error) -> Error {
    let inner = Error::from(e);
    Error::new(inner.code(), format!("could not open data directory \"{}\": {}", path.display(), inner.message()))
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let message = format!("data directory \"{}\" is in use by another process", dir.display());
            let e = Error::new(SqlState::OBJECT_IN_USE, message).hint("Stop that server, or use another directory.");
            return Err(if owner.trim().is_empty() {
                e
            } else {
                e.detail(format!("Its process id is {}.", owner.trim()))
            });
        }
        Err(TryLockError::Error(e)) => return Err(named(dir, e)),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

fn has_format(dir: &Path) -> Result<bool> {
    let refuse = |message: String| Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
    let text = match fs::read_to_string(dir.join("FORMAT")) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            for item in fs::read_dir(dir)? {
                let name = item?.file_name();
                if !OURS.iter().any(|ours| name == *ours) {
                    let message = format!("directory \"{}\" is not empty and holds no Sightline data", dir.display());
                    return Err(refuse(message).hint("Name an empty or a new directory."));
                }
            }
            return Ok(false);
        }
        Err(e) => return Err(named(dir, e)),
    };
    let version = text.trim().strip_prefix(FORMAT_NAME).and_then(|v| v.trim().parse::<u32>().ok());
    match version {
        Some(v) if v <= FORMAT_VERSION => Ok(true),
        Some(v) => Err(refuse(format!(
            "data directory \"{}\" has format {v}, which is newer than this server's format {FORMAT_VERSION}",
            dir.display()
        ))
        .hint("Use the newer server.")),
        None => Err(Error::new(SqlState::DATA_CORRUPTED, format!("file FORMAT in \"{}\" is damaged", dir.display()))),
    }
}

/// Deletes files below `cold/` that are not in `listed` (paths from `root`): what a crash left of flushes, loads and
/// deletions. Empty directories go, too. Only before anybody writes. Returns how many files there were.
pub(crate) fn sweep(root: &Path, listed: &HashSet<String>) -> Result<usize> {
    let (mut swept, mut seen) = (0, Vec::new());
    let mut directories = vec![root.join("cold")];
    while let Some(directory) = directories.pop() {
        let items = match fs::read_dir(&directory) {
            Ok(items) => items,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
        };
        for item in items {
            let item = item?;
            if item.file_type()?.is_dir() {
                directories.push(item.path());
                continue;
            }
            let path = item.path();
            let name = path.strip_prefix(root).ok().and_then(|p| p.to_str()).unwrap_or_default();
            if !listed.contains(name) {
                fs::remove_file(&path)?;
                swept += 1;
            }
        }
        seen.push(directory);
    }
    // Those below before those above; the ones that hold something stay.
    seen.iter().skip(1).rev().for_each(|directory| drop(fs::remove_dir(directory)));
    Ok(swept)
}
