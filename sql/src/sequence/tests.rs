//! Numbers at the limits, and what PostgreSQL counts of its log.

use sightline_storage::catalog::SequenceDef;
use sightline_storage::ids::{RoleId, SchemaId, SequenceId};
use sightline_storage::types::SqlType;

use super::place::{Place, Run};

fn sequence(start: i64, increment: i64, min: i64, max: i64, cycle: bool) -> SequenceDef {
    SequenceDef {
        id: SequenceId(1),
        schema: SchemaId(2200),
        name: "s".to_string(),
        owner: RoleId(10),
        ty: SqlType::BigInt,
        start,
        increment,
        min,
        max,
        cache: 1,
        cycle,
        owned_by: None,
        comment: None,
    }
}

fn drawn(def: &SequenceDef, place: &mut Place, count: u64) -> Result<Vec<i64>, String> {
    let mut runs = Vec::new();
    place.draw(def, count, count, u64::MAX, &mut runs).map_err(|e| e.message().to_string())?;
    let mut numbers = Vec::new();
    runs.into_iter().for_each(|r| r.numbers(&mut numbers));
    Ok(numbers)
}

#[test]
fn numbers_keep_to_the_limits() {
    let up = sequence(1, 1, 1, 3, true);
    let mut place = Place::of(&up.fresh());
    assert_eq!(drawn(&up, &mut place, 7), Ok(vec![1, 2, 3, 1, 2, 3, 1]));
    let down = sequence(-1, -3, -7, -1, false);
    let mut place = Place::of(&down.fresh());
    assert_eq!(drawn(&down, &mut place, 3), Ok(vec![-1, -4, -7]));
    let limit = Err("nextval: reached minimum value of sequence \"s\" (-7)".to_string());
    assert_eq!(drawn(&down, &mut place, 1), limit);
    let whole = sequence(i64::MAX - 1, 1, i64::MIN, i64::MAX, false);
    let mut place = Place::of(&whole.fresh());
    assert_eq!(drawn(&whole, &mut place, 2), Ok(vec![i64::MAX - 1, i64::MAX]));
    assert!(drawn(&whole, &mut place, 1).is_err());
}

#[test]
fn log_cnt_is_counted_as_postgresql_does() {
    let def = sequence(1, 1, 1, i64::MAX, false);
    let mut place = Place::of(&def.fresh());
    drawn(&def, &mut place, 1).unwrap();
    assert_eq!((place.last, place.logged), (1, 32));
    drawn(&def, &mut place, 32).unwrap();
    assert_eq!((place.last, place.logged), (33, 0));
    drawn(&def, &mut place, 1).unwrap();
    assert_eq!((place.last, place.logged), (34, 32));
    let short = sequence(1, 1, 1, 3, false);
    let mut place = Place::of(&short.fresh());
    drawn(&short, &mut place, 1).unwrap();
    assert_eq!(place.logged, 2);
}

#[test]
fn a_run_is_taken_piece_by_piece() {
    let mut run = Run { first: 10, increment: -5, count: 4 };
    let mut numbers = Vec::new();
    run.take(3).numbers(&mut numbers);
    assert_eq!(numbers, [10, 5, 0]);
    assert_eq!(run, Run { first: -5, increment: -5, count: 1 });
}
