//! Templates of dates and times: `to_char`, `to_date` and `to_timestamp` read them alike.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Field(Field),
    /// A character that stands for itself.
    Literal(char),
    /// A character in double quotes, or after a backslash.
    Quoted(char),
    /// `FX`: from here on the text must have exactly what the template says.
    Exact,
}

/// A pattern with what is written around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// The pattern in upper case, e.g. `HH24`.
    pub(super) key: &'static str,
    /// As written: for patterns whose case tells how the answer is written.
    pub(super) case: Case,
    /// `FM`: no blanks and zeros in front or behind.
    pub(super) fill: bool,
    /// `TH` or `th` behind.
    pub(super) ordinal: Option<Case>,
}

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
    Title,
}

/// All patterns; a longer one stands before those it starts with.
const KEYS: [&str; 53] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3", "FF4", "FF5",
    "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MONTH", "MON", "MS",
    "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US", "WW", "W", "Y,YYY", "YYYY", "YYY",
    "YY", "Y",
];

/// Patterns whose case is the answer's, also in title form.
const TITLED: [&str; 4] = ["MONTH", "MON", "DAY", "DY"];

/// The pattern that `text` starts with.
fn key(text: &str) -> Option<(&'static str, Case)> {
    for key in &KEYS {
        let Some(head) = text.get(..key.len()) else { continue };
        if head == *key {
            return Some((key, Case::Upper));
        }
        if head == key.to_lowercase() {
            return Some((key, Case::Lower));
        }
        let title = || head.is_ascii() && head[..1] == key[..1] && head[1..] == key[1..].to_lowercase();
        if TITLED.contains(key) && title() {
            return Some((key, Case::Title));
        }
    }
    None
}

/// Reads a template.
pub(super) fn parse(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut fill = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = ["FM", "fm"].iter().find_map(|p| rest.strip_prefix(p)) {
            fill = true;
            rest = after;
            continue;
        }
        // Names in the session's language are English, and never padded.
        if let Some(after) = ["TM", "tm"].iter().find_map(|p| rest.strip_prefix(p)) {
            fill = true;
            rest = after;
            continue;
        }
        if let Some(after) = ["FX", "fx"].iter().find_map(|p| rest.strip_prefix(p)) {
            pieces.push(Piece::Exact);
            rest = after;
            continue;
        }
        if let Some((key, case)) = key(rest) {
            rest = &rest[key.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Case::Upper),
                Some("th") => Some(Case::Lower),
                _ => None,
            };
            // `SP`, to spell a number out, is known and does nothing, as in PostgreSQL.
            if ordinal.is_some() || matches!(rest.get(..2), Some("SP" | "sp")) {
                rest = &rest[2..];
            }
            pieces.push(Piece::Field(Field { key, case, fill, ordinal }));
            fill = false;
            continue;
        }
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => rest = quoted(rest, &mut pieces),
            '\\' => match rest.strip_prefix('"') {
                Some(after) => {
                    pieces.push(Piece::Quoted('"'));
                    rest = after;
                }
                None => pieces.push(Piece::Literal('\\')),
            },
            other => pieces.push(Piece::Literal(other)),
        }
    }
    pieces
}

/// Takes what is in double quotes; answers what follows.
fn quoted<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> &'a str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => {
                if let Some((_, escaped)) = chars.next() {
                    pieces.push(Piece::Quoted(escaped));
                }
            }
            other => pieces.push(Piece::Quoted(other)),
        }
    }
    ""
}

/// Months as written in full.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days as written in full, from Sunday.
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Roman months.
pub(super) const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
