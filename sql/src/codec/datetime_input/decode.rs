//! What the fields of a date or time mean, in PostgreSQL's order of guesses
//! (<https://www.postgresql.org/docs/15/datetime-input-rules.html>).

use sightline_functions::zone::Zone;

use super::super::datetime::{US_PER_DAY, US_PER_SECOND, civil_from_days, days_from_civil, days_in_month};
use super::super::{DateOrder, Style};
use super::fields::{Field, Kind, split};
use super::words::{Label, Word, word};
use super::{Fault, Parsed};

/// What has been read, as bits.
type Mask = u16;
const YEAR: Mask = 1;
const MONTH: Mask = 1 << 1;
const DAY: Mask = 1 << 2;
const HOUR: Mask = 1 << 3;
const MINUTE: Mask = 1 << 4;
const SECOND: Mask = 1 << 5;
const ZONE: Mask = 1 << 6;
/// A modifier of a zone, `DST`.
const DST: Mask = 1 << 7;
const DAY_OF_YEAR: Mask = 1 << 8;
const WEEKDAY: Mask = 1 << 9;
const HALF: Mask = 1 << 10;
const ERA: Mask = 1 << 11;
const DATE: Mask = YEAR | MONTH | DAY;
const TIME: Mask = HOUR | MINUTE | SECOND;

/// Days from 24 November 4714 BC, Julian day 0, to 1970.
const JULIAN_OF_1970: i64 = 2_440_588;
const HOUR_US: i64 = 3600 * US_PER_SECOND;

/// A text without a calendar date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Infinity,
    MinusInfinity,
    Epoch,
}

/// A date or time taken apart.
#[derive(Default)]
pub(super) struct Moment {
    pub special: Option<Special>,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Of a zone given by its offset or abbreviation.
    pub zone: Option<Zone>,
    /// Hours of daylight-saving time on top.
    dst: bool,
    read: Mask,
    afternoon: Option<bool>,
    bc: bool,
    short_year: bool,
    text_month: bool,
    julian: bool,
}

/// Which rules a text is read by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A date, with or without a time.
    Date,
    /// A time, perhaps of a date.
    Time,
}

/// A number in front of a text and what follows it; 22008 beyond 32 bits.
fn number(text: &str) -> Parsed<(i64, &str)> {
    let digits_from = usize::from(text.starts_with(['-', '+']));
    let end = text[digits_from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| n + digits_from);
    if end == digits_from {
        return Ok((0, text));
    }
    let value = text[..end].parse::<i64>().ok().filter(|v| i32::try_from(*v).is_ok()).ok_or(Fault::Range)?;
    Ok((value, &text[end..]))
}

/// `.5` in microseconds, rounded; nothing may follow.
pub(super) fn fraction_us(text: &str) -> Parsed<i64> {
    let digits = text.strip_prefix('.').ok_or(Fault::Syntax)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    if digits.is_empty() {
        return Ok(0);
    }
    let fraction: f64 = text.parse().map_err(|_| Fault::Syntax)?;
    Ok((fraction * 1e6).round_ties_even() as i64)
}

/// `+02`, `-0730`, `+05:30:15` as seconds east.
pub(super) fn offset(text: &str) -> Parsed<i32> {
    let unsigned = text.strip_prefix(['+', '-']).ok_or(Fault::Syntax)?;
    let too_far = |_| Fault::Displacement;
    let (mut hours, mut rest) = number(unsigned).map_err(too_far)?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = number(after).map_err(too_far)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = number(after).map_err(too_far)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(Fault::Displacement);
    }
    if !rest.is_empty() {
        return Err(Fault::Syntax);
    }
    let seconds = ((hours * 60 + minutes) * 60 + seconds) as i32;
    Ok(if text.starts_with('-') { -seconds } else { seconds })
}

fn named_zone(name: &str) -> Parsed<Zone> {
    Zone::named(name).ok_or_else(|| Fault::Zone(name.to_string()))
}

impl Moment {
    /// Reads a date with or without a time.
    pub(super) fn date(text: &str, style: &Style) -> Parsed<Moment> {
        let mut moment = Moment::default();
        moment.read_fields(&split(text)?, style, Wanted::Date)?;
        if moment.special.is_none() && moment.read & DATE != DATE {
            return Err(Fault::Syntax);
        }
        Ok(moment)
    }

    /// Reads a time of day.
    pub(super) fn time(text: &str, style: &Style) -> Parsed<Moment> {
        let mut moment = Moment::default();
        moment.read_fields(&split(text)?, style, Wanted::Time)?;
        if moment.time_overflows() {
            return Err(Fault::Range);
        }
        if moment.read & TIME != TIME {
            return Err(Fault::Syntax);
        }
        // Where clocks change, only a date tells the offset.
        let changes = moment.zone.is_some_and(|z| !matches!(z, Zone::Abbreviated(..)) && z.constant_offset().is_none());
        if changes && moment.read & DATE != DATE {
            return Err(Fault::Syntax);
        }
        Ok(moment)
    }

    /// The day since 1970.
    pub(super) fn days(&self) -> i64 {
        days_from_civil(self.year, self.month as u32, self.day as u32)
    }

    /// Whether PostgreSQL has the date at all.
    pub(super) fn in_range(&self) -> bool {
        (self.year > -4713 || self.year == -4713 && self.month >= 11) && self.year < 5_874_898
    }

    /// Microseconds since midnight.
    pub(super) fn time_us(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * US_PER_SECOND + self.micros
    }

    /// The moment's zone, or the session's.
    pub(super) fn to_utc(&self, local_us: i64, session: Zone) -> Option<i64> {
        let utc = self.zone.unwrap_or(session).to_utc(local_us)?;
        if self.dst { utc.checked_sub(HOUR_US) } else { Some(utc) }
    }

    fn time_overflows(&self) -> bool {
        let each = (0..=24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
            && (0..=US_PER_SECOND).contains(&self.micros);
        !each || self.time_us() > US_PER_DAY
    }

    fn read_fields(&mut self, fields: &[Field], style: &Style, wanted: Wanted) -> Parsed<()> {
        if fields.is_empty() {
            return Err(Fault::Syntax);
        }
        let mut label = None;
        for (at, field) in fields.iter().enumerate() {
            let new = match field.kind {
                Kind::Date => self.date_field(field, at, fields, &mut label, style, wanted)?,
                Kind::Time => {
                    if label.take().is_some_and(|l| l != Label::Time) {
                        return Err(Fault::Syntax);
                    }
                    self.clock(&field.text)?;
                    if wanted == Wanted::Date && self.time_overflows() {
                        return Err(Fault::Range);
                    }
                    TIME
                }
                Kind::Signed => {
                    self.zone = Some(Zone::Fixed(offset(&field.text)?));
                    ZONE
                }
                Kind::Number => match label.take() {
                    Some(label) => self.labelled(&field.text, label)?,
                    None => self.number_field(field, at, fields, style, wanted)?,
                },
                Kind::Word | Kind::SignedWord => match self.word_field(field, at, fields, &mut label, style, wanted)? {
                    Some(new) => new,
                    None => continue,
                },
            };
            if new & self.read != 0 {
                return Err(Fault::Syntax);
            }
            self.read |= new;
        }
        self.validate()
    }

    /// A field with punctuation: a date, or the name of a zone, or digits of a time with an offset.
    fn date_field(
        &mut self,
        field: &Field,
        at: usize,
        fields: &[Field],
        label: &mut Option<Label>,
        style: &Style,
        wanted: Wanted,
    ) -> Parsed<Mask> {
        let starts_with_digit = field.text.starts_with(|c: char| c.is_ascii_digit());
        if wanted == Wanted::Time {
            let last = fields.last().map(|f| f.kind);
            let second = fields.get(1).map(|f| f.kind);
            if at == 0 && fields.len() >= 2 && (last == Some(Kind::Date) || second == Some(Kind::Time)) {
                return self.calendar(&field.text, style);
            }
            *label = None;
            return self.time_or_zone(&field.text, starts_with_digit);
        }
        if *label == Some(Label::Julian) {
            *label = None;
            let (days, zone) = number(&field.text)?;
            self.set_julian(days)?;
            self.zone = Some(Zone::Fixed(offset(zone)?));
            return Ok(DATE | TIME | ZONE);
        }
        if label.is_some() || self.read & (MONTH | DAY) == MONTH | DAY {
            if label.take().is_some_and(|l| l != Label::Time) {
                return Err(Fault::Syntax);
            }
            return self.time_or_zone(&field.text, starts_with_digit);
        }
        self.calendar(&field.text, style)
    }

    /// `040506-08` or `america/new_york`.
    fn time_or_zone(&mut self, text: &str, starts_with_digit: bool) -> Parsed<Mask> {
        if !starts_with_digit {
            self.zone = Some(named_zone(text)?);
            return Ok(ZONE);
        }
        let minus = text.find('-').filter(|_| self.read & TIME != TIME).ok_or(Fault::Syntax)?;
        self.zone = Some(Zone::Fixed(offset(&text[minus..])?));
        Ok(self.run_together(&text[..minus], self.read | DATE)? | ZONE)
    }

    fn set_julian(&mut self, days: i64) -> Parsed<()> {
        if days < 0 {
            return Err(Fault::Range);
        }
        let (year, month, day) = civil_from_days(days - JULIAN_OF_1970);
        (self.year, self.month, self.day) = (year, month.into(), day.into());
        self.julian = true;
        Ok(())
    }

    /// A number after a label: `J2451187`, `Y2001`, `T040506`.
    fn labelled(&mut self, text: &str, label: Label) -> Parsed<Mask> {
        let (value, rest) = number(text)?;
        let fraction = rest.starts_with('.');
        let takes_fraction = matches!(label, Label::Julian | Label::Time | Label::Second);
        if (fraction && !takes_fraction) || (!fraction && !rest.is_empty()) {
            return Err(Fault::Syntax);
        }
        Ok(match label {
            Label::Year => {
                self.year = value;
                YEAR
            }
            Label::Month if self.read & MONTH != 0 && self.read & HOUR != 0 => {
                self.minute = value;
                MINUTE
            }
            Label::Month => {
                self.month = value;
                MONTH
            }
            Label::Day => {
                self.day = value;
                DAY
            }
            Label::Hour => {
                self.hour = value;
                HOUR
            }
            Label::Minute => {
                self.minute = value;
                MINUTE
            }
            Label::Second => {
                self.second = value;
                if fraction {
                    self.micros = fraction_us(rest)?;
                }
                SECOND
            }
            Label::Julian => {
                self.set_julian(value)?;
                if !fraction {
                    return Ok(DATE);
                }
                let day: f64 = format!("0{rest}").parse().map_err(|_| Fault::Syntax)?;
                self.set_time((day * US_PER_DAY as f64) as i64);
                DATE | TIME
            }
            Label::Time => {
                let read = self.run_together(text, self.read | DATE)?;
                if read != TIME {
                    return Err(Fault::Syntax);
                }
                read
            }
            Label::Other => return Err(Fault::Syntax),
        })
    }

    fn set_time(&mut self, us: i64) {
        self.hour = us / HOUR_US;
        self.minute = us / (60 * US_PER_SECOND) % 60;
        self.second = us / US_PER_SECOND % 60;
        self.micros = us % US_PER_SECOND;
    }

    /// A number without a label.
    fn number_field(
        &mut self,
        field: &Field,
        at: usize,
        fields: &[Field],
        style: &Style,
        wanted: Wanted,
    ) -> Parsed<Mask> {
        let text = field.text.as_str();
        let point = text.find('.');
        if wanted == Wanted::Time {
            return match point {
                Some(_) if at == 0 && fields.len() >= 2 && fields.last().is_some_and(|f| f.kind == Kind::Date) => {
                    self.calendar(text, style)
                }
                Some(point) if point > 2 => self.run_together(text, self.read | DATE),
                Some(_) => Err(Fault::Syntax),
                None if text.len() > 4 => self.run_together(text, self.read | DATE),
                None => {
                    let mut new = 0;
                    self.part(text, self.read | DATE, &mut new, style.date_order)?;
                    Ok(new)
                }
            };
        }
        match point {
            Some(_) if self.read & DATE == 0 => self.calendar(text, style),
            Some(point) if point > 2 => self.run_together(text, self.read),
            _ if text.len() >= 6 && (self.read & DATE == 0 || self.read & TIME == 0) => {
                self.run_together(text, self.read)
            }
            _ => {
                let mut new = 0;
                self.part(text, self.read, &mut new, style.date_order)?;
                Ok(new)
            }
        }
    }

    /// A date with separators.
    fn calendar(&mut self, text: &str, style: &Style) -> Parsed<Mask> {
        let mut parts = Vec::with_capacity(3);
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let Some(first) = rest.bytes().next() else { return Err(Fault::Syntax) };
            let same = |c: char| if first.is_ascii_digit() { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
            let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
            parts.push(&rest[..end]);
            // One character after a part is its separator, whatever it is.
            rest = rest.get(end + 1..).unwrap_or("");
        }
        let (mut read, mut new) = (self.read, 0);
        for part in parts.iter().filter(|p| p.starts_with(|c: char| c.is_ascii_alphabetic())) {
            match word(part) {
                Word::Ignored => continue,
                Word::Month(month) if read & MONTH == 0 => {
                    self.month = month;
                    self.text_month = true;
                }
                _ => return Err(Fault::Syntax),
            }
            read |= MONTH;
            new |= MONTH;
        }
        for part in parts.iter().filter(|p| p.starts_with(|c: char| c.is_ascii_digit())) {
            let mut one = 0;
            self.part(part, read, &mut one, style.date_order)?;
            if read & one != 0 {
                return Err(Fault::Syntax);
            }
            read |= one;
            new |= one;
        }
        if read & !(DAY_OF_YEAR | ZONE) & (DATE | TIME | DST | WEEKDAY | HALF | ERA) != DATE {
            return Err(Fault::Syntax);
        }
        Ok(new)
    }

    /// One number of a date, by what is known already.
    fn part(&mut self, text: &str, read: Mask, new: &mut Mask, order: DateOrder) -> Parsed<()> {
        let (value, rest) = number(text)?;
        if rest.len() == text.len() {
            return Err(Fault::Syntax);
        }
        if rest.starts_with('.') {
            if text.len() - rest.len() > 2 {
                *new = self.run_together(text, read | DATE)?;
                return Ok(());
            }
            self.micros = fraction_us(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::Syntax);
        }
        if text.len() == 3 && read & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            *new = DAY_OF_YEAR | MONTH | DAY;
            return Ok(());
        }
        let year_like = text.len() >= 3 || order == DateOrder::Ymd;
        *new = match read & DATE {
            0 if year_like => YEAR,
            0 if order == DateOrder::Dmy => DAY,
            0 => MONTH,
            YEAR | DAY => MONTH,
            MONTH if self.text_month && year_like => YEAR,
            MONTH => DAY,
            _ if read & DATE == YEAR | MONTH => {
                if self.text_month && text.len() >= 3 && self.short_year {
                    // What was taken for the year was the day.
                    self.day = self.year;
                    self.year = value;
                    self.short_year = false;
                    *new = DAY;
                    return Ok(());
                }
                DAY
            }
            _ if read & DATE == MONTH | DAY => YEAR,
            DATE => {
                *new = self.run_together(text, read)?;
                return Ok(());
            }
            _ => return Err(Fault::Syntax),
        };
        match *new {
            YEAR => {
                self.year = value;
                self.short_year = text.len() <= 2;
            }
            MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(())
    }

    /// Digits run together: `20240131`, `240131`, `040506.789`, `0405`.
    fn run_together(&mut self, text: &str, read: Mask) -> Parsed<Mask> {
        let digits = match text.find('.') {
            Some(point) => {
                self.micros = fraction_us(&text[point..])?;
                &text[..point]
            }
            None => {
                if read & DATE != DATE && text.len() >= 6 && text.is_ascii() {
                    let (year, rest) = text.split_at(text.len() - 4);
                    self.day = leading(&rest[2..]);
                    self.month = leading(&rest[..2]);
                    self.year = leading(year);
                    self.short_year |= year.len() == 2;
                    return Ok(DATE);
                }
                text
            }
        };
        if read & TIME == TIME || !matches!(digits.len(), 4 | 6) || !digits.is_ascii() {
            return Err(Fault::Syntax);
        }
        self.hour = leading(&digits[..2]);
        self.minute = leading(&digits[2..4]);
        self.second = leading(&digits[4..]);
        Ok(TIME)
    }

    /// `10:30`, `10:30:15.5`, or `30:15.5` of minutes.
    fn clock(&mut self, text: &str) -> Parsed<()> {
        let (hour, rest) = number(text)?;
        let (minute, rest) = number(rest.strip_prefix(':').ok_or(Fault::Syntax)?)?;
        (self.hour, self.minute, self.second) = (hour, minute, 0);
        if rest.starts_with('.') {
            (self.hour, self.minute, self.second) = (0, hour, minute);
            self.micros = fraction_us(rest)?;
        } else if let Some(rest) = rest.strip_prefix(':') {
            let (second, rest) = number(rest)?;
            self.second = second;
            self.micros = if rest.is_empty() { 0 } else { fraction_us(rest)? };
        } else if !rest.is_empty() {
            return Err(Fault::Syntax);
        }
        let each = self.hour >= 0 && (0..60).contains(&self.minute) && (0..=60).contains(&self.second);
        if each { Ok(()) } else { Err(Fault::Range) }
    }

    /// A word. None for one that says nothing.
    fn word_field(
        &mut self,
        field: &Field,
        at: usize,
        fields: &[Field],
        label: &mut Option<Label>,
        style: &Style,
        wanted: Wanted,
    ) -> Parsed<Option<Mask>> {
        if let Some(zone) = Zone::abbreviation(&field.text) {
            self.zone = Some(zone);
            return Ok(Some(ZONE));
        }
        let time_only = wanted == Wanted::Time;
        Ok(Some(match word(&field.text) {
            Word::Ignored => return Ok(None),
            Word::Am | Word::Pm => {
                self.afternoon = Some(field.text == "pm");
                HALF
            }
            Word::Ad | Word::Bc => {
                self.bc = field.text == "bc";
                ERA
            }
            Word::Allballs => {
                (self.hour, self.minute, self.second, self.micros) = (0, 0, 0, 0);
                self.zone = Some(Zone::Fixed(0));
                TIME | ZONE
            }
            Word::Dst => {
                self.dst = true;
                DST
            }
            Word::Now => {
                let now = style.now_us.ok_or(Fault::Syntax)?;
                let offset = style.zone.offset_at(now);
                let local = now + i64::from(offset) * US_PER_SECOND;
                self.set_time(local.rem_euclid(US_PER_DAY));
                if time_only {
                    return Ok(Some(TIME));
                }
                self.set_date(local.div_euclid(US_PER_DAY));
                self.zone = Some(Zone::Fixed(offset));
                DATE | TIME | ZONE
            }
            Word::Label(Label::Time) => {
                let date_read = self.read & DATE == DATE || time_only;
                let next = fields.get(at + 1).map(|f| f.kind);
                if !date_read || !matches!(next, Some(Kind::Number | Kind::Time | Kind::Date)) {
                    return Err(Fault::Syntax);
                }
                *label = Some(Label::Time);
                0
            }
            Word::Label(new) => {
                *label = Some(new);
                0
            }
            Word::Unknown => {
                self.zone = Some(Zone::named(&field.text).ok_or(Fault::Syntax)?);
                ZONE
            }
            _ if time_only => return Err(Fault::Syntax),
            Word::Month(month) => {
                let day_first = self.read & MONTH != 0
                    && !self.text_month
                    && self.read & DAY == 0
                    && (1..=31).contains(&self.month);
                if day_first {
                    self.day = self.month;
                }
                self.text_month = true;
                self.month = month;
                if day_first { DAY } else { MONTH }
            }
            Word::Weekday => WEEKDAY,
            Word::Today(days) => {
                let now = style.now_us.ok_or(Fault::Syntax)?;
                let local = now + i64::from(style.zone.offset_at(now)) * US_PER_SECOND;
                self.set_date(local.div_euclid(US_PER_DAY) + days);
                DATE
            }
            Word::Infinity => self.set_special(Special::Infinity),
            Word::MinusInfinity => self.set_special(Special::MinusInfinity),
            Word::Epoch => self.set_special(Special::Epoch),
        }))
    }

    fn set_special(&mut self, special: Special) -> Mask {
        self.special = Some(special);
        // It says all there is to say; the fields are of no use but must be valid.
        self.set_date(0);
        DATE | TIME | ZONE
    }

    fn set_date(&mut self, days: i64) {
        let (year, month, day) = civil_from_days(days);
        (self.year, self.month, self.day) = (year, month.into(), day.into());
    }

    /// The era and the century put in, and all parts of the date looked at.
    fn validate(&mut self) -> Parsed<()> {
        if self.read & YEAR != 0 && !self.julian {
            if self.year < i64::from(!self.short_year || self.bc) {
                return Err(Fault::Range);
            }
            if self.bc {
                self.year = 1 - self.year;
            } else if self.short_year {
                self.year += match self.year {
                    0..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            }
        }
        if self.read & DAY_OF_YEAR != 0 {
            self.set_date(days_from_civil(self.year, 1, 1) + self.day_of_year - 1);
        }
        if self.read & MONTH != 0 && !(1..=12).contains(&self.month) {
            return Err(Fault::MonthDay);
        }
        if self.read & DAY != 0 && !(1..=31).contains(&self.day) {
            return Err(Fault::MonthDay);
        }
        if self.read & DATE == DATE && self.day > i64::from(days_in_month(self.year, self.month as u32)) {
            return Err(Fault::Range);
        }
        if self.afternoon.is_some() && self.hour > 12 {
            return Err(Fault::Range);
        }
        match self.afternoon {
            Some(false) if self.hour == 12 => self.hour = 0,
            Some(true) if self.hour != 12 => self.hour += 12,
            _ => {}
        }
        // Daylight-saving time needs a zone to be added to.
        if self.read & DST != 0 && !matches!(self.zone, Some(Zone::Fixed(_))) {
            return Err(Fault::Syntax);
        }
        Ok(())
    }
}

/// The digits in front of a text; 0 where there are none.
fn leading(text: &str) -> i64 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}
