//! Where the parts of a data directory lie, said on both sides: a file `PARTS` in the directory names the bucket, an object
//! `SIGHTLINE` in the bucket names the directory. So a start with other settings is refused instead of missing its parts,
//! and no two directories can take each other's parts for orphans.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use futures::StreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::Bucket;
use super::fault::{Fault, Kind};
use super::stale::abort_uploads;
use crate::error::{Error, Result, SqlState};

/// The object that names the directory.
const MARKER: &str = "SIGHTLINE";
/// The file that names the bucket.
const FILE: &str = "PARTS";
/// What both begin with.
const TITLE: &str = "sightline parts of data directory";
/// The folder of all parts.
const FOLDER: &str = "cold";
/// Where parts lie that are in no bucket.
const LOCAL: &str = "the data directory";

/// What the file of a directory says.
struct Remembered {
    /// The directory's own name, for ever.
    id: String,
    place: String,
}

impl Remembered {
    fn read(directory: &Path) -> Result<Option<Remembered>> {
        let text = match fs::read_to_string(directory.join(FILE)) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let parsed = text.strip_prefix(TITLE).and_then(|rest| rest.trim().split_once('\n'));
        let (id, place) = parsed.ok_or_else(|| {
            let message = format!("file {FILE} in \"{}\" is damaged", directory.display());
            Error::new(SqlState::DATA_CORRUPTED, message)
        })?;
        Ok(Some(Remembered { id: id.trim().to_string(), place: place.trim().to_string() }))
    }

    fn write(&self, directory: &Path) -> Result<()> {
        let new = directory.join(format!("{FILE}.new"));
        let mut file = File::create(&new)?;
        writeln!(file, "{TITLE} {}\n{}", self.id, self.place)?;
        file.sync_all()?;
        fs::rename(&new, directory.join(FILE))?;
        File::open(directory)?.sync_all()?;
        Ok(())
    }
}

/// Checks that the directory's parts lie in this bucket, or in none, and remembers it. A directory that lists no parts may
/// go elsewhere.
///
/// # Errors
/// 55000 if they lie elsewhere, or if the bucket is somebody else's; those of the bucket, in words for whoever starts a
/// server.
pub(crate) async fn settle(directory: &Path, bucket: Option<&Bucket>, has_parts: bool) -> Result<()> {
    let place = bucket.map_or(LOCAL.to_string(), |b| b.url.to_string());
    let known = Remembered::read(directory)?;
    let was = known.as_ref().map_or(LOCAL, |k| k.place.as_str());
    if was != place && has_parts {
        let message = format!("the parts of \"{}\" lie in {was}, not in {place}", directory.display());
        let url = if was == LOCAL { "" } else { was };
        return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint(format!("Set parts_url to \"{url}\", or name another data directory.")));
    }
    let moved = was != place;
    let now = Remembered { id: known.map_or_else(|| uuid::Uuid::new_v4().to_string(), |k| k.id), place };
    if let Some(bucket) = bucket {
        claim(bucket, &now.id, has_parts).await?;
    }
    if moved || !directory.join(FILE).exists() {
        now.write(directory)?;
    }
    Ok(())
}

/// Sees to it that the bucket holds this directory's marker.
async fn claim(bucket: &Bucket, id: &str, has_parts: bool) -> Result<()> {
    let url = &bucket.url;
    let marker = ObjectPath::from(MARKER);
    let ours = format!("{TITLE} {id}\n");
    // First of all, since a store may say of an object in a bucket that is not there only that the object is not there.
    let parts = ObjectPath::from(FOLDER);
    let any = bucket.objects.list(Some(&parts)).next().await.transpose().map_err(|e| unusable(bucket, &e))?.is_some();
    for _ in 0..2 {
        match bucket.objects.get(&marker).await {
            Ok(found) => {
                let text = found.bytes().await.map_err(|e| unusable(bucket, &e))?;
                return if text == ours.as_bytes() { Ok(()) } else { Err(foreign(bucket)) };
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(unusable(bucket, &e)),
        }
        let refuse = |message: String| Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        if has_parts {
            return refuse(format!(
                "{url} does not hold the parts of this data directory: there is no object {MARKER}"
            ));
        }
        if any {
            return refuse(format!("{url} holds parts, and no object {MARKER} tells whose they are"));
        }
        let options = PutOptions::from(PutMode::Create);
        match bucket.objects.put_opts(&marker, ours.clone().into(), options).await {
            // Somebody was faster.
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(unusable(bucket, &e)),
        }
    }
    Err(foreign(bucket))
}

fn foreign(bucket: &Bucket) -> Error {
    let message = format!("{} holds the parts of another data directory", bucket.url);
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Give each data directory a prefix of its own in parts_url.")
}

/// Why a start cannot use the bucket.
fn unusable(bucket: &Bucket, e: &object_store::Error) -> Error {
    let at = bucket.options.endpoint.clone().unwrap_or_else(|| format!("Amazon S3, region {}", bucket.options.region));
    let Some(fault) = Fault::of(e) else {
        return Error::new(SqlState::IO_ERROR, format!("cannot use {} at {at}: {e}", bucket.url));
    };
    let hint = match fault.kind {
        Kind::NoBucket | Kind::Missing => "Make the bucket, or mend parts_url.",
        Kind::Denied => "Check s3_access_key, s3_secret_key and what the key may do.",
        Kind::Away => "Check s3_endpoint and that the server answers.",
        Kind::Other => "Check s3_endpoint, s3_region and s3_path_style.",
    };
    Error::new(SqlState::IO_ERROR, format!("cannot use {} at {at}: {}", bucket.url, fault.reason)).hint(hint)
}

/// Deletes the objects that are not `listed`, and ends uploads: what a crash left of flushes, loads and deletions. Only
/// before anybody writes, and after [`settle`]. Returns how many objects there were.
///
/// # Errors
/// Those of the bucket.
pub(crate) async fn sweep(bucket: &Bucket, listed: &HashSet<String>) -> Result<usize> {
    match abort_uploads(bucket, FOLDER).await {
        Ok(0) => {}
        Ok(uploads) => tracing::info!(uploads, "gave up uploads that a crash cut off"),
        Err(e) => tracing::warn!(error = %e, "uploads that a crash cut off may be left in the bucket"),
    }
    let mut found = bucket.objects.list(Some(&ObjectPath::from(FOLDER)));
    let mut orphans = Vec::new();
    while let Some(object) = found.next().await {
        let location = object?.location;
        if !listed.contains(location.as_ref()) {
            orphans.push(location);
        }
    }
    let count = orphans.len();
    let orphans = futures::stream::iter(orphans.into_iter().map(Ok)).boxed();
    let mut deleted = bucket.objects.delete_stream(orphans);
    while let Some(result) = deleted.next().await {
        match result {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(count)
}
