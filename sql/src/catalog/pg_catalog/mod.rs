//! `pg_catalog`: one file a relation that has rows. The list of all relations and their columns is `relations.tsv`.

mod pg_am;
mod pg_attrdef;
mod pg_attribute;
mod pg_cast;
mod pg_class;
mod pg_collation;
mod pg_constraint;
mod pg_cursors;
mod pg_database;
mod pg_db_role_setting;
mod pg_depend;
pub(super) mod pg_description;
mod pg_enum;
mod pg_index;
mod pg_language;
mod pg_namespace;
mod pg_prepared_statements;
pub(super) mod pg_proc;
mod pg_roles;
pub(super) mod pg_sequence;
mod pg_settings;
pub(super) mod pg_shdescription;
mod pg_stat_activity;
mod pg_stat_progress_copy;
mod pg_stat_user_tables;
mod pg_tables;
mod pg_tablespace;
pub(super) mod pg_type;
pub(super) mod pg_views;

use super::Build;

/// What builds the rows of this relation; none if it is always empty.
pub(super) fn builder(name: &str) -> Option<Build> {
    Some(match name {
        "pg_am" => pg_am::build,
        "pg_attrdef" => pg_attrdef::build,
        "pg_attribute" => pg_attribute::build,
        "pg_auth_members" => pg_roles::build_members,
        "pg_authid" => pg_roles::build_authid,
        "pg_cast" => pg_cast::build,
        "pg_class" => pg_class::build,
        "pg_collation" => pg_collation::build,
        "pg_constraint" => pg_constraint::build,
        "pg_cursors" => pg_cursors::build,
        "pg_database" => pg_database::build,
        "pg_db_role_setting" => pg_db_role_setting::build,
        "pg_depend" => pg_depend::build,
        "pg_description" => pg_description::build,
        "pg_enum" => pg_enum::build,
        "pg_index" => pg_index::build,
        "pg_indexes" => pg_index::build_view,
        "pg_language" => pg_language::build,
        "pg_namespace" => pg_namespace::build,
        "pg_prepared_statements" => pg_prepared_statements::build,
        "pg_proc" => pg_proc::build,
        "pg_roles" => pg_roles::build_roles,
        "pg_sequence" => pg_sequence::build,
        "pg_sequences" => pg_sequence::build_view,
        "pg_settings" => pg_settings::build,
        "pg_shdescription" => pg_shdescription::build,
        "pg_stat_activity" => pg_stat_activity::build,
        "pg_stat_all_tables" | "pg_stat_user_tables" => pg_stat_user_tables::build,
        "pg_stat_progress_copy" => pg_stat_progress_copy::build,
        "pg_tables" => pg_tables::build,
        "pg_tablespace" => pg_tablespace::build,
        "pg_type" => pg_type::build,
        "pg_user" => pg_roles::build_user,
        "pg_shadow" => pg_roles::build_shadow,
        "pg_views" => pg_views::build,
        _ => return None,
    })
}
