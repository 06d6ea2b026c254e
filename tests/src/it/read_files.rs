//! Files as relations: `read_csv`, `read_json` and their kin, what they find out by themselves, and what they refuse.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use libtest_mimic::Trial;

use crate::files::{Files, ask, script};
use crate::pg_client::Client;
use crate::server::USER;
use crate::support::{Outcome, ensure, ensure_eq, repository, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("read_files::real_data", real_data));
    trials.push(trial("read_files::csv", csv));
    trials.push(trial("read_files::encodings", encodings));
    trials.push(trial("read_files::several_files", several));
    trials.push(trial("read_files::json", json));
    trials.push(trial("read_files::parquet", parquet));
    trials.push(trial("read_files::xlsx", xlsx));
    trials.push(trial("read_files::by_privilege_only", privilege));
    trials.push(trial("read_files::bombs_and_long_lines", bombs));
}

/// The files of others as they are, one statement each.
async fn real_data() -> Outcome {
    let files = Files::new()?;
    let mut client = files.server.connect().await?;
    // Purchases of the CDNOW set's form: blanks in front and between, numbers with leading zeros, days as eight digits.
    let mut cdnow = " customer_id  date number_of_cds  dollar_value\r\n".to_string();
    for n in 0..2000 {
        cdnow.push_str(&format!(
            " {:05} 1997{:02}{:02}  {}   {}.{:02}\r\n",
            n / 3 + 1,
            n % 12 + 1,
            n % 28 + 1,
            n % 9 + 1,
            n % 90,
            n % 100
        ));
    }
    files.put("cdnow.txt", cdnow)?;
    script(
        &mut client,
        &[
            ("CREATE TABLE cdnow AS SELECT * FROM read_csv('cdnow.txt')", "SELECT 2000"),
            (
                "SELECT count(*), count(DISTINCT customer_id), min(customer_id), min(date), max(date) FROM cdnow",
                "2000,667,00001,1997-01-01,1997-12-28",
            ),
            (
                "SELECT string_agg(column_name || ' ' || data_type, ', ') FROM sys.detect('cdnow.txt')",
                "customer_id text, date date, number_of_cds bigint, dollar_value double precision",
            ),
            ("SELECT DISTINCT delimiter, header, encoding FROM sys.detect('cdnow.txt')", "blanks,t,UTF-8"),
        ],
    )
    .await?;
    let demo = repository().join("demo/data");
    for (name, rows) in [("airports.csv", 3376), ("birdstrikes.csv", 10_000), ("seattle-weather.csv", 1461)] {
        let at = [demo.join(name), Path::new("/work/shared/data").join(name)];
        let Some(path) = at.iter().find(|p| p.exists()) else { continue };
        std::fs::copy(path, files.root().join(name))?;
        let made = ask(&mut client, &format!("CREATE TABLE \"{name}\" AS SELECT * FROM read_csv('{name}')")).await?;
        ensure_eq!(made, format!("SELECT {rows}"), "{name}");
    }
    if files.root().join("birdstrikes.csv").exists() {
        let sql = "SELECT min(\"Flight Date\"), sum(\"Cost Total $\"), count(DISTINCT \"Origin State\") FROM \"birdstrikes.csv\"";
        let got = ask(&mut client, sql).await?;
        ensure!(got.starts_with("1990-01-08,40545276,"), "birdstrikes: {got}");
    }
    Ok(())
}

async fn csv() -> Outcome {
    let files = Files::new()?;
    files.put("plain.csv", "id,name,price,day,seen,ok,zip\n1,one,1.5,2024-01-31,2024-01-31 10:00:00,true,00501\n2,\"two, \"\"2\"\"\nlines\",-2,2024-02-29,2024-02-29T23:59:59.5,false,10001\n3,,,,,,\n")?;
    files.put("semicolon.csv", "\u{feff}a;b\r\n1;x\r\n2;y\n\n3;z")?;
    files.put("tabs.tsv", "a\tb\n1\t2\n")?;
    files.put("cr.csv", "a,b\r1,2\r3,4")?;
    files.put("headless.csv", "1,2\n3,4\n")?;
    files.put("ragged.csv", "a,b\n1,2\n3\n")?;
    files.put("wide.csv", "a,b\n1,2\n3,4,5\n")?;
    files.put("open.csv", "a,b\n1,\"2\n3,4\n")?;
    files.put("empty.csv", "")?;
    files.put("nulls.csv", "a,b\n1,NA\nNA,2\n")?;
    files.put("binary", [0_u8, 1, 2, 255, 254, 0, 3, 200])?;
    let mut late = "n\n".to_string();
    (0..200_000).for_each(|n| late.push_str(&format!("{n}\n")));
    late.push_str("many\n");
    files.put("late.csv", &late)?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            (
                "SELECT string_agg(column_name || ' ' || data_type, ', ') FROM sys.detect('plain.csv')",
                "id bigint, name text, price double precision, day date, seen timestamp without time zone, ok boolean, zip text",
            ),
            ("SELECT samples FROM sys.detect('plain.csv') WHERE column_name = 'id'", "{1,2,3}"),
            ("SELECT id, name, price, zip FROM read_csv('plain.csv') WHERE ok", "1,one,1.5,00501"),
            ("SELECT name FROM read_csv('plain.csv') WHERE id = 2", "two, \"2\"\nlines"),
            ("SELECT count(*), count(name), count(seen) FROM read_csv('plain.csv')", "3,2,2"),
            ("SELECT * FROM read_csv('semicolon.csv')", "1,x;2,y;3,z"),
            ("SELECT a + b FROM read_csv('tabs.tsv')", "3"),
            ("SELECT sum(a), sum(b) FROM read_csv('cr.csv')", "4,6"),
            ("SELECT column1, column2 FROM read_csv('headless.csv')", "1,2;3,4"),
            ("SELECT * FROM read_csv('headless.csv', header => true)", "3,4"),
            ("SELECT x, y FROM read_csv('headless.csv') AS t(x, y)", "1,2;3,4"),
            ("SELECT a FROM read_csv('headless.csv', columns => 'a text, b numeric(5,2)') WHERE b = 2", "1"),
            ("SELECT pg_typeof(a), pg_typeof(b) FROM read_csv('tabs.tsv', columns => 'a text')", "text,bigint"),
            ("SELECT * FROM read_csv('nulls.csv', nullstr => 'NA')", "1,NULL;NULL,2"),
            ("SELECT * FROM read_csv('tabs.tsv', delim => ',', header => false)", "a\tb;1\t2"),
            ("SELECT t.a, u.b FROM read_csv('tabs.tsv') t JOIN read_csv('semicolon.csv') u USING (a)", "1,x"),
            ("SELECT count(*) FROM (SELECT a FROM read_csv('tabs.tsv') UNION ALL SELECT column1 FROM read_csv('headless.csv')) x", "3"),
            ("CREATE TABLE t AS SELECT * FROM read_csv('semicolon.csv')", "SELECT 3"),
            ("INSERT INTO t SELECT a, b::text FROM read_csv('tabs.tsv')", "INSERT 0 1"),
            ("CREATE VIEW v AS SELECT a FROM read_csv('semicolon.csv')", "CREATE VIEW"),
            ("SELECT sum(a) FROM v", "6"),
            ("PREPARE p AS SELECT count(*) FROM read_csv('plain.csv') WHERE id >= $1", "PREPARE"),
            ("EXECUTE p (2)", "2"),
            ("SELECT * FROM read_csv('ragged.csv')", "22P04 missing data for column \"b\" | file \"ragged.csv\", line 3: \"3\""),
            ("INSERT INTO t SELECT a, b::text FROM read_csv('ragged.csv')", "22P04 missing data for column \"b\""),
            ("SELECT count(*) FROM t", "4"),
            ("SELECT * FROM read_csv('wide.csv')", "22P04 extra data after last expected column | file \"wide.csv\", line 3: \"3,4,5\""),
            ("SELECT * FROM read_csv('open.csv')", "22P04 unterminated CSV quoted field"),
            ("SELECT * FROM read_csv('empty.csv')", "22P04 file \"empty.csv\" is empty: its columns cannot be told"),
            ("SELECT * FROM read_csv('binary')", "22021 could not tell the encoding of file \"binary\""),
            ("SELECT count(n) FROM read_csv('late.csv', sample_bytes => 1000)", "22P02 invalid input syntax for type bigint: \"many\" | file \"late.csv\", line 200002, column n: \"many\""),
            ("SELECT count(*) FROM read_csv('late.csv')", "200001"),
            ("SELECT * FROM read_csv('none.csv')", "58P01 could not open file \"none.csv\" for reading: No such file or directory"),
            ("SELECT * FROM read_csv('../x.csv')", "42501 path \"../x.csv\" is outside of file_root"),
            ("SELECT * FROM read_csv()", "22023 read_csv takes the name of a file"),
            ("SELECT * FROM read_csv('tabs.tsv', 'x')", "22023 read_csv takes one argument by position"),
            ("SELECT * FROM read_csv('tabs.tsv', nonsense => 1)", "22023 read_csv has no argument \"nonsense\""),
            ("SELECT * FROM read_csv('tabs.tsv', delim => 'ab')", "22023 argument \"delim\" of read_csv must be a single one-byte character"),
            ("SELECT * FROM read_csv('tabs.tsv', header => 'perhaps')", "22023 argument \"header\" of read_csv takes true or false"),
            ("SELECT * FROM read_csv('tabs.tsv', columns => 'a integer; DROP TABLE t')", "22023 argument \"columns\" of read_csv takes columns"),
            ("SELECT * FROM read_csv('tabs.tsv', columns => 'z integer')", "42703 column \"z\" does not exist in file \"tabs.tsv\""),
            ("SELECT * FROM t, read_csv(t.b)", "0A000 arguments of read_csv must be constants"),
            ("SELECT z FROM read_csv('tabs.tsv')", "42703 column \"z\" does not exist"),
        ],
    )
    .await
}

async fn encodings() -> Outcome {
    let files = Files::new()?;
    let text = "城市,人口,成立日期\n北京,2189,1949-10-01\n上海,2487,1949-05-27\n";
    let utf16 = |big: bool| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect::<Vec<u8>>()
    };
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes())?;
    files.put("utf8.csv", text)?;
    files.put("gb.csv", encoding_rs::GB18030.encode(text).0)?;
    files.put("le.csv", utf16(false))?;
    files.put("be.csv", utf16(true))?;
    files.put("packed.csv.gz", packed.finish()?)?;
    files.put("packed.csv.zst", zstd::encode_all(text.as_bytes(), 3)?)?;
    files.put("latin.csv", b"a\nn\xe3o\n")?;
    let mut late = "a,b\n".to_string();
    (0..300_000).for_each(|n| late.push_str(&format!("{n},x\n")));
    files.put("late.csv", [late.as_bytes(), b"1,\xb1\xb1\n"].concat())?;
    let mut client = files.server.connect().await?;
    for (name, encoding, packed) in [
        ("utf8.csv", "UTF-8", "NULL"),
        ("gb.csv", "GB18030", "NULL"),
        ("le.csv", "UTF-16LE", "NULL"),
        ("be.csv", "UTF-16BE", "NULL"),
        ("packed.csv.gz", "UTF-8", "gzip"),
        ("packed.csv.zst", "UTF-8", "zstd"),
    ] {
        script(
            &mut client,
            &[
                (
                    &format!("SELECT DISTINCT encoding, compression FROM sys.detect('{name}')"),
                    &format!("{encoding},{packed}"),
                ),
                (
                    &format!("SELECT 城市, 人口, 成立日期 FROM read_csv('{name}') ORDER BY 人口 DESC"),
                    "上海,2487,1949-05-27;北京,2189,1949-10-01",
                ),
            ],
        )
        .await?;
    }
    script(
        &mut client,
        &[
            ("CREATE TABLE 城市表 AS SELECT * FROM read_csv('gb.csv', encoding => 'gbk')", "SELECT 2"),
            ("SELECT sum(人口) FROM 城市表", "4676"),
            ("SELECT * FROM read_csv('latin.csv', encoding => 'latin1')", "não"),
            ("SELECT * FROM read_csv('latin.csv', encoding => 'klingon')", "22023 unrecognized encoding: \"klingon\""),
            ("SELECT * FROM read_csv('gb.csv', encoding => 'utf8')", "22021 file \"gb.csv\" is not valid UTF-8"),
            (
                "SELECT count(b) FROM read_csv('late.csv', sample_bytes => 1000)",
                "22021 invalid byte sequence for encoding \"UTF8\": 0xb1",
            ),
        ],
    )
    .await
}

async fn several() -> Outcome {
    let files = Files::new()?;
    std::fs::create_dir_all(files.root().join("2024/02"))?;
    files.put("a1.csv", "id,v\n1,x\n")?;
    files.put("a2.csv", "v,id\ny,2.5\n")?;
    files.put("b1.csv", "id,w\n3,z\n")?;
    files.put("2024/02/c.csv", "id,v\n4,q\n")?;
    files.put("[odd].csv", "id,v\n5,o\n")?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            ("SELECT id, v FROM read_csv('a?.csv') ORDER BY id", "1,x;2.5,y"),
            (
                "SELECT id, v, w FROM read_csv('[ab]?.csv', union_by_name => true) ORDER BY id",
                "1,x,NULL;2.5,y,NULL;3,NULL,z",
            ),
            (
                "SELECT id FROM read_csv('[ab]?.csv')",
                "42804 file \"b1.csv\" has a column \"w\" and file \"a1.csv\" has none",
            ),
            ("SELECT id FROM read_csv('**/*.csv', union_by_name => true) ORDER BY id", "1;2.5;3;4;5"),
            ("SELECT id FROM read_csv('2024/*/c.csv')", "4"),
            ("SELECT id FROM read_csv('[odd].csv')", "5"),
            ("SELECT id FROM read_csv(ARRAY['a1.csv', '[odd].csv']) ORDER BY id", "1;5"),
            ("SELECT id FROM read_csv('x*.csv')", "58P01 no file matches \"x*.csv\""),
            ("SELECT id FROM read_csv('../*.csv')", "42501 path \"../*.csv\" is outside of file_root"),
            ("SELECT count(DISTINCT file) FROM sys.detect('*.csv')", "4"),
        ],
    )
    .await
}

async fn json() -> Outcome {
    let files = Files::new()?;
    files.put("list.json", "[{\"id\": 1, \"name\": \"甲\", \"at\": \"2024-01-31T10:00:00Z\"},\n {\"id\": 2, \"tags\": [\"x\", {\"y\": 1}], \"name\": \"say \\\"hi\\\"\\n\"}]")?;
    files.put("lines.ndjson", "{\"id\":1,\"v\":1}\n{\"id\":2,\"v\":2.5}\n\n{\"id\":3}\n")?;
    files.put("broken.json", "[{\"id\": 1}, {\"id\": }]")?;
    files.put("cut.json", "[{\"id\": 1}, {\"id\": 2}")?;
    files.put("scalars.json", "[1, \"x\", null, [2]]")?;
    let mut late = String::new();
    (0..50_000).for_each(|n| late.push_str(&format!("{{\"n\": {n}}}\n")));
    late.push_str("{\"n\": 1, \"m\": 2}\n");
    files.put("late.ndjson", late)?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            (
                "SELECT id, name, at, tags FROM read_json('list.json')",
                "1,甲,2024-01-31 10:00:00+00,NULL;2,say \"hi\"\n,NULL,[\"x\", {\"y\": 1}]",
            ),
            (
                "SELECT string_agg(column_name || ' ' || data_type, ', ') FROM sys.detect('list.json')",
                "id bigint, name text, at timestamp with time zone, tags jsonb",
            ),
            ("SELECT tags -> 1 ->> 'y' FROM read_json('list.json') WHERE id = 2", "1"),
            ("SELECT sum(id), sum(v), count(v) FROM read_json('lines.ndjson')", "6,3.5,2"),
            ("CREATE TABLE t AS SELECT * FROM read_json('l*', union_by_name => true) LIMIT 0", "SELECT 0"),
            ("SELECT json FROM read_json('scalars.json')", "1;\"x\";NULL;[2]"),
            ("SELECT * FROM read_json('broken.json')", "22P02 invalid input syntax for type json"),
            ("SELECT * FROM read_json('cut.json')", "22P02 invalid input syntax for type json"),
            ("SELECT count(*) FROM read_json('late.ndjson')", "50001"),
            (
                "SELECT count(n) FROM read_json('late.ndjson', sample_bytes => 1000)",
                "22P04 member \"m\" is not among the columns",
            ),
            ("SELECT count(n) FROM read_json('late.ndjson', sample_bytes => 1000, columns => 'n integer')", "50001"),
        ],
    )
    .await
}

async fn privilege() -> Outcome {
    let files = Files::new()?;
    files.put("a.csv", "id\n1\n")?;
    let mut admin = files.server.connect().await?;
    script(
        &mut admin,
        &[
            ("CREATE ROLE ann LOGIN", "CREATE ROLE"),
            ("CREATE SCHEMA ann AUTHORIZATION ann", "CREATE SCHEMA"),
            ("GRANT pg_read_server_files TO ann", "GRANT ROLE"),
        ],
    )
    .await?;
    let mut ann = Client::connect(files.server.port, "ann", USER).await?;
    script(
        &mut ann,
        &[
            ("CREATE VIEW v AS SELECT * FROM read_csv('a.csv')", "CREATE VIEW"),
            ("PREPARE p AS SELECT * FROM read_csv('a.csv')", "PREPARE"),
            ("SELECT * FROM v", "1"),
            ("EXECUTE p", "1"),
        ],
    )
    .await?;
    script(&mut admin, &[("REVOKE pg_read_server_files FROM ann", "REVOKE ROLE")]).await?;
    let refused = "42501 must be superuser or have privileges of the pg_read_server_files role to call read_csv";
    for sql in [
        "SELECT * FROM read_csv('a.csv')",
        "SELECT * FROM read_csv('none.csv')",
        "SELECT 1 WHERE EXISTS (SELECT FROM read_csv('a.csv'))",
        "SELECT * FROM v",
        "EXECUTE p",
        "EXPLAIN SELECT * FROM read_csv('a.csv')",
        "EXPLAIN SELECT * FROM v",
        "CREATE VIEW w AS SELECT * FROM read_csv('a.csv')",
        "PREPARE q AS SELECT * FROM read_csv('a.csv')",
        "CREATE TABLE t AS SELECT * FROM read_csv('a.csv')",
        "COPY (SELECT * FROM read_csv('a.csv')) TO STDOUT",
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM read_csv('a.csv')",
    ] {
        let got = ask(&mut ann, sql).await?;
        ensure!(got.starts_with(refused), "{sql}: {got}");
    }
    let got = ask(&mut ann, "SELECT * FROM sys.detect('a.csv')").await?;
    ensure!(got.starts_with("42501 must be superuser"), "detect: {got}");
    // Her view is no way to her right for whoever has one, and a right of one's own is enough.
    script(&mut admin, &[("SELECT * FROM ann.v", "1")]).await
}

async fn bombs() -> Outcome {
    let files = Files::new()?;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let line = [b"1,2\n".repeat(1 << 18)].concat();
    for _ in 0..20 {
        packed.write_all(&line)?;
    }
    let packed = packed.finish()?;
    files.put("cut.csv.gz", &packed[..packed.len() / 2])?;
    let zeros = vec![b'1'; 64 << 20];
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    for _ in 0..6 {
        encoder.write_all(&zeros)?;
    }
    files.put("bomb.csv.zst", encoder.finish()?)?;
    files.put("notgz.csv.gz", [&[0x1f, 0x8b][..], b"nonsense that is no gzip"].concat())?;
    let mut long = b"a,b\n1,".to_vec();
    long.resize(270 << 20, b'x');
    files.put("long.csv", long)?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE t (a text, b text)", "CREATE TABLE"),
            (
                "SELECT count(*), count(column1) FROM read_csv('cut.csv.gz')",
                "22P04 could not unpack file \"cut.csv.gz\"",
            ),
            ("SELECT count(*) FROM read_csv('notgz.csv.gz')", "22P04 could not unpack file \"notgz.csv.gz\""),
            ("SELECT count(column1) FROM read_csv('bomb.csv.zst', header => false)", "54000 "),
            ("SELECT count(b) FROM read_csv('long.csv')", "54000 a line of COPY data is longer than 256 MB"),
            ("COPY t FROM 'long.csv' (FORMAT csv)", "54000 a line of COPY data is longer than 256 MB"),
            ("SELECT count(*) FROM t", "0"),
        ],
    )
    .await
}

async fn parquet() -> Outcome {
    let files = Files::new()?;
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec![Some("一"), None, Some("three")])) as ArrayRef),
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1])) as ArrayRef),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![1_700_000_000_123_456_789, 0, 1]).with_timezone("+00:00"))
                as ArrayRef,
        ),
    ])?;
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(&batch)?;
    let bytes = writer.into_inner()?;
    files.put("a.parquet", &bytes)?;
    files.put("b.parquet", &bytes)?;
    files.put("cut.parquet", &bytes[..bytes.len() - 20])?;
    files.put("none.parquet", "PAR1 is not enough")?;
    let mut damaged = bytes.clone();
    damaged[10..40].fill(0xff);
    files.put("damaged.parquet", damaged)?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            (
                "SELECT * FROM read_parquet('a.parquet') WHERE id = 1",
                "1,一,18446744073709551615,2023-11-14 22:13:20.123456+00",
            ),
            ("SELECT sum(id), count(name) FROM read_parquet('?.parquet')", "12,4"),
            ("SELECT count(*) FROM read_parquet('a.parquet')", "3"),
            (
                "SELECT string_agg(column_name || ' ' || data_type, ', ') FROM sys.detect('a.parquet')",
                "id integer, name text, big numeric(20,0), at timestamp with time zone",
            ),
            ("CREATE TABLE t AS SELECT name, id FROM read_parquet('a.parquet')", "SELECT 3"),
            ("SELECT * FROM read_parquet('cut.parquet')", "22P04 file \"cut.parquet\" is no valid Parquet file"),
            ("SELECT * FROM read_parquet('none.parquet')", "22P04 file \"none.parquet\" is no valid Parquet file"),
            (
                "SELECT * FROM read_parquet('damaged.parquet')",
                "22P04 file \"damaged.parquet\" is no valid Parquet file",
            ),
        ],
    )
    .await
}

/// A workbook of one sheet.
fn workbook(rows: &str) -> Outcome<Vec<u8>> {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let of_document = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let of_package = "http://schemas.openxmlformats.org/package/2006";
    let parts = [
        (
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"{of_package}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
                 <Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
                 <Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{of_package}/relationships\"><Relationship Id=\"r1\" Type=\"{of_document}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{of_document}\"><sheets><sheet name=\"销售\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{of_package}/relationships\"><Relationship Id=\"r1\" Type=\"{of_document}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
                 <Relationship Id=\"r2\" Type=\"{of_document}/styles\" Target=\"styles.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            ),
        ),
        ("xl/worksheets/sheet1.xml", format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>")),
    ];
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in parts {
        archive.start_file(name, stored)?;
        archive.write_all(format!("{head}{content}").as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

async fn xlsx() -> Outcome {
    let files = Files::new()?;
    let text = |at: &str, text: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let number = |at: &str, style: u8, n: &str| format!("<c r=\"{at}\" s=\"{style}\"><v>{n}</v></c>");
    let rows = [
        format!(
            "<row r=\"3\">{}{}{}{}</row>",
            text("B3", "城市"),
            text("C3", "日期"),
            text("D3", "金额"),
            text("E3", "编号")
        ),
        format!(
            "<row r=\"4\">{}{}{}{}</row>",
            text("B4", "北京"),
            number("C4", 1, "45292"),
            number("D4", 0, "12.5"),
            text("E4", "007")
        ),
        format!(
            "<row r=\"6\">{}{}{}</row>",
            text("B6", "say \"hi\", you"),
            number("D6", 0, "3"),
            "<c r=\"E6\" t=\"e\"><v>#N/A</v></c>"
        ),
    ];
    files.put("book.xlsx", workbook(&rows.concat())?)?;
    files.put("empty.xlsx", workbook("")?)?;
    files.put("none.xlsx", "PK")?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            ("SELECT * FROM read_xlsx('book.xlsx')", "北京,2024-01-01,12.5,007;say \"hi\", you,NULL,3,NULL"),
            (
                "SELECT string_agg(column_name || ' ' || data_type, ', ') FROM sys.detect('book.xlsx')",
                "城市 text, 日期 date, 金额 double precision, 编号 text",
            ),
            ("SELECT sum(金额) FROM read_xlsx('book.xlsx', sheet => '销售', columns => '金额 numeric(8,2)')", "15.50"),
            ("SELECT count(column1) FROM read_xlsx('book.xlsx', header => false)", "3"),
            (
                "SELECT * FROM read_xlsx('book.xlsx', sheet => 'x')",
                "22023 file \"book.xlsx\" has no sheet \"x\" | Its sheets are 销售.",
            ),
            ("SELECT * FROM read_xlsx('empty.xlsx')", "22P04 file \"empty.xlsx\" is empty"),
            ("SELECT * FROM read_xlsx('none.xlsx')", "22P04 file \"none.xlsx\" is no valid xlsx workbook"),
        ],
    )
    .await
}
