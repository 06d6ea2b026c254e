//! Values to and from PostgreSQL's text and binary forms, and COPY's text and csv. Links nothing but Arrow, so that it
//! can be fuzzed. Skeleton.

/// Output settings of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pub time_zone: String,
    pub date_style: String,
    pub interval_style: String,
    pub extra_float_digits: i32,
    pub bytea_output: String,
}
