//! COPY's text and csv, cut at every place, and what is wrong in them.

use arrow::util::display::array_value_to_string;
use sightline_storage::types::SqlType;

use super::*;

fn columns(types: &[(&str, SqlType)]) -> Arc<[Column]> {
    types.iter().map(|(n, t)| Column { name: n.to_string(), ty: t.clone(), table: 0, number: 0 }).collect()
}

fn abc() -> Arc<[Column]> {
    columns(&[("a", SqlType::Integer), ("b", SqlType::Text), ("c", SqlType::Double)])
}

/// Decodes `data` cut into pieces of `cut` bytes, and shows rows as `a|b|c`.
fn decode_cut(options: &CopyOptions, data: &[u8], cut: usize) -> Result<Vec<String>> {
    let mut decoder = CopyDecoder::new(abc(), options, "t");
    let mut batches = Vec::new();
    for piece in data.chunks(cut) {
        decoder.push(piece)?;
        batches.extend(decoder.take_batch(2)?);
    }
    batches.extend(decoder.finish()?);
    let cell = |b: &RecordBatch, c: usize, r: usize| match b.column(c).is_null(r) {
        true => "NULL".to_string(),
        false => array_value_to_string(b.column(c), r).unwrap(),
    };
    let row = |b: &RecordBatch, r: usize| (0..3).map(|c| cell(b, c, r)).collect::<Vec<_>>().join("|");
    Ok(batches.iter().flat_map(|b| (0..b.num_rows()).map(|r| row(b, r)).collect::<Vec<_>>()).collect())
}

/// The rows, which must not depend on where the data is cut.
fn decode(options: &CopyOptions, data: &[u8]) -> Result<Vec<String>> {
    let whole = decode_cut(options, data, data.len().max(1));
    for cut in [1, 2, 3, 5, 7] {
        let cut = decode_cut(options, data, cut);
        match (&whole, &cut) {
            (Ok(a), Ok(b)) => assert_eq!(a, b),
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
            _ => panic!("{whole:?} but cut {cut:?}"),
        }
    }
    whole
}

fn fault(options: &CopyOptions, data: &[u8]) -> (String, String, String) {
    let e = decode(options, data).unwrap_err();
    (e.code().to_string(), e.message().to_string(), e.get_context().unwrap_or_default().to_string())
}

#[test]
fn text_format() {
    let text = CopyOptions::of(CopyFormat::Text);
    assert_eq!(decode(&text, b"1\tx\t1.5\n2\t\\N\t\\N\n").unwrap(), ["1|x|1.5", "2|NULL|NULL"]);
    assert_eq!(decode(&text, b"1\ta\\tb\\nc\\\\d\\x41\\101\\q\t0").unwrap(), ["1|a\tb\nc\\dAAq|0.0"]);
    assert_eq!(decode(&text, b"1\ta\\\nb\t0\n").unwrap(), ["1|a\nb|0.0"]);
    assert_eq!(decode(&text, b"1\tx\t1\r\n2\ty\t2\r\n").unwrap(), ["1|x|1.0", "2|y|2.0"]);
    assert_eq!(decode(&text, b"1\tx\t1\n\\.\njunk").unwrap(), ["1|x|1.0"]);
    assert_eq!(decode(&text, b"").unwrap(), [""; 0]);
    let header = CopyOptions { header: Header::Yes, delimiter: b'|', null: "-".into(), ..text };
    assert_eq!(decode(&header, b"a|b|c\n1|-|-\n").unwrap(), ["1|NULL|NULL"]);
}

#[test]
fn csv_format() {
    let csv = CopyOptions::of(CopyFormat::Csv);
    assert_eq!(decode(&csv, b"1,x,1.5\n2,,\n").unwrap(), ["1|x|1.5", "2|NULL|NULL"]);
    assert_eq!(decode(&csv, b"1,\"\",1\n2,\"a,\"\"b\"\"\nc\",2\n").unwrap(), ["1||1.0", "2|a,\"b\"\nc|2.0"]);
    assert_eq!(decode(&csv, b"1,a\"b,c\"d,1\r\n2, x ,2\r\n").unwrap(), ["1|ab,cd|1.0", "2| x |2.0"]);
    assert_eq!(decode(&csv, b"1,a\\,1").unwrap(), ["1|a\\|1.0"]);
    let escaped = CopyOptions { quote: b'\'', escape: b'\\', delimiter: b';', ..csv };
    assert_eq!(decode(&escaped, b"1;'a\\'b\\\\\\n\n;c';1\n").unwrap(), ["1|a'b\\\\n\n;c|1.0"]);
}

#[test]
fn errors_say_where() {
    let text = CopyOptions::of(CopyFormat::Text);
    let csv = CopyOptions { header: Header::Yes, ..CopyOptions::of(CopyFormat::Csv) };
    let same = |(code, message, context): (String, String, String), wanted: [&str; 3]| {
        assert_eq!([code.as_str(), message.as_str(), context.as_str()], wanted);
    };
    same(
        fault(&text, b"1\ta\t1\nx\tb\t2\n"),
        ["22P02", "invalid input syntax for type integer: \"x\"", "COPY t, line 2, column a: \"x\""],
    );
    same(fault(&text, b"1\ta\n"), ["22P04", "missing data for column \"c\"", "COPY t, line 1: \"1\ta\""]);
    same(
        fault(&text, b"\n"),
        ["22P02", "invalid input syntax for type integer: \"\"", "COPY t, line 1, column a: \"\""],
    );
    same(
        fault(&csv, b"a,b,c\n1,\"x\ny\",2\n1,2,3,4\n"),
        ["22P04", "extra data after last expected column", "COPY t, line 4: \"1,2,3,4\""],
    );
    same(fault(&csv, b"a,b,c\n1,\"x"), ["22P04", "unterminated CSV quoted field", "COPY t, line 2: \"1,\"x\""]);
    same(
        fault(&text, b"1\t\xff\t1\n"),
        ["22021", "invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 1"],
    );
    same(fault(&text, b"1\ta\t1\r\n1\ta\t1\n"), ["22P04", "literal newline found in data", "COPY t, line 2"]);
}

/// Lines of a file end each as they like, wherever it is cut; what stands in quotes stays.
#[test]
fn ends_of_lines_in_files() {
    let data = b"1,a,1\r\n2,b,2\n\r\n3,c,3\r4,\"d\r\ne\rf\",4\r";
    for cut in 1..=data.len() {
        let mut decoder = CopyDecoder::new(abc(), &CopyOptions::of(CopyFormat::Csv), "");
        decoder = decoder.of_file("f".into(), false, vec![]);
        data.chunks(cut).for_each(|piece| decoder.push(piece).unwrap());
        let rows = decoder.finish().unwrap().unwrap();
        let texts = (0..4).map(|n| array_value_to_string(rows.column(1), n).unwrap()).collect::<Vec<_>>();
        assert_eq!(texts, ["a", "b", "c", "d\r\ne\rf"], "{cut}");
    }
}

/// What the encoder writes, the decoder reads.
#[test]
fn round_trip_of_random_texts() {
    use arrow::array::{Float64Array, Int32Array, StringViewArray};
    let mut seed = 1u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    let pieces = ["a", "\t", "\n", "\\", "\"", ",", "'", "\r", "ä", "", "N", ".", " "];
    for format in [CopyFormat::Text, CopyFormat::Csv] {
        let options = CopyOptions::of(format);
        let texts: Vec<Option<String>> = (0..500)
            .map(|_| (next(9) > 0).then(|| (0..next(6)).map(|_| pieces[next(13) as usize]).collect()))
            .collect();
        let ints = Int32Array::from_iter((0..500).map(|i| (i % 7 > 0).then_some(i - 250)));
        let floats = Float64Array::from_iter_values((0..500).map(f64::from));
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(ints) as _),
            ("b", Arc::new(StringViewArray::from_iter(texts.clone())) as _),
            ("c", Arc::new(floats) as _),
        ])
        .unwrap();
        let mut encoder = super::super::CopyEncoder::new(abc(), &options, Style::default()).unwrap();
        let mut data = Vec::new();
        let cells = encoder.prepare(&batch).unwrap();
        (0..500).for_each(|r| encoder.write_row(&cells, r, &mut data).unwrap());
        let mut decoder = CopyDecoder::new(abc(), &options, "t");
        data.chunks(13).for_each(|piece| decoder.push(piece).unwrap());
        let again = decoder.finish().unwrap().unwrap();
        assert_eq!(batch.columns(), again.columns());
    }
}

/// Run with `--release -- --ignored --nocapture` to see the rate: a million narrow rows a second and core is the aim.
#[test]
#[ignore = "a measurement"]
fn rate() {
    let line = b"20240131,1,AA,N12345,JFK,LAX,-3,2475\n";
    let types = [
        ("d", SqlType::Date),
        ("n", SqlType::Integer),
        ("carrier", SqlType::Text),
        ("tail", SqlType::Text),
        ("origin", SqlType::Text),
        ("dest", SqlType::Text),
        ("delay", SqlType::Integer),
        ("distance", SqlType::Integer),
    ];
    let data = line.repeat(100_000);
    let mut decoder = CopyDecoder::new(columns(&types), &CopyOptions::of(CopyFormat::Csv), "t");
    let start = std::time::Instant::now();
    let mut rows = 0;
    for _ in 0..10 {
        for piece in data.chunks(65536) {
            decoder.push(piece).unwrap();
            rows += decoder.take_batch(8192).unwrap().map_or(0, |b| b.num_rows());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!(rows > 900_000);
    assert!(seconds < 1.0 || cfg!(debug_assertions), "{rows} rows took {seconds} s");
}
