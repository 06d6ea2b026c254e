//! The table of settings. Names and defaults are PostgreSQL 15's; the category is that of `pg_settings`.

use super::{Kind, Setting, Unit};

const INT: i64 = i32::MAX as i64;
const ISOLATION: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const LEVELS: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "info", "notice", "warning", "error"];

const CLIENT: &str = "Client Connection Defaults / Statement Behavior";
const LOCALE: &str = "Client Connection Defaults / Locale and Formatting";
const PRESET: &str = "Preset Options";
const COMPATIBLE: &str = "Version and Platform Compatibility / Previous PostgreSQL Versions";
const QUERY: &str = "Query Tuning / Other Planner Options";
const RESOURCES: &str = "Resource Usage / Memory";
const CONNECTIONS: &str = "Connections and Authentication / Connection Settings";

const fn user(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    category: &'static str,
    description: &'static str,
) -> Setting {
    Setting { name, kind, default, reported: false, changeable: true, category, description }
}

const fn reported(setting: Setting) -> Setting {
    Setting { reported: true, ..setting }
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Setting {
    Setting { name, kind, default, reported: false, changeable: false, category: PRESET, description }
}

const fn timeout(name: &'static str, description: &'static str) -> Setting {
    user(name, Kind::Integer(0, INT, Unit::Milliseconds), "0", CLIENT, description)
}

/// All settings.
pub static SETTINGS: &[Setting] = &[
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
    user("array_nulls", Kind::Bool, "on", COMPATIBLE, "Enables input of NULL elements in arrays."),
    user(
        "backslash_quote",
        Kind::Enum(&["safe_encoding", "on", "off"]),
        "safe_encoding",
        COMPATIBLE,
        "Sets whether \"\\'\" is allowed in string literals.",
    ),
    fixed("block_size", Kind::Integer(8192, 8192, Unit::None), "8192", "Shows the size of a disk block."),
    user("bytea_output", Kind::Enum(&["escape", "hex"]), "hex", CLIENT, "Sets the output format for bytea."),
    user(
        "check_function_bodies",
        Kind::Bool,
        "on",
        CLIENT,
        "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.",
    ),
    user(
        "client_min_messages",
        Kind::Enum(LEVELS),
        "notice",
        CLIENT,
        "Sets the message levels that are sent to the client.",
    ),
    user(
        "constraint_exclusion",
        Kind::Enum(&["partition", "on", "off"]),
        "partition",
        QUERY,
        "Enables the planner to use constraints to optimize queries.",
    ),
    user(
        "cursor_tuple_fraction",
        Kind::Real(0.0, 1.0),
        "0.1",
        QUERY,
        "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved.",
    ),
    fixed("data_checksums", Kind::Bool, "on", "Shows whether data checksums are turned on for this cluster."),
    user(
        "default_table_access_method",
        Kind::Text,
        "heap",
        CLIENT,
        "Sets the default table access method for new tables.",
    ),
    user("default_tablespace", Kind::Text, "", CLIENT, "Sets the default tablespace to create tables and indexes in."),
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
        "default_text_search_config",
        Kind::Text,
        "pg_catalog.simple",
        LOCALE,
        "Sets default text search configuration.",
    ),
    user(
        "effective_cache_size",
        Kind::Integer(1, INT, Unit::Pages),
        "4GB",
        QUERY,
        "Sets the planner's assumption about the total size of the data caches.",
    ),
    user("enable_seqscan", Kind::Bool, "on", QUERY, "Enables the planner's use of sequential-scan plans."),
    user("enable_hashjoin", Kind::Bool, "on", QUERY, "Enables the planner's use of hash join plans."),
    user("enable_indexscan", Kind::Bool, "on", QUERY, "Enables the planner's use of index-scan plans."),
    user("enable_mergejoin", Kind::Bool, "on", QUERY, "Enables the planner's use of merge join plans."),
    user("enable_nestloop", Kind::Bool, "on", QUERY, "Enables the planner's use of nested-loop join plans."),
    user(
        "escape_string_warning",
        Kind::Bool,
        "on",
        COMPATIBLE,
        "Warn about backslash escapes in ordinary string literals.",
    ),
    user(
        "extra_float_digits",
        Kind::Integer(-15, 3, Unit::None),
        "1",
        LOCALE,
        "Sets the number of digits displayed for floating-point values.",
    ),
    user(
        "from_collapse_limit",
        Kind::Integer(1, INT, Unit::None),
        "8",
        QUERY,
        "Sets the FROM-list size beyond which subqueries are not collapsed.",
    ),
    user("geqo", Kind::Bool, "on", QUERY, "Enables genetic query optimization."),
    timeout(
        "idle_in_transaction_session_timeout",
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    timeout("idle_session_timeout", "Sets the maximum allowed idle time between queries, when not in a transaction."),
    user("jit", Kind::Bool, "off", QUERY, "Allow JIT compilation."),
    user(
        "join_collapse_limit",
        Kind::Integer(1, INT, Unit::None),
        "8",
        QUERY,
        "Sets the FROM-list size beyond which JOIN constructs are not flattened.",
    ),
    fixed("lc_collate", Kind::Text, "C", "Shows the collation order locale."),
    fixed("lc_ctype", Kind::Text, "C", "Shows the character classification and case conversion locale."),
    user("lc_messages", Kind::Text, "C", LOCALE, "Sets the language in which messages are displayed."),
    user("lc_monetary", Kind::Text, "C", LOCALE, "Sets the locale for formatting monetary amounts."),
    user("lc_numeric", Kind::Text, "C", LOCALE, "Sets the locale for formatting numbers."),
    user("lc_time", Kind::Text, "C", LOCALE, "Sets the locale for formatting date and time values."),
    timeout("lock_timeout", "Sets the maximum allowed duration of any wait for a lock."),
    user(
        "log_statement",
        Kind::Enum(&["none", "ddl", "mod", "all"]),
        "none",
        "Reporting and Logging / What to Log",
        "Sets the type of statements logged.",
    ),
    user(
        "maintenance_work_mem",
        Kind::Integer(1024, INT, Unit::Kilobytes),
        "64MB",
        RESOURCES,
        "Sets the maximum memory to be used for maintenance operations.",
    ),
    fixed(
        "max_connections",
        Kind::Integer(1, 262_143, Unit::None),
        "100",
        "Sets the maximum number of concurrent connections.",
    ),
    fixed("max_identifier_length", Kind::Integer(63, 63, Unit::None), "63", "Shows the maximum identifier length."),
    fixed("max_index_keys", Kind::Integer(32, 32, Unit::None), "32", "Shows the maximum number of index keys."),
    user(
        "max_parallel_workers_per_gather",
        Kind::Integer(0, 1024, Unit::None),
        "2",
        "Resource Usage / Asynchronous Behavior",
        "Sets the maximum number of parallel processes per executor node.",
    ),
    user(
        "password_encryption",
        Kind::Enum(&["md5", "scram-sha-256"]),
        "scram-sha-256",
        "Connections and Authentication / Authentication",
        "Chooses the algorithm for encrypting passwords.",
    ),
    fixed("port", Kind::Integer(1, 65_535, Unit::None), "5433", "Sets the TCP port the server listens on."),
    user(
        "quote_all_identifiers",
        Kind::Bool,
        "off",
        COMPATIBLE,
        "When generating SQL fragments, quote all identifiers.",
    ),
    user(
        "random_page_cost",
        Kind::Real(0.0, 1e10),
        "4",
        QUERY,
        "Sets the planner's estimate of the cost of a nonsequentially fetched disk page.",
    ),
    user("row_security", Kind::Bool, "on", CLIENT, "Enable row security."),
    user(
        "search_path",
        Kind::Names,
        "\"$user\", public",
        CLIENT,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    fixed("server_version_num", Kind::Integer(0, INT, Unit::None), "150018", "Shows the server version as an integer."),
    user(
        "session_replication_role",
        Kind::Enum(&["origin", "replica", "local"]),
        "origin",
        CLIENT,
        "Sets the session's behavior for triggers and rewrite rules.",
    ),
    fixed("ssl", Kind::Bool, "off", "Enables SSL connections."),
    timeout("statement_timeout", "Sets the maximum allowed duration of any statement."),
    user("synchronize_seqscans", Kind::Bool, "on", COMPATIBLE, "Enable synchronized sequential scans."),
    user(
        "synchronous_commit",
        Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"]),
        "on",
        "Write-Ahead Log / Settings",
        "Sets the current transaction's synchronization level.",
    ),
    user(
        "tcp_keepalives_idle",
        Kind::Integer(0, INT, Unit::None),
        "0",
        CONNECTIONS,
        "Time between issuing TCP keepalives.",
    ),
    user(
        "tcp_keepalives_interval",
        Kind::Integer(0, INT, Unit::None),
        "0",
        CONNECTIONS,
        "Time between TCP keepalive retransmits.",
    ),
    user(
        "temp_buffers",
        Kind::Integer(100, 1_073_741_823, Unit::Pages),
        "8MB",
        RESOURCES,
        "Sets the maximum number of temporary buffers used by each session.",
    ),
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
    user("transform_null_equals", Kind::Bool, "off", COMPATIBLE, "Treats \"expr=NULL\" as \"expr IS NULL\"."),
    user(
        "work_mem",
        Kind::Integer(64, INT, Unit::Kilobytes),
        "4MB",
        RESOURCES,
        "Sets the maximum memory to be used for query workspaces.",
    ),
    user(
        "xmlbinary",
        Kind::Enum(&["base64", "hex"]),
        "base64",
        CLIENT,
        "Sets how binary values are to be encoded in XML.",
    ),
    user(
        "xmloption",
        Kind::Enum(&["content", "document"]),
        "content",
        CLIENT,
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.",
    ),
];
