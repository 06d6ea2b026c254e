//! Values of settings, as SET takes them and SHOW gives them back.

use super::*;

fn set(name: &str, value: &str) -> Result<String> {
    let mut settings = Settings::default();
    settings.set(name, Some(&[value.to_string()]))?;
    Ok(settings.show(name)?.to_string())
}

fn refused(name: &str, value: &str) -> String {
    set(name, value).expect_err("refused").message().to_string()
}

#[test]
fn values_are_shown_as_postgresql_shows_them() {
    for (name, value, shown) in [
        ("STATEMENT_TIMEOUT", "5000", "5s"),
        ("statement_timeout", "1500ms", "1500ms"),
        ("statement_timeout", "0", "0"),
        ("work_mem", "65536", "64MB"),
        ("effective_cache_size", "1GB", "1GB"),
        ("jit", "yes", "on"),
        ("timezone", "europe/paris", "Europe/Paris"),
        ("timezone", "-3", "<-03>+03"),
        ("datestyle", "German", "German, DMY"),
        ("datestyle", "postgresql, us", "Postgres, MDY"),
        ("datestyle", "ISO, SQL", ""),
        ("datestyle", "iso, european", "ISO, DMY"),
        ("datestyle", "dmy", "ISO, DMY"),
        ("client_encoding", "utf-8", "UTF8"),
        ("client_encoding", "'utf-8'", "UTF8"),
        ("intervalstyle", "ISO_8601", "iso_8601"),
        ("extra_float_digits", "3", "3"),
        ("myapp.user", "x", "x"),
    ] {
        match set(name, value) {
            Ok(text) => assert_eq!(text, shown, "{name} = {value}"),
            Err(e) => assert_eq!(shown, "", "{name} = {value}: {e}"),
        }
    }
}

#[test]
fn errors_are_postgresqls() {
    assert_eq!(refused("nonsense", "1"), "unrecognized configuration parameter \"nonsense\"");
    assert_eq!(refused("jit", "maybe"), "parameter \"jit\" requires a Boolean value");
    assert_eq!(
        refused("extra_float_digits", "4"),
        "4 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)"
    );
    assert_eq!(refused("timezone", "Mars/Olympus"), "invalid value for parameter \"TimeZone\": \"Mars/Olympus\"");
    assert_eq!(refused("server_version", "16"), "parameter \"server_version\" cannot be changed");
}

#[test]
fn search_path_is_a_list_of_names() {
    let mut settings = Settings::default();
    assert_eq!(settings.search_path(), ["$user", "public"]);
    settings.set("search_path", Some(&["a".into(), "B c".into()])).expect("is set");
    assert_eq!(settings.show("search_path").expect("known"), "a, \"B c\"");
    assert_eq!(settings.search_path(), ["a", "B c"]);
    settings.reset(None).expect("resets");
    assert_eq!(settings.search_path(), ["$user", "public"]);
}

#[test]
fn the_table_is_consistent() {
    for setting in all() {
        assert_eq!(all().iter().filter(|s| s.name.eq_ignore_ascii_case(setting.name)).count(), 1, "{}", setting.name);
        if setting.context == Context::User && setting.kind != Kind::Names {
            let initial = value::initial(setting);
            assert_eq!(set(setting.name, setting.default).expect(setting.name), initial, "{}", setting.name);
            assert_eq!(set(setting.name, &initial).expect(setting.name), initial, "{}", setting.name);
        }
    }
}

/// `docs/settings.md` is what [`page::page`] makes; `UPDATE_DOCS=1` writes it.
#[test]
fn the_page_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page::page()).expect("writes the page");
    }
    let text = std::fs::read_to_string(&path).expect("reads the page");
    assert!(text == page::page(), "docs/settings.md is stale: run this test with UPDATE_DOCS=1");
}
