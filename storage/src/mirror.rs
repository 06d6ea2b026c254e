//! A second store for tests: it applies every entry as it is read back from its bytes, and is closed and opened at random,
//! at times with nothing left but the log. If apply is deterministic and everything is persisted, it always holds the same
//! as the first one. Parts are shared; the mirror never reads or deletes them.

use std::path::{Path, PathBuf};

use crate::budget::Sizes;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::format::entry::{decode_entry, encode_entry};
use crate::hash::state_hash;
use crate::store::Store;

/// One entry in so many is followed by a reopening.
const REOPEN_ONE_IN: u64 = 16;
/// One reopening in so many replays the whole log.
const REPLAY_ONE_IN: u64 = 4;

/// It is for tests: small.
fn sizes() -> Sizes {
    Sizes::new(256 << 20)
}

/// The second store.
#[derive(Debug)]
pub(crate) struct Mirror {
    dir: PathBuf,
    /// None after an error.
    store: Option<Store>,
    error: Option<Error>,
    random: u64,
    seed: u64,
}

impl Mirror {
    /// Opens or makes the store in `dir`.
    pub(crate) fn open(dir: &Path, seed: u64) -> Result<Mirror> {
        std::fs::create_dir_all(dir)?;
        let store = Store::open(dir, true, false, None, sizes())?;
        Ok(Mirror { dir: dir.to_path_buf(), store: Some(store), error: None, random: seed, seed })
    }

    /// Applies the entry as well. Errors wait for [`check`](Mirror::check).
    pub(crate) fn follow(&mut self, entry: &Entry) {
        if self.error.is_none()
            && let Err(e) = self.try_follow(entry)
        {
            self.error = Some(e);
        }
    }

    /// Compares it with the first store.
    ///
    /// # Errors
    /// XX000 if they differ, or what went wrong earlier.
    pub(crate) fn check(&self, first: &Store) -> Result<()> {
        if let Some(e) = &self.error {
            return Err(e.again());
        }
        let Some(store) = &self.store else { return Err(Error::internal("the mirror is closed")) };
        if state_hash(&first.groups)? == state_hash(&store.groups)? {
            return Ok(());
        }
        let differ = |(a, b): (&_, &_)| -> Result<Option<u32>> {
            let (a, b): (&crate::apply::GroupState, &crate::apply::GroupState) = (a, b);
            let equal = state_hash(std::slice::from_ref(a))? == state_hash(std::slice::from_ref(b))?;
            Ok((!equal).then_some(a.group.0))
        };
        let groups = first.groups.iter().zip(&store.groups).map(differ).collect::<Result<Vec<_>>>()?;
        let groups = groups.into_iter().flatten().collect::<Vec<_>>();
        Err(Error::internal(format!("the mirror differs in groups {groups:?} (seed {})", self.seed)))
    }

    fn try_follow(&mut self, entry: &Entry) -> Result<()> {
        let read = decode_entry(entry.group, entry.index, &encode_entry(entry)?)?;
        let Some(store) = &mut self.store else { return Err(Error::internal("the mirror is closed")) };
        store.append(std::slice::from_ref(&read))?;
        store.apply(&read)?;
        if self.next().is_multiple_of(REOPEN_ONE_IN) {
            self.store = None;
            if self.next().is_multiple_of(REPLAY_ONE_IN) {
                std::fs::remove_dir_all(self.dir.join("hot"))?;
            }
            self.store = Some(Store::open(&self.dir, true, false, None, sizes())?);
        }
        Ok(())
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
