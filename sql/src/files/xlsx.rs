//! Excel's sheets (`.xlsx`) as rows of csv. calamine reads the cells one after another; what it holds in memory, the table
//! of strings and the formats, is measured before.

use std::io::{BufReader, Read, Seek};

use calamine::{DataRef, Reader, Xlsx};
use sightline_storage::error::{Error, Result, SqlState};

use super::Opened;

/// A workbook may be unpacked to so many times its size …
const RATIO_MAX: u64 = 200;
/// … and to this much whatever its size.
const UNPACKED_MIN: u64 = 64 << 20;
/// Parts of it that are held in memory.
const HELD_MAX: u64 = 128 << 20;
/// Rows that tell where a table lies in its sheet.
const ROWS_LOOKED_AT: usize = 20_000;
/// Bytes that are handed on together.
const CHUNK_BYTES: usize = 256 << 10;

/// Where the table lies.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    name: String,
    /// The first column, and how many there are.
    first: u32,
    width: usize,
}

/// Where the table of a sheet lies, and its beginning as csv; true if that is all. Without a name it is the first sheet.
///
/// # Errors
/// 22P04 for what is no workbook; 54000 for one that unpacks to too much; 22023 for a sheet that there is not.
pub(super) fn look(file: Opened, path: &str, sheet: Option<&str>) -> Result<(Sheet, Vec<u8>, bool)> {
    let faults = file.faults();
    looked_at(file, path, sheet).map_err(|e| faults.or(e))
}

fn looked_at(mut file: Opened, path: &str, sheet: Option<&str>) -> Result<(Sheet, Vec<u8>, bool)> {
    measure(&mut file, path)?;
    let mut book = open(file, path)?;
    let names = book.sheet_names();
    let name = match sheet {
        Some(name) if names.iter().any(|n| n == name) => name.to_string(),
        Some(name) => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("file \"{path}\" has no sheet \"{name}\""),
            )
            .hint(format!("Its sheets are {}.", names.join(", "))));
        }
        None => names.first().cloned().ok_or_else(|| broken(path, "It has no sheet."))?,
    };
    let mut rows: Vec<Vec<(u32, String)>> = Vec::new();
    let mut whole = true;
    each_row(&mut book, path, &name, |cells| {
        whole = rows.len() < ROWS_LOOKED_AT;
        if whole {
            rows.push(cells);
        }
        Ok(whole)
    })?;
    let columns = || rows.iter().flatten().map(|(column, _)| *column);
    let first = columns().min().unwrap_or(0);
    let width = columns().max().map_or(0, |last| (last - first + 1) as usize);
    let sheet = Sheet { name, first, width };
    let mut out = Vec::new();
    rows.into_iter().try_for_each(|row| sheet.write(row, &mut out, path))?;
    Ok((sheet, out, whole))
}

/// Hands on the rows of a sheet as csv, until nobody takes them.
///
/// # Errors
/// As [`look`].
pub(super) fn read(file: Opened, path: &str, sheet: &Sheet, give: impl FnMut(Vec<u8>) -> bool) -> Result<()> {
    let faults = file.faults();
    give_rows(file, path, sheet, give).map_err(|e| faults.or(e))
}

fn give_rows(file: Opened, path: &str, sheet: &Sheet, mut give: impl FnMut(Vec<u8>) -> bool) -> Result<()> {
    let mut book = open(file, path)?;
    let mut out = Vec::new();
    each_row(&mut book, path, &sheet.name, |cells| {
        sheet.write(cells, &mut out, path)?;
        Ok(out.len() < CHUNK_BYTES || give(std::mem::take(&mut out)))
    })?;
    if !out.is_empty() {
        give(out);
    }
    Ok(())
}

impl Sheet {
    /// Appends a row of csv.
    fn write(&self, cells: Vec<(u32, String)>, out: &mut Vec<u8>, path: &str) -> Result<()> {
        let mut at = 0;
        for (column, text) in cells {
            let place = column.checked_sub(self.first).map(|n| n as usize).filter(|n| *n < self.width && *n >= at);
            let Some(place) = place else {
                let text = format!("a cell of file \"{path}\" stands outside of the columns that the table has");
                return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text));
            };
            out.extend(std::iter::repeat_n(b',', place - at));
            at = place;
            super::quoted(&text, out);
        }
        out.extend(std::iter::repeat_n(b',', self.width.saturating_sub(at + 1)));
        out.push(b'\n');
        Ok(())
    }
}

type Book = Xlsx<BufReader<Opened>>;

fn open(mut file: Opened, path: &str) -> Result<Book> {
    file.rewind()?;
    Xlsx::new(BufReader::new(file)).map_err(|e| broken(path, &e.to_string()))
}

/// The rows that have cells: their columns and texts. `take` answers whether to go on.
fn each_row(
    book: &mut Book,
    path: &str,
    sheet: &str,
    mut take: impl FnMut(Vec<(u32, String)>) -> Result<bool>,
) -> Result<()> {
    let fault = |e: calamine::XlsxError| broken(path, &e.to_string());
    let mut cells = book.worksheet_cells_reader(sheet).map_err(fault)?;
    let mut row: Option<(u32, Vec<(u32, String)>)> = None;
    while let Some(cell) = cells.next_cell().map_err(fault)? {
        let (number, column) = cell.get_position();
        let Some(text) = text(cell.get_value()) else { continue };
        match &mut row {
            Some((at, cells)) if *at == number => cells.push((column, text)),
            _ => {
                if let Some((_, cells)) = row.replace((number, vec![(column, text)]))
                    && !take(cells)?
                {
                    return Ok(());
                }
            }
        }
    }
    if let Some((_, cells)) = row {
        take(cells)?;
    }
    Ok(())
}

/// A value as text; none for an empty cell, and for a fault such as `#N/A`.
fn text(value: &DataRef<'_>) -> Option<String> {
    Some(match value {
        DataRef::Empty | DataRef::Error(_) => return None,
        DataRef::Int(n) => n.to_string(),
        // Excel knows no integers: 5 is 5.0.
        DataRef::Float(n) if n.fract() == 0.0 && n.abs() < 1e15 => format!("{n:.0}"),
        DataRef::Float(n) => n.to_string(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_string(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::DateTime(moment) => {
            let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
            let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
            let value = moment.as_f64();
            if moment.is_duration() {
                let hours = (value * 24.0).floor();
                format!("{hours:02.0}:{minute:02}:{second:02}{fraction}")
            } else if value < 1.0 {
                format!("{hour:02}:{minute:02}:{second:02}{fraction}")
            } else if value.fract() == 0.0 {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
            }
        }
    })
}

/// Unpacks all of the workbook once, to see how much it is.
fn measure(file: &mut Opened, path: &str) -> Result<()> {
    let size = file.size()?;
    let fault = |e: &dyn std::fmt::Display| broken(path, &e.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| fault(&e))?;
    let most = UNPACKED_MIN.max(size.saturating_mul(RATIO_MAX));
    let mut total = 0;
    for n in 0..archive.len() {
        let entry = archive.by_index(n).map_err(|e| fault(&e))?;
        let held = !entry.name().is_ok_and(|name| name.starts_with("xl/worksheets/"));
        let left = if held { HELD_MAX.min(most - total) } else { most - total };
        let read = std::io::copy(&mut entry.take(left + 1), &mut std::io::sink()).map_err(|e| fault(&e))?;
        total += read;
        if read > left {
            let text = format!("file \"{path}\" unpacks to too much");
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text).detail(format!(
                "A workbook may be unpacked to {RATIO_MAX} times its size, its strings to {} MB.",
                HELD_MAX >> 20
            )));
        }
    }
    Ok(())
}

fn broken(path: &str, detail: &str) -> Error {
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, format!("file \"{path}\" is no valid xlsx workbook")).detail(detail)
}
