//! The folder that statements may name files of.
//!
//! A path is taken from the folder; one that begins with the folder's own path is the same. `..` is refused, and so is any
//! way out: the kernel resolves the path *beneath* the open folder (`openat2`, `RESOLVE_BENEATH`), so that a symbolic link
//! that is put there between a check and the opening leads nowhere either. Links that stay inside are followed; where the
//! kernel would not do it, for an absolute one or without `openat2`, the path that they lead to is opened in the same way.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sightline_storage::error::{Error, Result, SqlState};

use super::Opened;
use super::bucket::{ObjectTarget, Remote, is_remote};
use crate::plan::QueryContext;

/// Only regular files are read: a pipe would not wait for its other end, since it is opened without blocking.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// A folder, to open something in it.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A new file that nobody else has put there.
const CREATE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a statement's files lie: the folder of the node, and buckets.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    folder: Option<PathBuf>,
    remote: Option<Remote>,
}

impl Root {
    /// The folder of the settings, and no buckets.
    pub(crate) fn new(file_root: Option<&Path>) -> Root {
        Root { folder: file_root.map(Path::to_path_buf), remote: None }
    }

    /// What a statement may name.
    pub(crate) fn of(ctx: &QueryContext) -> Root {
        let options = &ctx.database.options;
        let remote = Remote::new(options.s3_files.clone(), ctx.limits.clone());
        Root { remote, ..Root::new(options.file_root.as_deref()) }
    }

    fn root(&self) -> Result<&Path> {
        self.folder.as_deref().ok_or_else(|| {
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "files of the server cannot be used: file_root is not set")
                .hint("Set file_root in the node's settings, or SIGHTLINE_FILE_ROOT, to the folder that files are read from and written to.")
        })
    }

    pub(super) fn remote(&self, name: &str) -> Result<&Remote> {
        self.remote.as_ref().ok_or_else(|| Error::unsupported(format!("\"{name}\" cannot be named here")))
    }

    /// Opens a file to read it. It waits for the disk, or for the store of the bucket.
    ///
    /// # Errors
    /// 42501 for a path that leads outside, 58P01 if there is no such file, 42809 for what is no file, and those of the system
    /// in PostgreSQL's words.
    pub(crate) fn open(&self, name: &str) -> Result<Opened> {
        if is_remote(name) {
            return self.remote(name)?.open(name).map(Opened::Remote);
        }
        self.open_local(name).map(Opened::Local)
    }

    fn open_local(&self, name: &str) -> Result<File> {
        let fault = |e: Errno| cannot_open(name, "reading", e);
        let path = self.inside(name)?;
        let folder = self.folder()?;
        let file = File::from(self.beneath(folder.as_fd(), &path, READ).map_err(fault)?);
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is a directory")));
        }
        if !kind.is_file() {
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a regular file")));
        }
        Ok(file)
    }

    /// Opens what lies beneath the folder, also by a link that only seems to lead out.
    fn beneath(&self, folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match beneath(folder, path, flags) {
            Err(Errno::XDEV) => match self.led_to(path) {
                Some(path) => beneath(folder, &path, flags),
                None => Err(Errno::XDEV),
            },
            opened => opened,
        }
    }

    /// Where the links on a path lead to, if that is inside. Whoever opens it has to look for links again.
    fn led_to(&self, path: &Path) -> Option<PathBuf> {
        let root = self.root().ok()?.canonicalize().ok()?;
        let target = root.join(path).canonicalize().ok()?;
        target.strip_prefix(&root).ok().filter(|path| !path.as_os_str().is_empty()).map(Path::to_path_buf)
    }

    /// Begins to write a file, which takes its name only when all is written ([`Target::finish`]). It waits for the disk.
    ///
    /// # Errors
    /// As [`open`](Root::open).
    pub(crate) fn create(&self, name: &str) -> Result<Target> {
        if is_remote(name) {
            return self.remote(name)?.create(name).map(Target::Remote);
        }
        let fault = |e: Errno| cannot_open(name, "writing", e);
        let path = self.inside(name)?;
        let none = if name.is_empty() { Errno::NOENT } else { Errno::ISDIR };
        let Some(last) = path.file_name() else { return Err(fault(none)) };
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = self.folder()?;
        let folder = if parent.as_os_str().is_empty() {
            folder
        } else {
            self.beneath(folder.as_fd(), parent, FOLDER).map_err(fault)?
        };
        if let Ok(there) = rustix::fs::statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW) {
            let wrong = |what: &str| Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is {what}"));
            match rustix::fs::FileType::from_raw_mode(there.st_mode) {
                rustix::fs::FileType::RegularFile => {}
                rustix::fs::FileType::Directory => return Err(fault(Errno::ISDIR)),
                rustix::fs::FileType::Symlink => {
                    return Err(wrong("a symbolic link").hint(
                        "What is written takes its name when it is whole: name the file that the link leads to.",
                    ));
                }
                _ => return Err(wrong("not a regular file")),
            }
        }
        let begun = OsString::from(format!(".sightline-{}", uuid::Uuid::new_v4()));
        // Readable by all as PostgreSQL's are, whatever the process's mask leaves of it.
        let file = rustix::fs::openat(&folder, &begun, CREATE, Mode::from_raw_mode(0o644)).map_err(fault)?;
        Ok(Target::Local(LocalTarget {
            file: File::from(file),
            folder,
            begun: Some(begun),
            last: last.to_os_string(),
            name: name.to_string(),
        }))
    }

    /// The names in a folder, and whether each is a folder; none for one that is not there or leads outside, and links that
    /// do are no files. It waits for the disk.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<(String, bool)>> {
        let root = self.folder()?;
        let opened = if folder.as_os_str().is_empty() { Ok(root) } else { self.beneath(root.as_fd(), folder, FOLDER) };
        let Ok(opened) = opened else { return Ok(Vec::new()) };
        let fault = |e: Errno| {
            let text = format!("could not read directory \"{}\": {}", folder.display(), reason(e));
            Error::new(code(e), text)
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&opened).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                rustix::fs::FileType::Symlink | rustix::fs::FileType::Unknown => {
                    let path = folder.join(name);
                    let Ok(file) = self.beneath(self.folder()?.as_fd(), &path, READ) else { continue };
                    rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(fault)?.st_mode)
                }
                kind => kind,
            };
            if kind.is_dir() || kind.is_file() {
                names.push((name.to_string(), kind.is_dir()));
            }
        }
        Ok(names)
    }

    fn folder(&self) -> Result<OwnedFd> {
        let root = self.root()?;
        rustix::fs::open(root, FOLDER, Mode::empty()).map_err(|e| {
            let text = format!("could not open the folder of file_root \"{}\": {}", root.display(), reason(e));
            Error::new(code(e), text)
        })
    }

    /// The path within the folder, in its plain parts.
    pub(super) fn inside(&self, name: &str) -> Result<PathBuf> {
        let outside = || {
            Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("path \"{name}\" is outside of file_root"))
                .hint("Name a file by its path from the folder that file_root is set to, without \"..\".")
        };
        let root = self.root()?;
        let path = Path::new(name);
        let path = if path.is_absolute() {
            let below = |root: &Path| path.strip_prefix(root).ok().map(Path::to_path_buf);
            let found = below(root).or_else(|| below(&root.canonicalize().ok()?));
            found.ok_or_else(outside)?
        } else {
            path.to_path_buf()
        };
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(part) => plain.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        if plain.as_os_str().is_empty() && !name.is_empty() {
            plain.push(".");
        }
        Ok(plain)
    }
}

/// Opens what lies beneath the folder.
#[cfg(target_os = "linux")]
fn beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let path = named(path)?;
    match rustix::fs::openat2(folder, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => by_parts(folder, path, flags),
        opened => opened,
    }
}

/// Opens what lies beneath the folder.
#[cfg(not(target_os = "linux"))]
fn beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    by_parts(folder, named(path)?, flags)
}

/// The empty path names nothing, as for the system.
fn named(path: &Path) -> rustix::io::Result<&Path> {
    if path.as_os_str().is_empty() { Err(Errno::NOENT) } else { Ok(path) }
}

/// Opens each part by itself, following no link.
fn by_parts(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut folder = folder.try_clone_to_owned().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let flags = if last { flags } else { FOLDER } | OFlags::NOFOLLOW;
        // Where a link leads is not known here. (One that is opened as a folder is none: ENOTDIR.)
        folder = rustix::fs::openat(&folder, part.as_os_str(), flags, Mode::empty()).map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR if is_link(&folder, part.as_os_str()) => Errno::XDEV,
            other => other,
        })?;
    }
    Ok(folder)
}

fn is_link(folder: &OwnedFd, part: &std::ffi::OsStr) -> bool {
    let stat = rustix::fs::statat(folder, part, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|s| rustix::fs::FileType::from_raw_mode(s.st_mode).is_symlink())
}

/// What is being written. Dropping it before [`finish`](Target::finish) leaves nothing.
#[derive(Debug)]
pub(crate) enum Target {
    Local(LocalTarget),
    Remote(ObjectTarget),
}

impl Target {
    /// Appends bytes. It waits for the disk, or for the store of the bucket.
    ///
    /// # Errors
    /// 53100 without room, 58030 and others of the system.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Target::Local(target) => target.write(bytes),
            Target::Remote(target) => target.write(bytes),
        }
    }

    /// Gives the file its name, in place of what was there.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Target::Local(target) => target.finish(),
            Target::Remote(target) => target.finish(),
        }
    }
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct LocalTarget {
    file: File,
    folder: OwnedFd,
    /// What it is called until it is finished.
    begun: Option<OsString>,
    last: OsString,
    name: String,
}

impl LocalTarget {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        io::Write::write_all(&mut self.file, bytes).map_err(|e| {
            let e = Errno::from_io_error(&e).unwrap_or(Errno::IO);
            Error::new(code(e), format!("could not write to COPY file: {}", reason(e)))
        })
    }

    fn finish(mut self) -> Result<()> {
        let Some(begun) = &self.begun else { return Ok(()) };
        let named = rustix::fs::renameat(&self.folder, begun, &self.folder, &self.last);
        named.map_err(|e| cannot_open(&self.name, "writing", e))?;
        self.begun = None;
        Ok(())
    }
}

impl Drop for LocalTarget {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take()
            && let Err(e) = rustix::fs::unlinkat(&self.folder, &begun, AtFlags::empty())
        {
            tracing::warn!(file = ?begun, error = %e, "a file that was not finished could not be removed");
        }
    }
}

/// PostgreSQL's error about a file that cannot be opened.
fn cannot_open(name: &str, purpose: &str, e: Errno) -> Error {
    if e == Errno::XDEV {
        return Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("path \"{name}\" is outside of file_root"))
            .detail("A symbolic link on the way leads out of the folder that file_root is set to.");
    }
    let error = Error::new(code(e), format!("could not open file \"{name}\" for {purpose}: {}", reason(e)));
    match (e, purpose) {
        (Errno::NOENT | Errno::ACCESS, "reading") => error.hint(
            "COPY FROM instructs the PostgreSQL server process to read a file. You may want a client-side facility such \
             as psql's \\copy.",
        ),
        (Errno::NOENT | Errno::ACCESS, _) => error.hint(
            "COPY TO instructs the PostgreSQL server process to write a file. You may want a client-side facility such \
             as psql's \\copy.",
        ),
        _ => error,
    }
}

/// The SQLSTATE that PostgreSQL gives a fault of the file system.
fn code(e: Errno) -> SqlState {
    match e {
        Errno::PERM | Errno::ACCESS | Errno::ROFS => SqlState::INSUFFICIENT_PRIVILEGE,
        Errno::NOENT => SqlState::new("58P01"),
        Errno::EXIST => SqlState::new("58P02"),
        Errno::NOTDIR | Errno::ISDIR | Errno::NOTEMPTY => SqlState::WRONG_OBJECT_TYPE,
        Errno::NOSPC => SqlState::DISK_FULL,
        Errno::NOMEM => SqlState::OUT_OF_MEMORY,
        Errno::NFILE | Errno::MFILE => SqlState::INSUFFICIENT_RESOURCES,
        Errno::IO | Errno::LOOP => SqlState::IO_ERROR,
        Errno::NAMETOOLONG => SqlState::new("42622"),
        _ => SqlState::INTERNAL_ERROR,
    }
}

/// What the system says of a fault, without its number.
fn reason(e: Errno) -> String {
    let text = io::Error::from(e).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Root) {
        let around = tempfile::tempdir().unwrap();
        let inner = around.path().join("root");
        std::fs::create_dir_all(inner.join("a/b")).unwrap();
        std::fs::write(around.path().join("secret"), "s").unwrap();
        std::fs::write(inner.join("a/b/x"), "x").unwrap();
        symlink("../../secret", inner.join("a/out")).unwrap();
        symlink(around.path().join("secret"), inner.join("absolute")).unwrap();
        symlink("..", inner.join("up")).unwrap();
        symlink("a/b/x", inner.join("in")).unwrap();
        symlink(inner.join("a/b/x"), inner.join("around")).unwrap();
        symlink("circle", inner.join("circle")).unwrap();
        let root = Root::new(Some(&inner));
        (around, root)
    }

    fn refused<T>(result: Result<T>) -> String {
        result.err().map(|e| e.code().to_string()).unwrap_or_default()
    }

    #[test]
    fn nothing_outside_is_opened() {
        let (around, root) = folder();
        let secret = around.path().join("secret").display().to_string();
        for path in
            ["../secret", "a/../../secret", "a/../a/b/x", "a/out", "absolute", "up/secret", "/etc/passwd", &secret]
        {
            assert_eq!(refused(root.open(path)), "42501", "{path}");
        }
        for path in ["up/new", "../new", "/tmp/new"] {
            assert_eq!(refused(root.create(path)), "42501", "{path}");
        }
        assert_eq!((refused(root.open("a")), refused(root.open("."))), ("42809".into(), "42809".into()));
        assert_eq!(refused(root.open("none")), "58P01");
        assert_eq!(refused(root.open("")), "58P01");
        assert_eq!(refused(root.open("circle")), "58030");
        assert_eq!((refused(root.create("a")), refused(root.create("in"))), ("42809".into(), "42809".into()));
        assert_eq!((refused(root.create("")), refused(root.create("."))), ("58P01".into(), "42809".into()));
        assert_eq!(refused(Root::new(None).open("a")), "55000");
        let inside = around.path().join("root/a/b/x").display().to_string();
        for path in ["a/b/x", "./a//b/./x", "in", "around", &inside] {
            assert!(root.open(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn without_openat2_no_link_is_followed_unseen() {
        let (_around, root) = folder();
        let folder = root.folder().unwrap();
        let open = |path: &str| by_parts(folder.as_fd(), Path::new(path), READ).err();
        assert_eq!(open("a/b/x"), None);
        for path in ["a/out", "absolute", "up/secret", "in"] {
            assert_eq!(open(path), Some(Errno::XDEV), "{path}");
        }
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let (around, root) = folder();
        let path = around.path().join("root/a/new");
        let mut target = root.create("a/new").unwrap();
        target.write(b"half").unwrap();
        assert!(!path.exists());
        drop(target);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "nothing is left");
        let mut target = root.create("a/new").unwrap();
        target.write(b"whole").unwrap();
        target.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        // A link is neither followed nor replaced.
        assert_eq!(refused(root.create("a/out")), "42809");
        assert_eq!(std::fs::read(around.path().join("root/a/out")).unwrap(), b"s");
    }
}
