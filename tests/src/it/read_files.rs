//! Files as relations: `read_csv`, `read_json` and their kin, what they find out by themselves, and what they refuse.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DurationSecondArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use libtest_mimic::Trial;

use crate::files::{Files, ask, script};
use crate::pg_client::Client;
use crate::server::USER;
use crate::support::{Outcome, ensure, ensure_eq, repository, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("read_files::real_data", real_data));
    trials.push(trial("read_files::csv", csv));
    trials.push(trial("read_files::late_values_keep_to_what_was_found", late));
    trials.push(trial("read_files::odd_files", odd));
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
            ("SELECT count(n) FROM read_csv('late.csv', sample_bytes => 1000)", "22P02 invalid input syntax for type bigint: \"many\" | Name the column's type, as in columns => 'n text', or let more be looked at by sample_bytes. | file \"late.csv\", line 200002, column n: \"many\""),
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

/// Values behind the sample that a type would take, and give back as another.
async fn late() -> Outcome {
    let files = Files::new()?;
    let mut client = files.server.connect().await?;
    let hint = "Name the column's type, as in columns => 'v text', or let more be looked at by sample_bytes.";
    for (early, late, ty) in [
        ("12", "007", "bigint"),
        ("12", "+8613800138000", "bigint"),
        ("12", "-0", "bigint"),
        ("1.5", "123456789012345678901", "double precision"),
        ("1.5", "9007199254740993", "double precision"),
        ("1.5", "+1.5", "double precision"),
        ("12345678901234567890", "007", "numeric"),
        ("2024-01-31", "2024-06-01 23:30:00", "date"),
        ("2024-01-31", "01/02/2024", "date"),
        ("2024-01-31", "now", "date"),
        ("2024-01-31", "20240131", "date"),
        ("2024-01-31 00:00:00", "2024-01-01 00:00:00+08", "timestamp without time zone"),
        ("2024-01-31 00:00:00", "2024-01-01 00:00:00.0123456789", "timestamp without time zone"),
        ("2024-01-31 00:00:00Z", "2024-01-01 00:00:00", "timestamp with time zone"),
        ("12:00", "2024-01-01 05:06:07", "time without time zone"),
        ("true", "yes", "boolean"),
        ("true", "1", "boolean"),
        ("a81bc81b-dead-4e5d-abff-90865d1e13b1", "a81bc81bdead4e5dabff90865d1e13b1", "uuid"),
    ] {
        let mut text = "v,w\n".to_string();
        (0..400).for_each(|_| text.push_str(&format!("{early},x\n")));
        late.split('|').for_each(|late| text.push_str(&format!("{late},x\n")));
        files.put("late.csv", &text)?;
        let line = 401 + late.split('|').count();
        let value = late.rsplit('|').next().unwrap_or_default();
        let wanted = format!(
            "22P02 type {ty}, found from the values before, would change \"{value}\" | {hint} | file \"late.csv\", line {line}, column v: \"{value}\""
        );
        let got = ask(&mut client, "SELECT count(v) FROM read_csv('late.csv', sample_bytes => 1024)").await?;
        ensure_eq!(got, wanted, "{early}, then {late}");
        // It is text if it is looked at, or said to be; and nobody asks for what is not read.
        for (sql, wanted) in [
            ("SELECT count(v) FROM read_csv('late.csv', sample_bytes => 1024, columns => 'v text')", line - 1),
            ("SELECT count(w) FROM read_csv('late.csv', sample_bytes => 1024)", line - 1),
            ("SELECT count(v) FROM read_csv('late.csv')", line - 1),
        ] {
            ensure_eq!(ask(&mut client, sql).await?, wanted.to_string(), "{sql} of {early}, then {late}");
        }
        let (type_of, at_end) = (
            "SELECT data_type FROM sys.detect('late.csv')",
            ask(&mut client, &format!("SELECT v FROM read_csv('late.csv') OFFSET {}", line - 2)).await?,
        );
        let found = ask(&mut client, &format!("{type_of} LIMIT 1")).await?;
        ensure!(found != ty && at_end.trim() == value, "{early}, {late}: {at_end:?} of type {found}");
    }
    // What stays the same goes on: other ways to write it, and what floats are written as.
    let mut text = "i,d,t,b,n\n".to_string();
    (0..400).for_each(|_| text.push_str("1,1.5,2024-01-31,true,1.10\n"));
    text.push_str("-20,0.30000000000000004, 2024/2/1 ,FALSE,-0.25\n0,1e3,2024-02-02,true,7\n2,2.50,,,\n,NaN,,,\n");
    files.put("same.csv", text)?;
    files.put("one.csv", "v,n\n12345678901234567,1.10\n")?;
    files.put("two.csv", "v,n\n1.5,1.9\n")?;
    script(
        &mut client,
        &[
            (
                "SELECT i, d, t, b, n FROM read_csv('same.csv', sample_bytes => 1024) OFFSET 400",
                "-20,0.30000000000000004,2024-02-01,f,-0.25;0,1000,2024-02-02,t,7;2,2.5,NULL,NULL,NULL;NULL,NaN,NULL,NULL,NULL",
            ),
            // The types of two files are those of all their values.
            ("SELECT v, n FROM read_csv(ARRAY['one.csv', 'two.csv']) ORDER BY v", "1.5,1.9;12345678901234567,1.10"),
        ],
    )
    .await
}

/// Files that are nearly what they should be.
async fn odd() -> Outcome {
    let files = Files::new()?;
    files.put("empty.csv", "")?;
    files.put("blank.json", " [ ] ")?;
    files.put("e1.csv", "a,b\n1,x\n")?;
    files.put("ends.csv", "a,b\r\n1,2\n3,4\r5,\"6\r7\"\r\n")?;
    files.put("mixed.csv", ["id,name\n1,中文\n".as_bytes(), b"2,\xd6\xd0\xce\xc4\n"].concat())?;
    files.put("zero.csv", "aaaaaaaaaaaaaa\nx\0y\n")?;
    files.put("cut.csv", [0xff, 0xfe, b'a', 0, b'\n', 0, b'1'])?;
    files.put("dates.csv", "p,q,r\n01/02/2024,01/02/2024,13/02/2024\n03/04/2024,01/13/2024,01/02/2024\n")?;
    files.put("zero.json", "{\"a\": 1}\n{\"a\": \"\\u0000\"}\n")?;
    files.put("wrong.json", "{\"a\": }\n")?;
    files.put("long.json", format!("[{{\"a\": \"{}\"}}]", "x".repeat(5000)))?;
    std::os::unix::fs::symlink(files.root().join("e1.csv"), files.root().join("link.csv"))?;
    std::os::unix::fs::symlink("circle", files.root().join("circle"))?;
    let mut client = files.server.connect().await?;
    let unknown = "22021 could not tell the encoding of file";
    script(
        &mut client,
        &[
            ("SELECT * FROM read_csv('empty.csv', columns => 'a int, b text')", ""),
            ("SELECT count(*) FROM read_json('blank.json', columns => 'a int')", "0"),
            ("SELECT * FROM read_json('blank.json')", "22P04 file \"blank.json\" is empty: its columns cannot be told"),
            ("SELECT * FROM read_csv('e[1m]*.csv') WHERE a = 1", "1,x"),
            ("SELECT count(*) FROM sys.detect('e[1m]*.csv')", "2"),
            ("SELECT * FROM sys.detect('empty.csv')", "22P04 file \"empty.csv\" is empty"),
            ("SELECT a, b FROM read_csv('ends.csv')", "1,2;3,4;5,6\r7"),
            ("SELECT * FROM read_csv('e1.csv', quote => ',')", "22023 delimiter and quote must be different"),
            ("SELECT * FROM read_csv('e1.csv', quote => ';', delim => ';')", "22023 delimiter and quote must be different"),
            ("SELECT * FROM read_csv('e1.csv', nullstr => '\"')", "22023 the quote must not appear in nullstr"),
            ("SELECT * FROM read_csv('mixed.csv')", &format!("{unknown} \"mixed.csv\": some lines are UTF-8, others are not | Name it, as in encoding => 'gb18030'.")),
            ("SELECT * FROM read_csv('zero.csv')", &format!("{unknown} \"zero.csv\": it has zero bytes, which no text has")),
            ("SELECT * FROM read_csv('cut.csv')", "22021 the file ends within a character of encoding \"UTF-16LE\" | file \"cut.csv\""),
            ("SELECT string_agg(data_type, ',') FROM sys.detect('dates.csv')", "text,date,text"),
            ("SELECT * FROM read_json('zero.json')", "22P05 unsupported Unicode escape sequence | \\u0000 cannot be converted to text. | file \"zero.json\", value 2"),
            ("SELECT * FROM read_json('wrong.json')", "22P02 invalid input syntax for type json | Expected JSON value, but found \"}\". | file \"wrong.json\", value 1"),
            ("SELECT * FROM read_json('long.json', sample_bytes => 1000)", "22P04 the first value of file \"long.json\" is longer than the 1000 bytes looked at"),
            ("SELECT length(a) FROM read_json('long.json', sample_bytes => 1000, columns => 'a text')", "5000"),
            ("SELECT * FROM read_csv(ARRAY[]::text[])", "22023 read_csv takes the name of a file"),
            ("SELECT * FROM read_csv('{e1.csv}'::text[])", "1,x"),
            ("SELECT * FROM read_csv(NULL)", "22004 arguments of read_csv must not be null"),
            ("SELECT * FROM read_csv('link.csv')", "1,x"),
            ("SELECT * FROM read_csv('circle')", "58030 could not open file \"circle\" for reading: Too many levels of symbolic links"),
            ("COPY (SELECT 1) TO 'link.csv'", "42809 \"link.csv\" is a symbolic link"),
            ("COPY (SELECT 1) TO ''", "58P01 could not open file \"\" for writing: No such file or directory"),
            ("SELECT * FROM read_csv('link.csv')", "1,x"),
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
            ("SELECT count(b) FROM read_csv('long.csv')", "54000 a line of COPY data is longer than "),
            ("COPY t FROM 'long.csv' (FORMAT csv)", "54000 a line of COPY data is longer than "),
            ("SET statement_memory_limit = '64MB'", "SET"),
            ("COPY t FROM 'long.csv' (FORMAT csv)", "54000 a line of COPY data is longer than 4 MB"),
            ("SELECT count(b) FROM read_csv('long.csv')", "54000 a line of COPY data is longer than 4 MB"),
            ("RESET statement_memory_limit", "RESET"),
            ("COPY t FROM 'cut.csv.gz'", "22021 invalid byte sequence for encoding \"UTF8\": 0x8b | The file is packed. COPY does not unpack it, read_csv does"),
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
    let odd = RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec!["a\0b"])) as ArrayRef),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1_i64 << 62])) as ArrayRef),
        ("old", Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN + 1])) as ArrayRef),
        ("lasts", Arc::new(DurationSecondArray::from(vec![1])) as ArrayRef),
    ])?;
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), odd.schema(), None)?;
    writer.write(&odd)?;
    files.put("odd.parquet", writer.into_inner()?)?;
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
            ("SELECT id FROM read_parquet('odd.parquet')", "1"),
            (
                "SELECT name FROM read_parquet('odd.parquet')",
                "22021 invalid byte sequence for encoding \"UTF8\": 0x00 | file \"odd.parquet\", column name",
            ),
            (
                "SELECT at FROM read_parquet('odd.parquet')",
                "22008 timestamp out of range | file \"odd.parquet\", column at",
            ),
            (
                "SELECT old FROM read_parquet('odd.parquet')",
                "22008 timestamp out of range | file \"odd.parquet\", column old",
            ),
            (
                "SELECT * FROM read_parquet('odd.parquet')",
                "0A000 column \"lasts\" of file \"odd.parquet\" has the type Duration(s), which is not supported",
            ),
            ("SELECT count(data_type) FROM sys.detect('odd.parquet')", "4"),
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
