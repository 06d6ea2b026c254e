//! The examples of the documents run: every ```sql block of README.md and docs/*.md, in order, on a fresh server. A block
//! marked ```sql error must fail.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Outcome, repository, trial};

/// One trial a document with SQL in it.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    let mut documents = vec![repository().join("README.md")];
    if let Ok(entries) = std::fs::read_dir(repository().join("docs")) {
        let mut found: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
        found.sort();
        documents.extend(found.into_iter().filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    for document in documents {
        let Ok(text) = std::fs::read_to_string(&document) else { continue };
        let blocks = blocks(&text);
        if !blocks.is_empty() {
            let name = document.strip_prefix(repository()).unwrap_or(&document).display().to_string();
            trials.push(trial(format!("docs::{name}"), move || run(document, blocks)));
        }
    }
}

/// A block of SQL, where it begins, and whether it must fail.
struct Block {
    line: usize,
    sql: String,
    fails: bool,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim()) {
            (None, "```sql" | "```sql error") => {
                open = Some(Block { line: number + 1, sql: String::new(), fails: line.trim().ends_with("error") });
            }
            (Some(_), "```") => all.extend(open.take()),
            (Some(block), _) => {
                block.sql.push_str(line);
                block.sql.push('\n');
            }
            (None, _) => {}
        }
    }
    all
}

async fn run(document: PathBuf, blocks: Vec<Block>) -> Outcome {
    let files = tempfile::tempdir()?;
    let server = Server::fresh_with(&[("SIGHTLINE_FILE_ROOT", &files.path().display().to_string())])?;
    let mut client = server.connect().await?;
    for block in blocks {
        for statement in statements(&block.sql) {
            if let Some(tenant) = statement.trim().strip_prefix("\\c ") {
                client = Client::connect(server.port, USER, tenant.trim()).await?;
                continue;
            }
            check(&mut client, &statement, &document, &block).await?;
        }
    }
    Client::connect(server.port, USER, DATABASE).await?;
    Ok(())
}

async fn check(client: &mut Client, statement: &str, document: &Path, block: &Block) -> Outcome {
    let place = || format!("{}:{}: {}", document.display(), block.line, statement.trim());
    match client.simple(statement).await?.into_iter().find(|a| matches!(a, Answer::Error(_))) {
        Some(Answer::Error(e)) if !block.fails => Err(format!("{}\n[{}] {}", place(), e.code(), e.message()).into()),
        None if block.fails => Err(format!("{}\nsucceeds", place()).into()),
        _ => Ok(()),
    }
}

/// Cuts a block at semicolons that end a line, as people write; psql's `\c tenant` stands on a line of its own.
fn statements(sql: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in sql.lines() {
        let own = line.trim_start().starts_with("\\c ");
        if own && all.last().is_some_and(|s| !s.trim().is_empty()) {
            all.push(String::new());
        }
        let current = all.last_mut().expect("never empty");
        current.push_str(line);
        current.push('\n');
        let code = line.split("--").next().unwrap_or("").trim_end();
        if own || code.ends_with(';') {
            all.push(String::new());
        }
    }
    all.retain(|s| !s.trim().is_empty());
    all
}
