//! Files of the server: who may use which, COPY from and to them.

use std::path::Path;

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client, message, query};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Outcome, ensure, ensure_eq, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("files::copy", copy));
    trials.push(trial("files::nothing_outside_of_the_root", outside));
    trials.push(trial("files::by_privilege_only", privilege));
    trials.push(trial("files::none_without_a_root", no_root));
    trials.push(trial("files::rows_that_are_refused_are_kept", rejected));
    trials.push(trial("files::progress", progress));
}

/// A server whose files lie in a folder of their own.
pub(crate) struct Files {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Outcome<Files> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root");
        std::fs::create_dir(&root)?;
        let server = Server::fresh_with(&[("SIGHTLINE_FILE_ROOT", &root.display().to_string())])?;
        Ok(Files { server, folder })
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> Outcome {
        Ok(std::fs::write(self.root().join(name), content)?)
    }
}

/// What a statement answers, as one line: rows as `a,b;c,d`, the tag of what has none, or SQLSTATE, message, and what else the
/// error says.
pub(crate) async fn ask(client: &mut Client, sql: &str) -> Outcome<String> {
    Ok(match client.simple(sql).await?.pop() {
        Some(Answer::Error(fields)) => {
            let more = ['D', 'H', 'W'].map(|letter| fields.get(letter)).into_iter().filter(|text| !text.is_empty());
            let mut told = vec![format!("{} {}", fields.code(), fields.message())];
            told.extend(more.map(str::to_string));
            told.join(" | ")
        }
        Some(Answer::Rows { rows, .. }) => {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_string());
            let row = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(",");
            rows.iter().map(row).collect::<Vec<_>>().join(";")
        }
        Some(Answer::Done { tag }) => tag,
        _ => String::new(),
    })
}

/// Runs statements and compares what each answers; an error needs to begin as wanted only.
pub(crate) async fn script(client: &mut Client, steps: &[(&str, &str)]) -> Outcome {
    for (sql, wanted) in steps {
        let got = ask(client, sql).await?;
        let error = wanted.len() > 5 && wanted.as_bytes()[5] == b' ' && got.starts_with(&wanted[..5]);
        ensure!(got == *wanted || error && got.starts_with(wanted), "{sql}: got {got:?}, wanted {wanted:?}");
    }
    Ok(())
}

const HINT_READ: &str = "COPY FROM instructs the PostgreSQL server process to read a file. You may want a client-side \
                         facility such as psql's \\copy.";

async fn copy() -> Outcome {
    let files = Files::new()?;
    files.put("a.csv", "id,name\n1,one\n2,\"two, 2\"\n3,\n")?;
    files.put("a.txt", "1\tone\n2\t\\N\n")?;
    files.put("wrong.csv", "1,one\nx,two\n")?;
    files.put("empty", "")?;
    let missing =
        format!("58P01 could not open file \"none.csv\" for reading: No such file or directory | {HINT_READ}");
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE t (id integer, name text)", "CREATE TABLE"),
            ("COPY t FROM 'a.csv' (FORMAT csv, HEADER)", "COPY 3"),
            ("COPY t FROM 'a.txt'", "COPY 2"),
            ("COPY t FROM 'empty'", "COPY 0"),
            ("SELECT id, name FROM t ORDER BY id, name", "1,one;1,one;2,two, 2;2,NULL;3,NULL"),
            ("COPY t (name) FROM 'a.csv' (FORMAT csv, HEADER match)", "22P04 wrong number of fields in header line"),
            ("COPY t FROM 'a.csv' (FORMAT csv, HEADER) WHERE id = 2", "COPY 1"),
            ("TRUNCATE t", "TRUNCATE TABLE"),
            (
                "COPY t FROM 'wrong.csv' (FORMAT csv)",
                "22P02 invalid input syntax for type integer: \"x\" | COPY t, line 2, column id: \"x\"",
            ),
            ("SELECT count(*) FROM t", "0"),
            ("COPY t FROM 'none.csv'", &missing),
            ("COPY none FROM 'a.csv'", "42P01 relation \"none\" does not exist"),
            ("COPY t FROM 'a.csv' (nonsense)", "42601 option \"nonsense\" not recognized"),
            ("COPY t FROM ''", "58P01 could not open file \"\" for reading: No such file or directory"),
            ("COPY t FROM '.'", "42809 \".\" is a directory"),
            ("COPY t FROM 'a.csv/b'", "42809 could not open file \"a.csv/b\" for reading: Not a directory"),
            ("COPY t FROM PROGRAM 'true'", "0A000 COPY to or from an external program is not supported"),
            ("BEGIN", "BEGIN"),
            ("COPY t FROM 'a.csv' (FORMAT csv, HEADER)", "COPY 3"),
            ("SELECT count(*) FROM t", "3"),
            ("ROLLBACK", "ROLLBACK"),
            ("SELECT count(*) FROM t", "0"),
            ("SET default_transaction_read_only = on", "SET"),
            ("COPY t FROM 'a.csv' (FORMAT csv, HEADER)", "25006 cannot execute COPY FROM in a read-only transaction"),
            ("SET default_transaction_read_only = off", "SET"),
            ("COPY t FROM 'a.csv' (FORMAT csv, HEADER)", "COPY 3"),
            ("COPY (SELECT * FROM t ORDER BY id) TO 'out.csv' (FORMAT csv, HEADER, NULL '-')", "COPY 3"),
            ("COPY t TO 'out.bin' (FORMAT binary)", "COPY 3"),
            ("COPY t FROM 'out.bin' (FORMAT binary)", "COPY 3"),
            ("COPY t FROM 'out.csv' (FORMAT binary)", "22P04 COPY file signature not recognized"),
            ("COPY (SELECT 1/(3 - i) FROM generate_series(1, 5) i) TO 'half'", "22012 division by zero"),
            ("COPY (SELECT i FROM generate_series(1, 300000) i) TO 'large'", "COPY 300000"),
            ("CREATE TABLE n (i integer)", "CREATE TABLE"),
            ("COPY n FROM 'large'", "COPY 300000"),
            ("SELECT count(*), sum(i) FROM n", "300000,45000150000"),
            ("COPY n TO 'none/out'", "58P01 could not open file \"none/out\" for writing: No such file or directory"),
            ("COPY n TO '.'", "42809 could not open file \".\" for writing: Is a directory"),
        ],
    )
    .await?;
    let out = std::fs::read_to_string(files.root().join("out.csv"))?;
    ensure_eq!(out, "id,name\n1,one\n2,\"two, 2\"\n3,-\n", "what was written");
    ensure!(!files.root().join("half").exists(), "half a file is there");
    let hidden = std::fs::read_dir(files.root())?.filter_map(Result::ok).map(|e| e.file_name());
    let hidden = hidden.filter(|name| name.to_string_lossy().starts_with('.')).collect::<Vec<_>>();
    ensure!(hidden.is_empty(), "left behind: {hidden:?}");
    Ok(())
}

async fn outside() -> Outcome {
    let files = Files::new()?;
    let root = files.root();
    let secret = files.folder.path().join("secret");
    std::fs::write(&secret, "1\n")?;
    files.put("fine", "1\n")?;
    std::os::unix::fs::symlink(&secret, root.join("absolute"))?;
    std::os::unix::fs::symlink("../secret", root.join("relative"))?;
    std::os::unix::fs::symlink("..", root.join("up"))?;
    std::os::unix::fs::symlink("fine", root.join("inside"))?;
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status()?;
    ensure!(made.success(), "mkfifo failed");
    let mut client = files.server.connect().await?;
    script(&mut client, &[("CREATE TABLE t (a text)", "CREATE TABLE")]).await?;
    let named = secret.display().to_string();
    for path in
        ["../secret", "up/secret", "up/../up/secret", "absolute", "relative", &named, "/etc/passwd", "/", "./../secret"]
    {
        for sql in [format!("COPY t FROM '{path}'"), format!("COPY t TO '{path}'")] {
            let got = ask(&mut client, &sql).await?;
            // What is written follows no link.
            let wanted = match sql.contains("TO 'absolute'") || sql.contains("TO 'relative'") {
                true => format!("42809 \"{path}\" is a symbolic link"),
                false => format!("42501 path \"{path}\" is outside of file_root"),
            };
            ensure!(got.starts_with(&wanted), "{sql}: {got}");
        }
    }
    let whole = root.join("fine").display().to_string();
    script(
        &mut client,
        &[
            ("COPY t FROM 'inside'", "COPY 1"),
            (&format!("COPY t FROM '{whole}'"), "COPY 1"),
            ("COPY t FROM 'pipe'", "42809 \"pipe\" is not a regular file"),
            ("COPY t TO 'pipe'", "42809 \"pipe\" is not a regular file"),
            ("COPY t TO 'inside'", "42809 \"inside\" is a symbolic link"),
        ],
    )
    .await?;
    ensure_eq!(std::fs::read_to_string(&secret)?, "1\n", "what lies outside");
    Ok(())
}

async fn privilege() -> Outcome {
    let files = Files::new()?;
    files.put("a", "1\n")?;
    let mut admin = files.server.connect().await?;
    let refused = "42501 must be superuser or have privileges of the pg_read_server_files role to COPY from a file | Anyone can \
                   COPY to stdout or from stdin. psql's \\copy command also works for anyone.";
    script(
        &mut admin,
        &[
            ("CREATE ROLE boss LOGIN CREATEDB CREATEROLE", "CREATE ROLE"),
            ("CREATE DATABASE acme OWNER boss", "CREATE DATABASE"),
            ("GRANT pg_read_server_files TO nobody", "42704 role \"nobody\" does not exist"),
            ("GRANT nobody TO boss", "42704 role \"nobody\" does not exist"),
            ("GRANT boss TO boss", "0A000 membership in role \"boss\" is not supported"),
        ],
    )
    .await?;
    let mut boss = Client::connect(files.server.port, "boss", "acme").await?;
    script(
        &mut boss,
        &[
            ("CREATE TABLE t (a integer)", "CREATE TABLE"),
            ("COPY t FROM 'a'", refused),
            ("COPY nothing FROM 'a'", refused),
            ("GRANT pg_read_server_files TO boss", "42501 must have admin option on role \"pg_read_server_files\""),
            ("SELECT pg_has_role('pg_read_server_files', 'member')", "f"),
        ],
    )
    .await?;
    script(&mut admin, &[("GRANT pg_read_server_files TO boss", "GRANT ROLE")]).await?;
    script(
        &mut boss,
        &[
            ("SELECT pg_has_role('pg_read_server_files', 'member')", "t"),
            ("COPY t FROM 'a'", "COPY 1"),
            ("COPY t TO 'b'", "42501 must be superuser or have privileges of the pg_write_server_files role to COPY to a file"),
            ("COPY t FROM PROGRAM 'a'", "42501 must be superuser or have privileges of the pg_execute_server_program role"),
            (
                "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member \
                 WHERE r.rolname = 'pg_read_server_files'",
                "boss",
            ),
        ],
    )
    .await?;
    let steps = [
        ("GRANT pg_write_server_files TO boss", "GRANT ROLE"),
        ("REVOKE pg_read_server_files FROM boss", "REVOKE ROLE"),
    ];
    script(&mut admin, &steps).await?;
    script(&mut boss, &[("COPY t TO 'b'", "COPY 1"), ("COPY t FROM 'a'", refused)]).await?;
    // A role of the tenant, and after a start.
    let mut admin = Client::connect(files.server.port, USER, "acme").await?;
    script(
        &mut admin,
        &[
            ("CREATE ROLE ann LOGIN", "CREATE ROLE"),
            ("BEGIN", "BEGIN"),
            ("GRANT pg_read_server_files TO ann", "GRANT ROLE"),
            ("COMMIT", "COMMIT"),
            ("CREATE SCHEMA ann AUTHORIZATION ann", "CREATE SCHEMA"),
        ],
    )
    .await?;
    let mut ann = Client::connect(files.server.port, "ann", "acme").await?;
    script(&mut ann, &[("CREATE TABLE x (a integer)", "CREATE TABLE"), ("COPY x FROM 'a'", "COPY 1")]).await
}

async fn no_root() -> Outcome {
    let server = Server::fresh()?;
    let mut client = Client::connect(server.port, USER, DATABASE).await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE t (a integer)", "CREATE TABLE"),
            ("COPY t FROM 'a'", "55000 files of the server cannot be used: file_root is not set | Set file_root"),
            ("COPY t TO 'a'", "55000 files of the server cannot be used: file_root is not set | Set file_root"),
        ],
    )
    .await?;
    let folder = tempfile::tempdir()?;
    let gone = folder.path().join("gone").display().to_string();
    // The database's own files are nobody's to read.
    std::fs::create_dir_all(folder.path().join("data/cold"))?;
    let not_there = folder.path().join("none/../data/later");
    for root in [folder.path().to_path_buf(), folder.path().join("data/cold"), not_there] {
        let shown = root.display().to_string();
        let started = Server::start(&folder.path().join("data"), &[("SIGHTLINE_FILE_ROOT", &shown)]);
        let said = started.err().and_then(|e| e.message().map(str::to_string)).unwrap_or_default();
        ensure!(said.contains("contain one another"), "{root:?}: {said}");
    }
    let server = Server::fresh_with(&[("SIGHTLINE_FILE_ROOT", &gone)])?;
    let mut client = Client::connect(server.port, USER, DATABASE).await?;
    ensure!(!Path::new(&gone).exists(), "the folder was made");
    script(
        &mut client,
        &[
            ("CREATE TABLE t (a integer)", "CREATE TABLE"),
            ("COPY t FROM 'a'", "58P01 could not open the folder of file_root"),
        ],
    )
    .await
}

async fn rejected() -> Outcome {
    let files = Files::new()?;
    files.put(
        "odd.csv",
        "id,name,n\n1,one,1\nx,two,2\n3,three\n4,four,4,4\n5,,5\n6,six,-6\n7,\"say \"\"7\"\"\",7\n8,eight,99999999999\n",
    )?;
    let mut many = String::new();
    (0..50_000).for_each(|n| many.push_str(&if n % 1000 == 7 { "x\n".to_string() } else { format!("{n}\n") }));
    files.put("many.csv", many)?;
    let mut client = files.server.connect().await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE t (id integer, name text NOT NULL, n integer CHECK (n > 0))", "CREATE TABLE"),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER)", "22P02 invalid input syntax for type integer: \"x\""),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR stop)", "22P02 invalid input syntax"),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR ignore, REJECT_TABLE 'bad')", "COPY 2"),
            ("SELECT id, name, n FROM t ORDER BY id", "1,one,1;7,say \"7\",7"),
            (
                "SELECT line_number, line, column_name, reason FROM bad ORDER BY line_number",
                "3,x,two,2,id,invalid input syntax for type integer: \"x\";4,3,three,n,missing data for column \"n\";\
                 5,4,four,4,4,NULL,extra data after last expected column;\
                 6,5,,5,name,null value in column \"name\" of relation \"t\" violates not-null constraint;\
                 7,6,six,-6,NULL,new row for relation \"t\" violates check constraint \"t_n_check\";\
                 9,8,eight,99999999999,n,value \"99999999999\" is out of range for type integer",
            ),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR ignore, REJECT_TABLE 'bad')", "COPY 2"),
            ("SELECT count(*) FROM bad", "12"),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR ignore)", "COPY 2"),
            ("BEGIN", "BEGIN"),
            ("COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR ignore, REJECT_TABLE 'public.worse')", "COPY 2"),
            ("SELECT count(*) FROM worse", "6"),
            ("ROLLBACK", "ROLLBACK"),
            ("SELECT count(*) FROM worse", "42P01 relation \"worse\" does not exist"),
            ("CREATE TABLE n (i integer)", "CREATE TABLE"),
            ("COPY n FROM 'many.csv' (FORMAT csv, ON_ERROR ignore, REJECT_TABLE worse)", "COPY 49950"),
            ("SELECT count(*), min(line_number), max(line_number) FROM worse", "50,8,49008"),
            ("COPY t FROM 'odd.csv' (FORMAT csv, ON_ERROR perhaps)", "22023 COPY ON_ERROR \"perhaps\" not recognized"),
            (
                "COPY t FROM 'odd.csv' (FORMAT csv, REJECT_TABLE 'bad')",
                "22023 COPY REJECT_TABLE requires ON_ERROR to be set to IGNORE",
            ),
            ("COPY t TO 'out' (ON_ERROR ignore)", "22023 COPY ON_ERROR cannot be used with COPY TO"),
            (
                "COPY t FROM 'odd.csv' (FORMAT binary, ON_ERROR ignore)",
                "42601 only ON_ERROR STOP is allowed in BINARY mode",
            ),
            (
                "COPY t FROM 'odd.csv' (FORMAT csv, ON_ERROR ignore, REJECT_TABLE 'n')",
                "42804 table \"n\" cannot keep rejected lines",
            ),
            (
                "COPY t FROM 'odd.csv' (FORMAT csv, ON_ERROR ignore, REJECT_TABLE 'a b')",
                "42602 invalid name syntax: \"a b\" | It is a table's name as in SQL",
            ),
            ("SELECT count(*) FROM pg_stat_progress_copy", "0"),
        ],
    )
    .await?;
    ask(&mut client, "TRUNCATE t").await?;
    client.take_notices();
    ask(&mut client, "COPY t FROM 'odd.csv' (FORMAT csv, HEADER, ON_ERROR ignore)").await?;
    let notices = client.take_notices().iter().map(|n| n.message().to_string()).collect::<Vec<_>>();
    ensure_eq!(notices, ["6 rows were skipped due to data type incompatibility"], "the notice");
    Ok(())
}

/// Another session sees how far a COPY is.
async fn progress() -> Outcome {
    let files = Files::new()?;
    let mut client = files.server.connect().await?;
    let mut other = files.server.connect().await?;
    script(&mut client, &[("CREATE TABLE t (a integer)", "CREATE TABLE")]).await?;
    client.send(&query("COPY t FROM STDIN WHERE a > 10")).await?;
    let rows = (0..20_000).map(|n| format!("{n}\n")).collect::<String>();
    client.send(&message(b'd', rows.as_bytes())).await?;
    let sql = "SELECT relid::regclass, command, type, bytes_processed, bytes_total, tuples_processed > 8000, tuples_excluded \
               FROM pg_stat_progress_copy";
    let wanted = format!("t,COPY FROM,PIPE,{},0,t,11", rows.len());
    let mut got = String::new();
    for _ in 0..100 {
        got = ask(&mut other, sql).await?;
        if got == wanted {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    ensure_eq!(got, wanted, "while it runs");
    client.send(&message(b'c', b"")).await?;
    client.read_to_ready().await?;
    ensure_eq!(ask(&mut other, "SELECT count(*) FROM pg_stat_progress_copy").await?, "0", "when it has ended");
    Ok(())
}
