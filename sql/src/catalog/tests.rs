//! The files of relations, types and functions parse, and what builders say fits them.

use arrow::array::{Array, AsArray};
use sightline_storage::types::SqlType;

use super::pg_catalog::{pg_proc, pg_type};
use super::relation;
use super::rows::{Rows, Value, array};

#[test]
fn relations_are_postgresqls() {
    assert_eq!(relation::all().iter().filter(|r| r.schema != "sys").count(), 208);
    let class = relation::find("pg_catalog", "pg_class").expect("pg_class is there");
    assert_eq!((class.oid, class.columns.len(), class.columns[0].name), (1259, 33, "oid"));
    assert!(relation::find("pg_catalog", "pg_nothing").is_none());
    let mut oids = relation::all().iter().map(|r| r.oid).collect::<Vec<_>>();
    oids.sort_unstable();
    oids.dedup();
    assert_eq!(oids.len(), relation::all().len());
}

#[test]
fn every_sql_type_is_listed_with_its_oid() {
    for oid in [16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950]
    {
        let ty = SqlType::from_oid(oid).expect("a type of ours");
        assert!(pg_type::by_oid(oid).is_some_and(|t| t.item == 0 || oid == 19), "{ty}");
        let array = pg_type::by_oid(ty.array_oid()).expect("its array");
        assert_eq!(array.item, oid);
    }
}

#[test]
fn types_are_printed_as_postgresql_does() {
    let cases = [
        (23, None, "integer"),
        (1043, Some(24), "character varying(20)"),
        (1043, Some(-1), "character varying"),
        (1700, Some(((10 << 16) | 2) + 4), "numeric(10,2)"),
        (1042, Some(-1), "bpchar"),
        (1042, None, "character"),
        (1042, Some(14), "character(10)"),
        (18, None, "\"char\""),
        (1009, None, "text[]"),
        (22, None, "int2vector"),
        (1266, None, "time with time zone"),
        (2276, None, "\"any\""),
    ];
    for (oid, typmod, expected) in cases {
        assert_eq!(pg_type::format(oid, typmod).as_deref(), Some(expected), "{oid}");
    }
    assert_eq!(pg_type::format(1, None), None);
}

#[test]
fn functions_have_postgresqls_oids_and_ours_their_own() {
    let abs = pg_proc::all().iter().filter(|f| f.name == "abs").collect::<Vec<_>>();
    assert!(abs.iter().any(|f| f.oid == 1397 && f.arguments() == "integer" && f.result() == "integer"));
    assert_eq!(pg_proc::by_oid(750).map(|f| f.name.as_ref()), Some("array_in"));
    let mut oids = pg_proc::all().iter().map(|f| f.oid).collect::<Vec<_>>();
    oids.sort_unstable();
    let count = oids.len();
    oids.dedup();
    assert_eq!(oids.len(), count, "no two functions share an OID");
}

#[test]
fn rows_fill_what_is_not_given() {
    let class = relation::find("pg_catalog", "pg_class").expect("pg_class is there");
    let mut rows = Rows::new(class, ["relname", "oid"]);
    rows.push(["t".into(), 7_u32.into()]);
    let batch = rows.finish().expect("values fit");
    assert_eq!(batch.num_columns(), 33);
    let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
    assert!(!column("relhasindex").as_boolean().value(0));
    assert!(column("reloptions").is_null(0));
    assert_eq!(column("relname").as_string_view().value(0), "t");
}

#[test]
fn lists_keep_null_and_empty_apart() {
    let ty = SqlType::Array(Box::new(SqlType::Text));
    let values = [Value::Null, Value::List(vec![]), vec!["a".to_string(), "b".to_string()].into()];
    let list = array(&ty, &values).expect("values fit");
    assert_eq!(list.data_type(), &ty.arrow());
    assert!(list.is_null(0) && !list.is_null(1));
    assert_eq!(Value::of(&list, 2), vec!["a".to_string(), "b".to_string()].into());
}

#[test]
fn names_are_split_as_written() {
    let split = |t: &str| super::names::split(t).ok();
    assert_eq!(split("Public.\"My \"\"t\"\"\""), Some(vec!["public".to_string(), "My \"t\"".to_string()]));
    assert_eq!(split("a."), None);
    assert_eq!(split("\"a"), None);
}
