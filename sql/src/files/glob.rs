//! Patterns of file names: `*`, `?`, `[a-z]` and `**` for folders of any depth.

use std::path::Path;

use glob::{MatchOptions, Pattern};
use sightline_storage::error::{Error, Result, SqlState};

use super::Root;
use super::bucket::is_remote;

/// Files of one statement.
const FILES_MAX: usize = 10_000;
/// Names looked at for one statement.
pub(super) const NAMES_MAX: usize = 1_000_000;
/// How deep `**` looks: a link may lead back.
const DEPTH_MAX: usize = 16;

pub(super) const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

impl Root {
    /// The files that these names and patterns stand for, in order of their names for each pattern. It waits for the disk.
    ///
    /// # Errors
    /// 58P01 if a pattern finds none; 54000 for too many; 42501.
    pub(crate) fn list(&self, patterns: &[String]) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for pattern in patterns {
            let is_pattern = pattern.contains(['*', '?', '[']);
            if !is_pattern || !is_remote(pattern) && self.open(pattern).is_ok() {
                all.push(pattern.clone());
                continue;
            }
            let mut found =
                if is_remote(pattern) { self.remote(pattern)?.matching(pattern)? } else { self.matching(pattern)? };
            if found.is_empty() {
                return Err(Error::new(SqlState::new("58P01"), format!("no file matches \"{pattern}\"")));
            }
            found.sort();
            all.append(&mut found);
        }
        if all.len() > FILES_MAX {
            return Err(too_many(FILES_MAX));
        }
        Ok(all)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let plain = self.inside(pattern)?;
        let plain = plain.to_string_lossy();
        let wrong = |e: glob::PatternError| {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid pattern \"{pattern}\": {}", e.msg))
        };
        let whole = Pattern::new(&plain).map_err(wrong)?;
        let parts = plain.split('/').collect::<Vec<_>>();
        let first = parts.iter().position(|p| p.contains(['*', '?', '['])).unwrap_or(0);
        let deepest = if parts.contains(&"**") { DEPTH_MAX } else { parts.len() };
        let mut walk = Walk { whole, seen: 0, found: Vec::new() };
        walk.folder(self, &parts[..first].join("/"), deepest.saturating_sub(first))?;
        Ok(walk.found)
    }
}

struct Walk {
    whole: Pattern,
    seen: usize,
    found: Vec<String>,
}

impl Walk {
    fn folder(&mut self, root: &Root, folder: &str, depth: usize) -> Result<()> {
        for (name, is_folder) in root.names(Path::new(folder))? {
            self.seen += 1;
            if self.seen > NAMES_MAX {
                return Err(too_many(NAMES_MAX));
            }
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if is_folder {
                if depth > 1 && !name.starts_with('.') {
                    self.folder(root, &path, depth - 1)?;
                }
            } else if self.whole.matches_with(&path, OPTIONS) {
                self.found.push(path);
            }
        }
        Ok(())
    }
}

pub(super) fn too_many(most: usize) -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a pattern finds more than {most} files"))
}
