//! The words of dates and times (<https://www.postgresql.org/docs/15/datetime-keywords.html>).

/// What a label says the number after it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Days since 4714 BC.
    Julian,
    /// `T`: a time in ISO 8601.
    Time,
    /// A label that only EXTRACT knows.
    Other,
}

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Month(i64),
    Weekday,
    Am,
    Pm,
    Ad,
    Bc,
    Infinity,
    MinusInfinity,
    Epoch,
    Now,
    /// Days from today.
    Today(i64),
    /// Midnight in Greenwich.
    Allballs,
    /// An hour of daylight-saving time on top of a zone.
    Dst,
    Label(Label),
    Ignored,
    Unknown,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The meaning of a word in small letters. Zones are not among them.
pub(super) fn word(text: &str) -> Word {
    let abbreviates = |full: &str| text == full || text.len() == 3 && full.starts_with(text);
    if let Some(month) = MONTHS.iter().position(|m| abbreviates(m)) {
        return Word::Month(month as i64 + 1);
    }
    if WEEKDAYS.iter().any(|d| abbreviates(d)) {
        return Word::Weekday;
    }
    match text {
        "sept" => Word::Month(9),
        "tues" | "weds" | "thur" | "thurs" => Word::Weekday,
        "am" => Word::Am,
        "pm" => Word::Pm,
        "ad" => Word::Ad,
        "bc" => Word::Bc,
        "infinity" => Word::Infinity,
        "-infinity" => Word::MinusInfinity,
        "epoch" => Word::Epoch,
        "now" => Word::Now,
        "today" => Word::Today(0),
        "tomorrow" => Word::Today(1),
        "yesterday" => Word::Today(-1),
        "allballs" => Word::Allballs,
        "dst" => Word::Dst,
        "at" | "on" => Word::Ignored,
        "y" => Word::Label(Label::Year),
        "m" => Word::Label(Label::Month),
        "d" => Word::Label(Label::Day),
        "h" => Word::Label(Label::Hour),
        "mm" => Word::Label(Label::Minute),
        "s" => Word::Label(Label::Second),
        "j" | "jd" | "julian" => Word::Label(Label::Julian),
        "t" => Word::Label(Label::Time),
        "dow" | "doy" | "isodow" | "isoyear" => Word::Label(Label::Other),
        _ => Word::Unknown,
    }
}
