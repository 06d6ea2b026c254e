//! The settings that do something here. Names and defaults are PostgreSQL 15's; the category is that of `pg_settings`.
//! What is only taken stands in `accepted.tsv`.

use super::{Context, Kind, Setting, Unit};

const INT: i64 = i32::MAX as i64;
pub(crate) const ISOLATION: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const LEVELS: &[&str] = &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

const CLIENT: &str = "Client Connection Defaults / Statement Behavior";
const LOCALE: &str = "Client Connection Defaults / Locale and Formatting";
const PRESET: &str = "Preset Options";
const COMPATIBLE: &str = "Version and Platform Compatibility / Previous PostgreSQL Versions";
const CONNECTIONS: &str = "Connections and Authentication / Connection Settings";

const fn user(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    category: &'static str,
    description: &'static str,
) -> Setting {
    Setting { name, kind, default, reported: false, context: Context::User, effect: true, category, description }
}

const fn reported(setting: Setting) -> Setting {
    Setting { reported: true, ..setting }
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Setting {
    let context = Context::Internal;
    Setting { name, kind, default, reported: false, context, effect: true, category: PRESET, description }
}

/// Given when the node starts.
const fn at_start(setting: Setting) -> Setting {
    Setting { context: Context::Postmaster, category: CONNECTIONS, ..setting }
}

const fn timeout(name: &'static str, description: &'static str) -> Setting {
    user(name, Kind::Integer(0, INT, Unit::Milliseconds), "0", CLIENT, description)
}

const fn superuser(setting: Setting) -> Setting {
    Setting { context: Context::Superuser, ..setting }
}

const fn memory(setting: Setting) -> Setting {
    Setting { category: "Resource Usage / Memory", ..setting }
}

/// All settings.
pub(super) static SETTINGS: &[Setting] = &[
    reported(user(
        "application_name",
        Kind::ApplicationName,
        "",
        "Reporting and Logging / What to Log",
        "Sets the application name to be reported in statistics and logs.",
    )),
    reported(user("client_encoding", Kind::Encoding, "UTF8", LOCALE, "Sets the client's character set encoding.")),
    reported(user(
        "DateStyle",
        Kind::DateStyle,
        "ISO, MDY",
        LOCALE,
        "Sets the display format for date and time values.",
    )),
    reported(user(
        "default_transaction_read_only",
        Kind::Bool,
        "off",
        CLIENT,
        "Sets the default read-only status of new transactions.",
    )),
    reported(fixed("in_hot_standby", Kind::Bool, "off", "Shows whether hot standby is currently active.")),
    reported(fixed("integer_datetimes", Kind::Bool, "on", "Shows whether datetimes are integer based.")),
    reported(user(
        "IntervalStyle",
        Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "postgres",
        LOCALE,
        "Sets the display format for interval values.",
    )),
    reported(fixed("is_superuser", Kind::Bool, "off", "Shows whether the current user is a superuser.")),
    reported(fixed("server_encoding", Kind::Text, "UTF8", "Shows the server (database) character set encoding.")),
    reported(fixed("server_version", Kind::Text, "15.18", "Shows the server version.")),
    reported(fixed("session_authorization", Kind::Text, "", "Shows the session user name.")),
    reported(user(
        "standard_conforming_strings",
        Kind::Bool,
        "on",
        COMPATIBLE,
        "Causes '...' strings to treat backslashes literally.",
    )),
    reported(user(
        "TimeZone",
        Kind::TimeZone,
        "UTC",
        LOCALE,
        "Sets the time zone for displaying and interpreting time stamps.",
    )),
    fixed("block_size", Kind::Integer(8192, 8192, Unit::None), "8192", "Shows the size of a disk block."),
    user("bytea_output", Kind::Enum(&["escape", "hex"]), "hex", CLIENT, "Sets the output format for bytea."),
    user(
        "client_min_messages",
        Kind::Enum(LEVELS),
        "notice",
        CLIENT,
        "Sets the message levels that are sent to the client.",
    ),
    fixed("data_checksums", Kind::Bool, "on", "Shows whether data checksums are turned on for this cluster."),
    user(
        "default_transaction_deferrable",
        Kind::Bool,
        "off",
        CLIENT,
        "Sets the default deferrable status of new transactions.",
    ),
    user(
        "default_transaction_isolation",
        Kind::Enum(ISOLATION),
        "read committed",
        CLIENT,
        "Sets the transaction isolation level of each new transaction.",
    ),
    user(
        "extra_float_digits",
        Kind::Integer(-15, 3, Unit::None),
        "1",
        LOCALE,
        "Sets the number of digits displayed for floating-point values.",
    ),
    timeout(
        "idle_in_transaction_session_timeout",
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    timeout("idle_session_timeout", "Sets the maximum allowed idle time between queries, when not in a transaction."),
    fixed("lc_collate", Kind::Text, "C", "Shows the collation order locale."),
    fixed("lc_ctype", Kind::Text, "C", "Shows the character classification and case conversion locale."),
    at_start(fixed(
        "max_connections",
        Kind::Integer(1, 262_143, Unit::None),
        "100",
        "Sets the maximum number of concurrent connections.",
    )),
    fixed("max_identifier_length", Kind::Integer(63, 63, Unit::None), "63", "Shows the maximum identifier length."),
    fixed("max_index_keys", Kind::Integer(32, 32, Unit::None), "32", "Shows the maximum number of index keys."),
    memory(at_start(fixed(
        "memory_limit",
        Kind::Integer(0, INT, Unit::Kilobytes),
        "0",
        "Sets the memory that queries, loads, caches and the store may hold together.",
    ))),
    user(
        "password_encryption",
        Kind::Enum(&["md5", "scram-sha-256"]),
        "scram-sha-256",
        "Connections and Authentication / Authentication",
        "Chooses the algorithm for encrypting passwords.",
    ),
    at_start(fixed("port", Kind::Integer(1, 65_535, Unit::None), "5433", "Sets the TCP port the server listens on.")),
    user(
        "search_path",
        Kind::Names,
        "\"$user\", public",
        CLIENT,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    fixed("server_version_num", Kind::Integer(0, INT, Unit::None), "150018", "Shows the server version as an integer."),
    fixed("ssl", Kind::Bool, "off", "Enables SSL connections."),
    memory(user(
        "statement_memory_limit",
        Kind::Integer(0, INT, Unit::Kilobytes),
        "0",
        "",
        "Sets the memory that one statement may hold; 0 leaves it to the server's limit.",
    )),
    timeout("statement_timeout", "Sets the maximum allowed duration of any statement."),
    superuser(user(
        "temp_file_limit",
        Kind::Integer(-1, INT, Unit::Kilobytes),
        "-1",
        "Resource Usage / Disk",
        "Limits the total size of all temporary files used by each process.",
    )),
    memory(superuser(user(
        "tenant_memory_limit",
        Kind::Integer(-1, INT, Unit::Kilobytes),
        "-1",
        "",
        "Sets the memory that the statements of a database may hold together, by ALTER DATABASE; -1 is no limit.",
    ))),
    user(
        "transaction_deferrable",
        Kind::Bool,
        "off",
        CLIENT,
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    ),
    user(
        "transaction_isolation",
        Kind::Enum(ISOLATION),
        "read committed",
        CLIENT,
        "Sets the current transaction's isolation level.",
    ),
    user("transaction_read_only", Kind::Bool, "off", CLIENT, "Sets the current transaction's read-only status."),
];
