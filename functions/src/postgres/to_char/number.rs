//! Numbers by a template, as PostgreSQL's `NUM_processor` does it; the names of the fields are its own, so that the two
//! can be read side by side. The locale is C: a point, commas, a blank for currency.

use datafusion_common::Result;

use crate::error::{FunctionError, refuse};

/// The most significant digits that a double is printed with.
const DOUBLE_DIGITS: usize = 15;

/// What is printed.
pub(super) enum Input<'a> {
    /// All digits, as text.
    Exact(&'a str),
    Float(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Comma,
    Dec,
    Zero,
    Nine,
    Blank,
    Exponent,
    Fill,
    Group,
    Currency,
    Minus,
    Plus,
    Bracket,
    RomanUpper,
    RomanLower,
    Sign,
    AnySign,
    OrdinalUpper,
    OrdinalLower,
    Shift,
}

const KEYS: [(&str, Key); 20] = [
    (",", Key::Comma),
    (".", Key::Dec),
    ("0", Key::Zero),
    ("9", Key::Nine),
    ("B", Key::Blank),
    ("D", Key::Dec),
    ("EEEE", Key::Exponent),
    ("FM", Key::Fill),
    ("G", Key::Group),
    ("L", Key::Currency),
    ("MI", Key::Minus),
    ("PL", Key::Plus),
    ("PR", Key::Bracket),
    ("RN", Key::RomanUpper),
    ("rn", Key::RomanLower),
    ("SG", Key::AnySign),
    ("S", Key::Sign),
    ("TH", Key::OrdinalUpper),
    ("th", Key::OrdinalLower),
    ("V", Key::Shift),
];

enum Node {
    Key(Key),
    Literal(char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    None,
    Before,
    After,
}

/// What a template asks for.
struct Format {
    nodes: Vec<Node>,
    pre: usize,
    post: usize,
    multi: usize,
    zero_start: usize,
    zero_end: usize,
    pre_sign: usize,
    sign: Sign,
    has_zero: bool,
    decimal: bool,
    fill: bool,
    bracket: bool,
    plus: bool,
    minus: bool,
    roman: bool,
    exponent: bool,
    shift: bool,
}

fn find(text: &str) -> Option<(usize, Key)> {
    let lower_too = |key: &str| !matches!(key, "RN" | "rn" | "TH" | "th");
    KEYS.iter().find_map(|(key, id)| {
        let head = text.get(..key.len())?;
        (head == *key || (lower_too(key) && head == key.to_lowercase())).then_some((key.len(), *id))
    })
}

impl Format {
    fn parse(template: &str) -> Result<Format> {
        let mut format = Format {
            nodes: Vec::new(),
            pre: 0,
            post: 0,
            multi: 0,
            zero_start: 0,
            zero_end: 0,
            pre_sign: 0,
            sign: Sign::None,
            has_zero: false,
            decimal: false,
            fill: false,
            bracket: false,
            plus: false,
            minus: false,
            roman: false,
            exponent: false,
            shift: false,
        };
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            if let Some((length, key)) = find(rest) {
                format.key(key)?;
                rest = &rest[length..];
                continue;
            }
            rest = &rest[first.len_utf8()..];
            match first {
                '"' => rest = format.quoted(rest),
                '\\' if rest.starts_with('"') => {
                    format.nodes.push(Node::Literal('"'));
                    rest = &rest[1..];
                }
                other => format.nodes.push(Node::Literal(other)),
            }
        }
        Ok(format)
    }

    fn quoted<'a>(&mut self, text: &'a str) -> &'a str {
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return &text[at + 1..],
                '\\' => {
                    if let Some((_, escaped)) = chars.next() {
                        self.nodes.push(Node::Literal(escaped));
                    }
                }
                other => self.nodes.push(Node::Literal(other)),
            }
        }
        ""
    }

    fn key(&mut self, key: Key) -> Result<()> {
        let wrong = |message: &str| refuse("42601", message);
        if self.exponent && key != Key::Exponent {
            return wrong("\"EEEE\" must be the last pattern used");
        }
        match key {
            Key::Nine => {
                if self.bracket {
                    return wrong("\"9\" must be ahead of \"PR\"");
                }
                if self.shift {
                    self.multi += 1;
                } else if self.decimal {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
            }
            Key::Zero => {
                if self.bracket {
                    return wrong("\"0\" must be ahead of \"PR\"");
                }
                if !self.has_zero && !self.decimal {
                    self.has_zero = true;
                    self.zero_start = self.pre + 1;
                }
                if self.decimal {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
                self.zero_end = self.pre + self.post;
            }
            Key::Dec => {
                if self.decimal {
                    return wrong("multiple decimal points");
                }
                if self.shift {
                    return wrong("cannot use \"V\" and decimal point together");
                }
                self.decimal = true;
            }
            Key::Fill => self.fill = true,
            Key::Sign => {
                if self.sign != Sign::None {
                    return wrong("cannot use \"S\" twice");
                }
                if self.plus || self.minus || self.bracket {
                    return wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
                }
                if self.decimal {
                    self.sign = Sign::After;
                } else {
                    self.sign = Sign::Before;
                    self.pre_sign = self.pre;
                }
            }
            Key::Minus | Key::Plus | Key::AnySign if self.sign != Sign::None => {
                return wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
            }
            Key::Minus => self.minus = true,
            Key::Plus => self.plus = true,
            Key::AnySign => (self.minus, self.plus) = (true, true),
            Key::Bracket => {
                if self.sign != Sign::None || self.plus || self.minus {
                    return wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
                }
                self.bracket = true;
            }
            Key::RomanUpper | Key::RomanLower => self.roman = true,
            Key::Shift => {
                if self.decimal {
                    return wrong("cannot use \"V\" and decimal point together");
                }
                self.shift = true;
            }
            Key::Exponent => {
                if self.exponent {
                    return wrong("cannot use \"EEEE\" twice");
                }
                if self.fill
                    || self.sign != Sign::None
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.shift
                {
                    return Err(FunctionError::new("42601", "\"EEEE\" is incompatible with other formats")
                        .hint("\"EEEE\" may only be used together with digit and decimal point patterns.")
                        .into());
                }
                self.exponent = true;
            }
            Key::Blank | Key::Comma | Key::Group | Key::Currency | Key::OrdinalUpper | Key::OrdinalLower => {}
        }
        self.nodes.push(Node::Key(key));
        Ok(())
    }
}

/// The number by the template.
pub(super) fn to_char(input: &Input<'_>, template: &str) -> Result<String> {
    if template.is_empty() {
        return Ok(String::new());
    }
    let mut format = Format::parse(template)?;
    if format.roman {
        return Ok(roman(input, &format));
    }
    if format.exponent {
        return exponent(input, &format);
    }
    if format.shift {
        format.pre += format.multi;
    }
    let mut text = match input {
        Input::Exact(text) => round(&shifted(text, format.multi), format.post),
        Input::Float(value) if value.is_nan() => "NaN".to_string(),
        Input::Float(value) if value.is_infinite() => format!("{}Infinity", if *value < 0.0 { "-" } else { "" }),
        Input::Float(value) => {
            let value = value * 10_f64.powi(i32::try_from(format.multi).unwrap_or(i32::MAX));
            let length = format!("{:.0}", value.abs()).len();
            if length >= DOUBLE_DIGITS {
                format.post = 0;
            } else if length + format.post > DOUBLE_DIGITS {
                format.post = DOUBLE_DIGITS - length;
            }
            format!("{value:.*}", format.post)
        }
    };
    let sign = if text.starts_with('-') { '-' } else { '+' };
    if sign == '-' {
        text.remove(0);
    }
    let length = text.find('.').unwrap_or(text.len());
    let mut spaces = 0;
    if length < format.pre {
        spaces = format.pre - length;
    } else if length > format.pre {
        text = "#".repeat(format.pre) + "." + &"#".repeat(format.post);
    }
    Ok(Printer::new(&mut format, sign, &text, spaces).run())
}

/// The decimal number with its point moved `by` digits to the right.
fn shifted(text: &str, by: usize) -> String {
    if by == 0 {
        return text.to_string();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut fraction = fraction.to_string();
    while fraction.len() < by {
        fraction.push('0');
    }
    let (moved, rest) = fraction.split_at(by);
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |d| ("-", d));
    let whole = format!("{digits}{moved}");
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// The decimal number with exactly `places` digits behind the point, half away from zero.
pub(super) fn round(text: &str, places: usize) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |d| ("-", d));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut fraction = fraction.to_string();
    while fraction.len() < places {
        fraction.push('0');
    }
    let up = fraction.as_bytes().get(places).is_some_and(|d| *d >= b'5');
    let mut all = format!("{whole}{}", &fraction[..places]).into_bytes();
    if up {
        increment(&mut all);
    }
    let all = String::from_utf8(all).expect("digits are ASCII");
    let (whole, fraction) = all.split_at(all.len() - places);
    let whole = if whole.is_empty() { "0" } else { whole };
    let zero = all.bytes().all(|d| d == b'0');
    let sign = if zero { "" } else { sign };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// The running state of one number's printing.
struct Printer<'a> {
    format: &'a mut Format,
    sign: char,
    number: &'a [u8],
    /// The next digit.
    at: usize,
    out: String,
    spaces: usize,
    count: usize,
    current: usize,
    last_relevant: Option<usize>,
    sign_wrote: bool,
    num_in: bool,
}

impl<'a> Printer<'a> {
    fn new(format: &'a mut Format, sign: char, number: &'a str, spaces: usize) -> Printer<'a> {
        let sign_wrote = if format.plus || format.minus {
            !format.plus || format.minus
        } else {
            if sign != '-' && format.fill {
                format.bracket = false;
            }
            if format.sign == Sign::Before && format.pre == format.pre_sign {
                format.sign = Sign::After;
            }
            sign == '+' && format.fill && format.sign == Sign::None
        };
        format.zero_start = format.zero_start.saturating_sub(1);
        let number = number.as_bytes();
        let mut last_relevant = None;
        if format.fill && format.decimal {
            last_relevant = relevant(number);
            if let Some(last) = last_relevant
                && format.zero_end > spaces
            {
                let zero = (number.len() - 1).min(format.zero_end - spaces);
                last_relevant = Some(last.max(zero));
            }
        }
        let mut count = (format.pre + format.post).saturating_sub(1);
        if !sign_wrote && spaces == 0 {
            count += 1;
        }
        Printer {
            format,
            sign,
            number,
            at: 0,
            out: String::new(),
            spaces,
            count,
            current: 0,
            last_relevant,
            sign_wrote,
            num_in: false,
        }
    }

    fn run(mut self) -> String {
        let nodes = std::mem::take(&mut self.format.nodes);
        for node in &nodes {
            match node {
                Node::Literal(c) => self.out.push(*c),
                Node::Key(key) => self.key(*key),
            }
        }
        self.out
    }

    fn key(&mut self, key: Key) {
        match key {
            Key::Nine | Key::Zero | Key::Dec => self.digit(key),
            Key::Comma | Key::Group => match (self.num_in, self.format.fill) {
                (true, _) => self.out.push(','),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            },
            Key::Currency => self.out.push(' '),
            Key::OrdinalUpper | Key::OrdinalLower => {
                if self.number.first() != Some(&b'#') && self.sign != '-' && !self.format.decimal {
                    let suffix = ordinal(self.number);
                    let lower = key == Key::OrdinalLower;
                    self.out.push_str(&if lower { suffix.to_lowercase() } else { suffix.to_string() });
                }
            }
            Key::Minus => match (self.sign, self.format.fill) {
                ('-', _) => self.out.push('-'),
                (_, true) => {}
                (_, false) => self.out.push(' '),
            },
            Key::Plus => match (self.sign, self.format.fill) {
                ('+', _) => self.out.push('+'),
                (_, true) => {}
                (_, false) => self.out.push(' '),
            },
            Key::AnySign => self.out.push(self.sign),
            Key::Blank
            | Key::Exponent
            | Key::Fill
            | Key::Bracket
            | Key::RomanUpper
            | Key::RomanLower
            | Key::Sign
            | Key::Shift => {}
        }
    }

    /// "9.9" prints 0.1 as " .1".
    fn blank_before_point(&self) -> bool {
        !self.format.has_zero && self.at == 0 && self.number.first() == Some(&b'0') && self.format.post != 0
    }

    fn relevant_is_point(&self) -> bool {
        self.last_relevant.is_some_and(|l| self.number.get(l) == Some(&b'.'))
    }

    fn digit(&mut self, key: Key) {
        self.num_in = false;
        let zeros = self.format.has_zero && self.format.zero_start <= self.current;
        let starts = self.current >= self.spaces || (self.format.has_zero && self.format.zero_start == self.current);
        if !self.sign_wrote && starts && (!self.blank_before_point() || self.relevant_is_point()) {
            self.leading_sign();
        }
        if self.current < self.spaces && !zeros {
            if !self.format.fill {
                self.out.push(' ');
            }
        } else if self.current < self.spaces {
            self.out.push('0');
            self.num_in = true;
        } else {
            self.written(key);
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(self.format.decimal);
        if self.last_relevant.is_some_and(|l| l == self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            self.trailing_sign();
        }
        self.current += 1;
    }

    fn leading_sign(&mut self) {
        if self.format.sign != Sign::None {
            if self.format.sign == Sign::Before {
                self.out.push(self.sign);
                self.sign_wrote = true;
            }
        } else if self.format.bracket {
            self.out.push(if self.sign == '+' { ' ' } else { '<' });
            self.sign_wrote = true;
        } else {
            if self.sign == '-' {
                self.out.push('-');
            } else if !self.format.fill {
                self.out.push(' ');
            }
            self.sign_wrote = true;
        }
    }

    fn trailing_sign(&mut self) {
        if self.sign_wrote && self.format.bracket {
            self.out.push(if self.sign == '+' { ' ' } else { '>' });
        } else if self.format.sign == Sign::After {
            self.out.push(self.sign);
        }
    }

    /// The next digit or the point.
    fn written(&mut self, key: Key) {
        match self.number.get(self.at) {
            Some(b'.') => {
                if !self.relevant_is_point() || self.format.fill {
                    self.out.push('.');
                }
            }
            digit => {
                let beyond = self.last_relevant.is_some_and(|l| self.at > l) && key != Key::Zero;
                if beyond {
                } else if self.blank_before_point() {
                    if !self.format.fill {
                        self.out.push(' ');
                    } else if self.relevant_is_point() {
                        self.out.push('0');
                    }
                } else if let Some(digit) = digit {
                    self.out.push(char::from(*digit));
                    self.num_in = true;
                }
            }
        }
        if self.at < self.number.len() {
            self.at += 1;
        }
    }
}

/// The last digit behind the point that is not 0, or the point.
fn relevant(number: &[u8]) -> Option<usize> {
    let point = number.iter().position(|c| *c == b'.')?;
    let last = number[point + 1..].iter().rposition(|c| *c != b'0');
    Some(last.map_or(point, |l| point + 1 + l))
}

/// `ST`, `ND`, `RD` or `TH` for a whole number.
pub(super) fn ordinal(digits: &[u8]) -> &'static str {
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    match digits.last() {
        Some(b'1') if !teen => "ST",
        Some(b'2') if !teen => "ND",
        Some(b'3') if !teen => "RD",
        _ => "TH",
    }
}

/// The width of a Roman numeral without FM.
const ROMAN_WIDTH: usize = 15;

fn roman(input: &Input<'_>, format: &Format) -> String {
    let value = match input {
        Input::Exact(text) => round(text, 0).parse::<i64>().unwrap_or(-1),
        Input::Float(value) => round(&format!("{value:.6}"), 0).parse().unwrap_or(-1),
    };
    let numeral = numeral(value);
    let mut out = String::new();
    for node in &format.nodes {
        match node {
            Node::Literal(c) => out.push(*c),
            Node::Key(key @ (Key::RomanUpper | Key::RomanLower)) => {
                let text = if *key == Key::RomanLower { numeral.to_lowercase() } else { numeral.clone() };
                out.push_str(&if format.fill { text } else { format!("{text:>ROMAN_WIDTH$}") });
            }
            Node::Key(_) => {}
        }
    }
    out
}

fn numeral(value: i64) -> String {
    if !(1..=3999).contains(&value) {
        return "#".repeat(ROMAN_WIDTH);
    }
    const PARTS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = value;
    let mut text = String::new();
    for (size, letters) in PARTS {
        while rest >= size {
            text.push_str(letters);
            rest -= size;
        }
    }
    text
}

/// Scientific notation: a blank or a minus, one digit, the digits asked for, and an exponent of two digits or more.
fn exponent(input: &Input<'_>, format: &Format) -> Result<String> {
    let value = match input {
        Input::Exact(text) => exact_exponent(text, format.post),
        Input::Float(value) if !value.is_finite() => {
            return Ok(format!(" {}.{}{}", "#".repeat(format.pre), "#".repeat(format.post), "####"));
        }
        Input::Float(value) => spelled_exponent(&format!("{value:.*e}", format.post)),
    };
    Ok(if value.starts_with('-') { value } else { format!(" {value}") })
}

/// Rust's `1.5e-7` as C's `1.5e-07`.
fn spelled_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn exact_exponent(text: &str, places: usize) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |d| ("-", d));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let Some(first) = all.find(|c| c != '0') else {
        return spelled_exponent(&format!("{}e0", round("0", places)));
    };
    let exponent = i64::try_from(whole.len()).unwrap_or(0) - 1 - i64::try_from(first).unwrap_or(0);
    let significant = &all[first..];
    // Rounding up to 10 leaves two digits before the point, as in PostgreSQL.
    let mantissa = round(&format!("{}.{}", &significant[..1], &significant[1..]), places);
    spelled_exponent(&format!("{sign}{mantissa}e{exponent}"))
}
