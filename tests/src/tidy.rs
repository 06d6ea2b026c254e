//! The house rules that a machine can check, read from the files themselves: crate arrows, module docs, orphan files,
//! links, licences, bans in `Cargo.lock`, leftovers. It needs no crate, so `./dev` compiles it alone, in two seconds.
//!
//! A check is a function from text to complaints, so that each is also shown, below, to fail on a bad sample.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates each may name. Arrows never turn back (ARCHITECTURE.md).
const ARROWS: &[(&str, &[&str])] = &[
    ("bench", &[]),
    ("numeric", &[]),
    ("functions", &["sightline-numeric"]),
    ("storage", &["sightline-numeric"]),
    ("sql", &["sightline-functions", "sightline-numeric", "sightline-storage"]),
    ("server", &["sightline-sql", "sightline-storage"]),
    ("tests", &["sightline-functions", "sightline-server", "sightline-sql", "sightline-storage"]),
];

/// Crates of others that one of ours must not name: the reason it is a crate of its own.
const FOREIGN: &[(&str, &str)] = &[
    ("functions", "datafusion"), // it is ready long after datafusion-expr, and functions need no more
    ("numeric", "arrow"),        // it is arithmetic, and ready before all else
    ("storage", "datafusion"),
    ("storage", "datafusion-common"),
    ("storage", "datafusion-expr"),
    ("storage", "sqlparser"),
    ("sql", "axum"),
    ("sql", "pgwire"),
];

/// Crates of which two versions would not understand each other's types.
const ONLY_ONE: &[&str] = &["arrow", "datafusion", "object_store", "parquet", "sqlparser"];

/// Crates we do without: rustls with ring is the one TLS.
const BANNED: &[&str] = &["aws-lc-sys", "native-tls", "openssl-sys"];

/// Above it a file holds more than one thought.
const FILE_LINES_MAX: usize = 900;

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "__pycache__", "node_modules", "sightline-data", "target"];

/// The repository's text files by their path from its root.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the repository");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("a folder of the repository can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root).expect("we walk below the root");
                found.insert(relative.to_str().expect("names are UTF-8").to_owned(), text);
            }
        }
    }
    found
}

fn with_extension<'a>(files: &'a BTreeMap<String, String>, extension: &str) -> Vec<(&'a str, &'a str)> {
    let suffix = format!(".{extension}");
    files
        .iter()
        .filter(|(path, _)| path.ends_with(&suffix))
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect()
}

/// The members of the workspace with their manifests.
fn members(files: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let of = |(folder, _): &(&'static str, _)| Some((*folder, files.get(&format!("{folder}/Cargo.toml"))?.as_str()));
    ARROWS.iter().filter_map(of).collect()
}

fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

// --- Manifests --------------------------------------------------------------------------------------------------------

/// The lines of a manifest that name dependencies: (section, crate, rest of the line).
fn dependencies(manifest: &str) -> Vec<(String, String, String)> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            // [dependencies.name] opens a section for one crate.
            if let Some((kind, name)) = section.split_once("dependencies.") {
                found.push((format!("{kind}dependencies"), name.to_owned(), String::new()));
            }
        } else if section.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            found.push((section.clone(), line[..end].to_owned(), line[end..].trim().to_owned()));
        }
    }
    found
}

fn check_arrows(folder: &str, manifest: &str) -> Vec<String> {
    let allowed = ARROWS.iter().find(|(name, _)| *name == folder).map_or(&[][..], |(_, allowed)| allowed);
    let bad = |name: &str| {
        let turned_back = name.starts_with("sightline-") && !allowed.contains(&name);
        turned_back || FOREIGN.contains(&(folder, name))
    };
    let named = dependencies(manifest).into_iter().map(|(_, name, _)| name).filter(|name| bad(name));
    named.map(|name| format!("{folder}/Cargo.toml: {folder} must not depend on {name}")).collect()
}

/// Versions and features stand in the root manifest, lints and licence come from there.
fn check_manifest(folder: &str, manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (_, name, rest) in dependencies(manifest) {
        if !rest.contains("workspace = true") || rest.contains("version") || rest.contains("features") {
            complaints.push(format!("{folder}/Cargo.toml: {name} must be `{name}.workspace = true`"));
        }
    }
    for wanted in ["license.workspace = true", "autotests = false", "[lints]\nworkspace = true"] {
        if !manifest.contains(wanted) {
            complaints.push(format!("{folder}/Cargo.toml: `{}` is missing", wanted.replace('\n', " ")));
        }
    }
    complaints
}

#[test]
fn arrows_never_turn_back() {
    let files = files();
    assert_none(members(&files).into_iter().flat_map(|(folder, text)| check_arrows(folder, text)).collect());
}

#[test]
fn arrows_can_fail() {
    assert_eq!(check_arrows("storage", "[dependencies]\ndatafusion.workspace = true").len(), 1);
    assert_eq!(check_arrows("storage", "[dev-dependencies]\nsightline-sql = { workspace = true }").len(), 1);
    assert_eq!(check_arrows("functions", "[dependencies.sightline-storage]\nworkspace = true").len(), 1);
    assert_eq!(check_arrows("sql", "[dependencies]\nsightline-server.workspace = true").len(), 1);
    assert_none(check_arrows("functions", "[dependencies]\ndatafusion-expr.workspace = true\n# datafusion\n"));
}

#[test]
fn manifests_inherit_from_the_workspace() {
    let files = files();
    assert_none(members(&files).into_iter().flat_map(|(folder, text)| check_manifest(folder, text)).collect());
    let root = &files["Cargo.toml"];
    assert!(root.contains("license = \"Apache-2.0\""), "the workspace says its licence");
    assert!(files["LICENSE"].contains("Apache License"), "LICENSE holds that licence");
    for (path, _) in with_extension(&files, "toml").iter().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let folder = path.trim_end_matches("/Cargo.toml");
        let listed = root.contains(&format!("\"{folder}\"")) && ARROWS.iter().any(|(name, _)| *name == folder);
        assert!(listed || folder == "storage/rocksdb", "{path} is no member of the workspace, or unknown to tidy");
    }
}

#[test]
fn manifests_can_fail() {
    let good = "license.workspace = true\nautotests = false\n[lints]\nworkspace = true\n[dependencies]\n";
    assert_none(check_manifest("sql", &format!("{good}arrow.workspace = true")));
    assert_eq!(check_manifest("sql", &format!("{good}arrow = \"59\"")).len(), 1);
    assert_eq!(check_manifest("sql", &format!("{good}arrow = {{ workspace = true, features = [\"csv\"] }}")).len(), 1);
    assert_eq!(check_manifest("sql", "[dependencies]").len(), 3);
}

// --- Cargo.lock -------------------------------------------------------------------------------------------------------

/// The packages of a lock file and their versions.
fn locked(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let value = |line: &'static str, text: &str| text.starts_with(line);
    let lines: Vec<_> = lock.lines().collect();
    for pair in lines.windows(2).filter(|pair| value("name = ", pair[0]) && value("version = ", pair[1])) {
        let unquote = |line: &'static str, text| str::strip_prefix(text, line).expect("filtered").trim_matches('"');
        found.entry(unquote("name = ", pair[0])).or_default().push(unquote("version = ", pair[1]));
    }
    found
}

fn check_lock(lock: &str) -> Vec<String> {
    let packages = locked(lock);
    let twice = ONLY_ONE.iter().filter(|name| packages.get(**name).is_some_and(|versions| versions.len() > 1));
    let banned = BANNED.iter().filter(|name| packages.contains_key(**name));
    twice
        .map(|name| format!("Cargo.lock: {name} is there in versions {}", packages[*name].join(", ")))
        .chain(banned.map(|name| format!("Cargo.lock: {name} is banned")))
        .collect()
}

/// `./dev` links what storage/rocksdb builds: another version or other features would fail at run time at best.
fn check_rocksdb(root: &str, lock: &str, archive: &str, archive_lock: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let version = |lock| locked(lock).get("librocksdb-sys").map(|versions| versions.join(", "));
    if version(lock) != version(archive_lock) {
        let (ours, built) = (version(lock), version(archive_lock));
        complaints.push(format!("storage/rocksdb/Cargo.lock: librocksdb-sys is {built:?}, in Cargo.lock {ours:?}"));
    }
    let features = |manifest: &str, name: &str| {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")))?.to_owned();
        let list = line.split_once("features = [")?.1.split_once(']')?.0.to_owned();
        Some(list.split(',').map(|feature| feature.trim().to_owned()).collect::<BTreeSet<_>>())
    };
    let (ours, built) = (features(root, "rocksdb"), features(archive, "librocksdb-sys"));
    if ours.is_none() || ours != built {
        complaints.push(format!("storage/rocksdb/Cargo.toml: features are {built:?}, those of rocksdb {ours:?}"));
    }
    complaints
}

#[test]
fn lock_has_no_duplicates_and_no_banned() {
    let files = files();
    assert!(locked(&files["Cargo.lock"]).contains_key("datafusion"), "the lock file is understood");
    assert_none(check_lock(&files["Cargo.lock"]));
}

#[test]
fn rocksdb_archive_is_the_one_we_link() {
    let files = files();
    let [root, lock, archive, archive_lock] =
        ["Cargo.toml", "Cargo.lock", "storage/rocksdb/Cargo.toml", "storage/rocksdb/Cargo.lock"].map(|f| &files[f]);
    assert_none(check_rocksdb(root, lock, archive, archive_lock));
}

#[test]
fn lock_can_fail() {
    let lock = "name = \"arrow\"\nversion = \"58.0.0\"\n\nname = \"arrow\"\nversion = \"59.3.0\"\n\n\
                name = \"openssl-sys\"\nversion = \"0.9.0\"\n";
    assert_eq!(
        check_lock(lock),
        ["Cargo.lock: arrow is there in versions 58.0.0, 59.3.0", "Cargo.lock: openssl-sys is banned"]
    );
    let one = "name = \"librocksdb-sys\"\nversion = \"1\"\n";
    let two = "name = \"librocksdb-sys\"\nversion = \"2\"\n";
    let root = "rocksdb = { version = \"0.25\", features = [\"lz4\", \"zstd\"] }";
    let archive = "librocksdb-sys = { version = \"=1\", features = [\"zstd\", \"lz4\"] }";
    assert_none(check_rocksdb(root, one, archive, one));
    assert_eq!(check_rocksdb(root, one, archive, two).len(), 1);
    assert_eq!(check_rocksdb(root, one, &archive.replace("zstd", "snappy"), one).len(), 1);
}

// --- Sources ----------------------------------------------------------------------------------------------------------

fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push(format!("{path}: does not open with //! and what the module is for"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!("{path}: {lines} lines; {FILE_LINES_MAX} is the limit"));
    }
    complaints
}

/// Words that say "not done": an issue is the place for them. Written in two halves, or this file would hold them.
fn check_leftovers(path: &str, text: &str) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];
    let found = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| words.contains(&word));
    let lines = text.lines().enumerate().filter(|(_, line)| found(line));
    lines.map(|(n, line)| format!("{path}:{}: {}", n + 1, line.trim())).collect()
}

/// Whether some file declares the module that `path` is: a file nobody declares is never compiled.
fn is_declared(path: &str, sources: &BTreeMap<&str, &str>) -> bool {
    let path = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs")).unwrap_or(path);
    let Some((folder, stem)) = path.rsplit_once('/') else { return false };
    let folder = Path::new(folder);
    let roots = ["mod.rs", "lib.rs", "main.rs", "oracle.rs"].map(|name| folder.join(name));
    let mut parents = roots.into_iter().chain([folder.with_extension("rs")]);
    let declares = |text: &str| {
        let words =
            |line: &str| line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").to_owned();
        text.lines().map(words).any(|line| line.trim_start_matches("pub ") == format!("mod {stem};"))
    };
    parents.any(|parent| parent.to_str().and_then(|path| sources.get(path)).is_some_and(|text| declares(text)))
}

/// Files that cargo starts from.
fn is_root(path: &str) -> bool {
    ["src/lib.rs", "src/main.rs", "src/it/main.rs", "src/tidy.rs", "src/oracle.rs"]
        .iter()
        .any(|root| path.ends_with(root))
}

#[test]
fn sources_open_with_their_purpose_and_stay_short() {
    let files = files();
    assert_none(with_extension(&files, "rs").into_iter().flat_map(|(path, text)| check_source(path, text)).collect());
}

#[test]
fn no_source_is_an_orphan() {
    let files = files();
    let sources: BTreeMap<_, _> = with_extension(&files, "rs").into_iter().collect();
    let orphans = sources.keys().filter(|path| !is_root(path) && !is_declared(path, &sources));
    assert_none(orphans.map(|path| format!("{path}: no module declares it")).collect());
}

#[test]
fn nothing_is_left_over() {
    let files = files();
    let ours = files.iter().filter(|(path, _)| {
        let code = [".rs", ".sh", ".toml", ".md", ".slt", ".sql", ".py", ".js"].iter().any(|end| path.ends_with(end));
        code || *path == "dev" || *path == ".ci/run"
    });
    assert_none(ours.flat_map(|(path, text)| check_leftovers(path, text)).collect());
}

#[test]
fn sources_can_fail() {
    assert_none(check_source("a.rs", "//! What it is for.\n"));
    assert_eq!(check_source("a.rs", "// a comment\n").len(), 1);
    assert_eq!(check_source("a.rs", &format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX))).len(), 1);
    assert_eq!(check_leftovers("a.rs", concat!("// TO", "DO: later")), [concat!("a.rs:1: // TO", "DO: later")]);
    assert_none(check_leftovers("a.rs", "let mastodon = XX001;"));
    let sources = BTreeMap::from([("a/src/lib.rs", "pub mod b;\n"), ("a/src/b.rs", "mod tests;\n")]);
    assert!(is_declared("a/src/b.rs", &sources) && is_declared("a/src/b/tests.rs", &sources));
    assert!(is_declared("a/src/b/mod.rs", &sources));
    assert!(!is_declared("a/src/c.rs", &sources) && !is_declared("a/src/b/c.rs", &sources));
}

// --- Documents --------------------------------------------------------------------------------------------------------

/// Targets of `[text](target)` outside of code, with their line numbers from 1.
fn links(text: &str) -> Vec<(usize, &str)> {
    let (mut in_code, mut found) = (false, Vec::new());
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Even pieces are outside of `code`.
        for piece in line.split('`').step_by(2) {
            found.extend(piece.split("](").skip(1).filter_map(|rest| Some((n + 1, rest.split_once(')')?.0))));
        }
    }
    found
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn check_links(
    path: &str,
    text: &str,
    exists: impl Fn(&Path) -> bool,
    read: impl Fn(&Path) -> Option<String>,
) -> Vec<String> {
    let folder = Path::new(path).parent().expect("a file has a folder");
    let mut complaints = Vec::new();
    for (line, target) in links(text).into_iter().filter(|(_, target)| !target.contains("://")) {
        let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
        let full = if file.is_empty() { PathBuf::from(path) } else { normal(&folder.join(file)) };
        if !exists(&full) {
            complaints.push(format!("{path}:{line}: the link to {target} leads nowhere"));
        } else if !fragment.is_empty() && full.extension().is_some_and(|e| e == "md") {
            let text = read(&full).unwrap_or_default();
            let mut headings =
                text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
            if !headings.any(|heading| anchor(heading) == fragment) {
                complaints.push(format!("{path}:{line}: {} has no heading #{fragment}", full.display()));
            }
        }
    }
    complaints
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let files = files();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the repository");
    let read = |path: &Path| files.get(path.to_str()?).cloned();
    let check = |(path, text)| check_links(path, text, |target| root.join(target).exists(), read);
    assert_none(with_extension(&files, "md").into_iter().flat_map(check).collect());
}

#[test]
fn links_can_fail() {
    let check = |text| {
        let read = |path: &Path| (path == Path::new("docs/b.md")).then(|| "# One two\n".to_owned());
        check_links("docs/a.md", text, |path| path == Path::new("docs/b.md") || path == Path::new("LICENSE"), read)
    };
    assert_none(check("[b](b.md) [b](b.md#one-two) [l](../LICENSE) [w](https://example.org/x) `[c](code.md)`"));
    assert_none(check("```\n[c](code.md)\n```"));
    assert_eq!(check("[c](c.md)"), ["docs/a.md:1: the link to c.md leads nowhere"]);
    assert_eq!(check("\n[b](b.md#three)"), ["docs/a.md:2: docs/b.md has no heading #three"]);
}

// --- The settings file ------------------------------------------------------------------------------------------------

/// Keys of a flat TOML file that no comment explains.
fn check_settings(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let unexplained = lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'));
    let unexplained = unexplained.filter(|pair| !pair[0].starts_with('#'));
    unexplained.map(|pair| format!("server/config.toml: no comment explains {}", pair[1])).collect()
}

#[test]
fn settings_are_explained() {
    assert_none(check_settings(&files()["server/config.toml"]));
    assert_eq!(check_settings("# what it is\na = 1\n\nb = 2").len(), 1);
}
