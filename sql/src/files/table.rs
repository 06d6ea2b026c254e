//! Files as a relation: which files, what columns they have together, and their rows as a plan reads them.
//!
//! 1. [`FileTable::open`] lists the files and looks at the beginning of each, while the statement is planned.
//! 2. Columns are matched by name. All files must have the same ones, or with `union_by_name` each may lack some.
//! 3. A scan reads each file aside ([`Chunks`]) as rows of csv, which [`CopyDecoder`] makes batches of: types, limits and
//!    errors are those of COPY. Columns that the query does not name are passed over.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::sql::sqlparser::ast::ColumnDef;
use encoding_rs::Encoding;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::bytes::{self, BlankRuns};
use super::call::{Call, Function};
use super::detect::{self, Dialect, Evidence, Found, Told};
use super::xlsx::{self, Sheet};
use super::{Chunks, Root, json, parquet};
use crate::answer::Column;
use crate::authorize::{Action, authorize};
use crate::codec::Style;
use crate::codec::copy::{CopyDecoder, CopyFormat, CopyOptions, Header};
use crate::codec::faithful::Faithful;
use crate::error::to_datafusion;
use crate::plan::QueryContext;

/// Bytes of a file that tell what it holds, unless `sample_bytes` says else …
const SAMPLE_BYTES: usize = 4 << 20;
/// … and of all files together.
const SAMPLE_BYTES_ALL: usize = 64 << 20;
/// The least of one file.
const SAMPLE_BYTES_MIN: usize = 64 << 10;
/// The most that can be asked for.
const SAMPLE_BYTES_MAX: usize = 256 << 20;
/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// A file to be read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    /// What errors call it.
    label: String,
    kind: Kind,
    /// The columns of the file in its order.
    pub(super) columns: Vec<Found>,
    pub(super) encoding: Option<&'static Encoding>,
    pub(super) compression: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Kind {
    Csv(Dialect),
    /// With `true` members that are no columns are passed over.
    Json(bool),
    Xlsx(Sheet, Dialect),
    Parquet,
    /// Without any row, so that nothing tells the columns.
    Empty,
}

/// A column of a relation of files.
#[derive(Clone, Debug)]
pub(super) struct FileColumn {
    pub(super) name: String,
    pub(super) ty: SqlType,
    /// How the type was found out, in all files together.
    evidence: Option<Evidence>,
    /// Why it cannot be read.
    refused: Option<String>,
}

impl FileColumn {
    pub(super) fn of(found: &Found) -> FileColumn {
        let Found { name, ty, evidence, refused, samples: _ } = found.clone();
        FileColumn { name, ty, evidence, refused }
    }

    /// What values further down have to be like.
    fn rule(&self) -> Option<Faithful> {
        self.evidence.as_ref().map(|evidence| evidence.rule(&self.ty))
    }
}

/// How values are read.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) style: Style,
    /// Bytes of a line.
    pub(super) line_max: usize,
}

impl Manner {
    pub(super) fn of(ctx: &QueryContext) -> Manner {
        let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
        Manner { style, line_max: ctx.memory.line_max() }
    }
}

impl Source {
    pub(super) fn dialect(&self) -> Option<&Dialect> {
        match &self.kind {
            Kind::Csv(dialect) | Kind::Xlsx(_, dialect) => Some(dialect),
            Kind::Json(_) | Kind::Parquet | Kind::Empty => None,
        }
    }

    /// Whether it has no rows, and its columns are not known.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// The error for a file whose columns nobody knows.
    pub(super) fn unknown(&self) -> Error {
        let text = format!("{} is empty: its columns cannot be told", self.label);
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, text)
    }

    /// Whether the file itself says of what types its columns are.
    pub(super) fn is_typed(&self) -> bool {
        matches!(self.kind, Kind::Parquet)
    }
}

/// Looks at the beginning of a file.
pub(super) fn look(root: &Root, path: &str, call: &Call, sample: usize, style: &Style) -> Result<Source> {
    let named = call.option("encoding").map(bytes::encoding).transpose()?;
    let told = Told {
        delimiter: call.byte("delim")?,
        quote: call.byte("quote")?,
        escape: call.byte("escape")?,
        null: call.option("nullstr").map(str::to_string),
        header: call.boolean("header")?,
    };
    let made = |kind, columns: Vec<Found>| {
        let (path, label) = (path.to_string(), format!("file \"{path}\""));
        let kind = if columns.is_empty() && !matches!(kind, Kind::Json(true)) { Kind::Empty } else { kind };
        Source { path, label, kind, columns, encoding: None, compression: None }
    };
    match kind_of(call.function, path) {
        Function::Parquet => Ok(made(Kind::Parquet, parquet::detect(root.open(path)?, path)?)),
        Function::Xlsx => {
            let (sheet, start, whole) = xlsx::look(root.open(path)?, path, call.option("sheet"))?;
            let told = Told { delimiter: Some(b','), header: told.header, ..Told::default() };
            let (dialect, columns) = detect::csv(&start, whole, path, &told, style)?;
            Ok(made(Kind::Xlsx(sheet, dialect), columns))
        }
        function => {
            let text = bytes::text(root.open(path)?, path, named)?;
            let mut start = Vec::new();
            text.reader.take(sample as u64).read_to_end(&mut start).map_err(super::chunks::cannot_read)?;
            let whole = start.len() < sample;
            let (kind, columns) = if function == Function::Json {
                let told = call.option("columns").is_some();
                (Kind::Json(told), if told { vec![] } else { json::detect(&start, whole, path, style)? })
            } else {
                let (dialect, columns) = detect::csv(&start, whole, path, &told, style)?;
                (Kind::Csv(dialect), columns)
            };
            Ok(Source { encoding: Some(text.encoding), compression: text.compression, ..made(kind, columns) })
        }
    }
}

/// What reads a file; for `detect` its name tells.
fn kind_of(function: Function, path: &str) -> Function {
    let path = path.to_ascii_lowercase();
    match function {
        Function::Detect if path.ends_with(".parquet") => Function::Parquet,
        Function::Detect if path.ends_with(".xlsx") => Function::Xlsx,
        Function::Detect if is_json(&path) => Function::Json,
        Function::Detect => Function::Csv,
        other => other,
    }
}

fn is_json(path: &str) -> bool {
    let plain = path.strip_suffix(".gz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path);
    [".json", ".ndjson", ".jsonl"].iter().any(|ending| plain.ends_with(ending))
}

/// How much is looked at of each of so many files.
pub(super) fn sample_bytes(call: &Call, files: usize) -> Result<usize> {
    let Some(text) = call.option("sample_bytes") else {
        return Ok(SAMPLE_BYTES.min((SAMPLE_BYTES_ALL / files.max(1)).max(SAMPLE_BYTES_MIN)));
    };
    let bytes = text.parse::<usize>().ok().filter(|n| (1..=SAMPLE_BYTES_MAX).contains(n));
    bytes.ok_or_else(|| call.invalid("sample_bytes", &format!("takes a number from 1 to {SAMPLE_BYTES_MAX}")))
}

/// One call's files.
#[derive(Debug)]
pub(crate) struct FileTable {
    root: Root,
    columns: Vec<FileColumn>,
    schema: SchemaRef,
    files: Vec<Arc<Source>>,
    manner: Manner,
}

/// The relation that a call reads.
///
/// # Errors
/// 42501 without the privilege; 58P01 and others for files that cannot be read; 22P04 for what they hold.
pub(crate) fn open(ctx: &Arc<QueryContext>, call: &Call) -> Result<Arc<dyn TableProvider>> {
    authorize(&ctx.identity, Action::ReadFiles(&format!("call {}", call.function.name())))?;
    let root = Root::of(ctx);
    match call.function {
        Function::Detect => super::preview::open(&root, call, ctx.settings.style()),
        _ => Ok(Arc::new(FileTable::open(ctx, root, call)?)),
    }
}

impl FileTable {
    fn open(ctx: &Arc<QueryContext>, root: Root, call: &Call) -> Result<FileTable> {
        let manner = Manner::of(ctx);
        let paths = root.list(&call.paths)?;
        let sample = sample_bytes(call, paths.len())?;
        let mut files = Vec::with_capacity(paths.len());
        for path in &paths {
            ctx.limits.check()?;
            files.push(look(&root, path, call, sample, &manner.style)?);
        }
        let told = call.option("columns").map(|text| told_columns(ctx, call, text)).transpose()?;
        // What has no rows changes nothing, unless there is nothing else.
        if files.iter().any(|file| !file.is_empty()) {
            files.retain(|file| !file.is_empty());
        } else if let (None, Some(file)) = (&told, files.first()) {
            return Err(file.unknown());
        }
        for file in &mut files {
            if let Some(told) = &told {
                put(file, told, call)?;
            }
        }
        let columns = united(&files, call.boolean("union_by_name")?.unwrap_or(false), call.function)?;
        let schema = schema_of(&columns);
        Ok(FileTable { root, columns, schema, files: files.into_iter().map(Arc::new).collect(), manner })
    }
}

pub(super) fn schema_of(columns: &[FileColumn]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|c| c.ty.field(&c.name, true)).collect::<Vec<_>>()))
}

/// `columns => 'id integer, name text'`.
fn told_columns(ctx: &QueryContext, call: &Call, text: &str) -> Result<Vec<(String, SqlType)>> {
    let wrong = |e: Option<Error>| {
        let error = call.invalid("columns", "takes columns as CREATE TABLE does, as in 'id integer, name text'");
        match e {
            Some(e) => error.detail(format!("{}.", e.message())),
            None => error,
        }
    };
    let parsed = crate::parser::parse(&format!("CREATE TABLE x ({text})")).map_err(|e| wrong(Some(e)))?;
    let [statement] = parsed.as_slice() else { return Err(wrong(None)) };
    let crate::parser::Body::CreateTable(table) = &statement.body else { return Err(wrong(None)) };
    let plain = table.constraints.is_empty() && table.columns.iter().all(|c| c.options.is_empty());
    if !plain || table.columns.is_empty() || table.query.is_some() {
        return Err(wrong(None));
    }
    let column = |c: &ColumnDef| Ok((crate::plan::fold(&c.name), crate::plan::sql_type_in(ctx, &c.data_type)?));
    table.columns.iter().map(column).collect()
}

/// Gives the columns of a file the types that are told: by name where the file has names, else in order.
fn put(file: &mut Source, told: &[(String, SqlType)], call: &Call) -> Result<()> {
    match &file.kind {
        Kind::Parquet => {}
        Kind::Json(_) | Kind::Empty => {
            file.columns = told.iter().map(|(name, ty)| Found::told(name, ty)).collect();
        }
        Kind::Csv(dialect) | Kind::Xlsx(_, dialect) if dialect.header => {
            for (name, ty) in told {
                let Some(column) = file.columns.iter_mut().find(|c| c.name == *name) else {
                    let text = format!("column \"{name}\" does not exist in file \"{}\"", file.path);
                    return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
                };
                *column = Found::told(name, ty);
            }
        }
        Kind::Csv(_) | Kind::Xlsx(..) => {
            if file.columns.len() != told.len() {
                let text =
                    format!("names {} columns, but file \"{}\" has {}", told.len(), file.path, file.columns.len());
                return Err(call.invalid("columns", &text));
            }
            for (column, (name, ty)) in file.columns.iter_mut().zip(told) {
                *column = Found::told(name, ty);
            }
        }
    }
    Ok(())
}

/// The columns of all files together.
fn united(files: &[Source], by_name: bool, function: Function) -> Result<Vec<FileColumn>> {
    let mut all: Vec<FileColumn> = Vec::new();
    for (n, file) in files.iter().enumerate() {
        for column in &file.columns {
            match all.iter_mut().find(|known| known.name == column.name) {
                Some(known) => known.join(column),
                None if n == 0 || by_name || function == Function::Json => all.push(FileColumn::of(column)),
                None => return Err(different(&files[0].path, &file.path, &column.name)),
            }
        }
        if !by_name
            && function != Function::Json
            && let Some(missing) = all.iter().find(|known| file.columns.iter().all(|c| c.name != known.name))
        {
            return Err(different(&file.path, &files[0].path, &missing.name));
        }
    }
    Ok(all)
}

fn different(without: &str, with: &str, column: &str) -> Error {
    let text = format!("file \"{with}\" has a column \"{column}\" and file \"{without}\" has none");
    Error::new(SqlState::DATATYPE_MISMATCH, text).hint("With union_by_name => true what a file lacks is NULL.")
}

impl FileColumn {
    /// Makes it the column of one more file too.
    fn join(&mut self, column: &Found) {
        self.refused = self.refused.take().or_else(|| column.refused.clone());
        match (&self.evidence, &column.evidence) {
            (Some(ours), Some(theirs)) => {
                let both = ours.with(theirs);
                self.ty = both.ty();
                self.evidence = Some(both);
            }
            _ => {
                self.ty = common(&self.ty, column);
                self.evidence = None;
            }
        }
    }
}

/// A type for values of both; a column without any value says nothing.
fn common(ty: &SqlType, column: &Found) -> SqlType {
    use SqlType as T;
    let number = |ty: &SqlType| matches!(ty, T::BigInt | T::Double | T::Numeric(None));
    match (ty, &column.ty) {
        (a, b) if a == b => a.clone(),
        (a, T::Text) if column.samples.is_empty() => a.clone(),
        (T::BigInt, T::Double) | (T::Double, T::BigInt) => T::Double,
        (a, b) if number(a) && number(b) => T::Numeric(None),
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date) => T::Timestamp,
        (T::Jsonb, _) | (_, T::Jsonb) => T::Jsonb,
        _ => T::Text,
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        let columns: Arc<[FileColumn]> = wanted.iter().map(|n| self.columns[*n].clone()).collect();
        if let Some(refused) = columns.iter().find_map(|c| c.refused.as_ref()) {
            return Err(to_datafusion(Error::unsupported(format!("{refused}, which is not supported"))));
        }
        let schema = schema_of(&columns);
        let count = self.files.len().min(state.config().target_partitions()).max(1);
        let share = self.files.len().div_ceil(count).max(1);
        let part = |files: &[Arc<Source>]| {
            Arc::new(Reading {
                root: self.root.clone(),
                files: files.to_vec(),
                columns: columns.clone(),
                schema: schema.clone(),
                manner: self.manner.clone(),
            }) as Arc<dyn PartitionStream>
        };
        let parts = self.files.chunks(share).map(part).collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), parts, None, [], false, limit)?))
    }
}

/// Some of the files, one after another.
#[derive(Debug)]
struct Reading {
    root: Root,
    files: Vec<Arc<Source>>,
    /// Those that are asked for.
    columns: Arc<[FileColumn]>,
    schema: SchemaRef,
    manner: Manner,
}

impl PartitionStream for Reading {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (root, columns, schema) = (self.root.clone(), self.columns.clone(), self.schema.clone());
        let manner = self.manner.clone();
        let rows = futures::stream::iter(self.files.clone())
            .flat_map(move |file| rows_in(&root, file, &columns, &schema, &manner))
            .map_err(to_datafusion);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// The rows of a file in the columns asked for.
pub(super) fn rows_in(
    root: &Root,
    file: Arc<Source>,
    columns: &Arc<[FileColumn]>,
    schema: &SchemaRef,
    manner: &Manner,
) -> BoxStream<'static, Result<RecordBatch>> {
    if file.is_empty() {
        return futures::stream::empty().boxed();
    }
    if !file.is_typed() {
        return rows(root, file, columns, schema, manner).boxed();
    }
    let places = columns.iter().map(|column| file.columns.iter().position(|c| c.name == column.name)).collect();
    let (root, path) = (root.clone(), file.path.clone());
    let batches = parquet::start(move || root.open(&path), file.path.clone(), places, schema.clone());
    futures::stream::unfold(batches, |mut batches| async move { batches.recv().await.map(|batch| (batch, batches)) })
        .boxed()
}

/// The rows of a file that becomes csv.
fn rows(
    root: &Root,
    file: Arc<Source>,
    columns: &Arc<[FileColumn]>,
    schema: &SchemaRef,
    manner: &Manner,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send + use<> {
    // What nobody asks for is cut out of the line and not read.
    let wanted = |found: &Found| columns.iter().find(|column| column.name == found.name);
    let described = file.columns.iter().map(|c| Column {
        name: c.name.clone(),
        ty: wanted(c).map_or(SqlType::Void, |column| column.ty.clone()),
        table: 0,
        number: 0,
    });
    let described = described.collect::<Arc<[Column]>>();
    let rules = file.columns.iter().map(|c| wanted(c).and_then(FileColumn::rule)).collect();
    let only_cr = file.dialect().is_some_and(|d| d.only_cr);
    let decoder = CopyDecoder::new(described, &options(&file), "")
        .with_style(manner.style.clone())
        .with_line_max(manner.line_max)
        .of_file(file.label.clone(), only_cr, rules);
    let places = columns.iter().map(|column| file.columns.iter().position(|c| c.name == column.name));
    let places = places.collect::<Vec<_>>();
    let (root, source, line_max) = (root.clone(), file, manner.line_max);
    let chunks = match source.kind.clone() {
        Kind::Xlsx(sheet, _) => {
            Chunks::produce(move |give| xlsx::read(root.open(&source.path)?, &source.path, &sheet, give))
        }
        _ => Chunks::start(move || reader(&root, &source, line_max)),
    };
    let state = (chunks, decoder, false);
    let schema = schema.clone();
    let batches = futures::stream::try_unfold(state, |(mut chunks, mut decoder, mut ended)| async move {
        loop {
            if let Some(batch) = decoder.take_batch(BATCH_ROWS)? {
                return Ok(Some((batch, (chunks, decoder, ended))));
            }
            if ended {
                return Ok(None);
            }
            match chunks.next().await? {
                Some(chunk) => decoder.push(&chunk)?,
                None => {
                    ended = true;
                    if let Some(batch) = decoder.finish()? {
                        return Ok(Some((batch, (chunks, decoder, ended))));
                    }
                }
            }
        }
    });
    batches.and_then(move |batch: RecordBatch| {
        let placed = placed(&batch, &places, &schema);
        async move { placed }
    })
}

/// The columns asked for, NULL where the file has none.
fn placed(batch: &RecordBatch, places: &[Option<usize>], schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = places.iter().zip(schema.fields()).map(|(place, field)| match place {
        Some(n) => batch.column(*n).clone(),
        None => new_null_array(field.data_type(), batch.num_rows()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)?)
}

/// How the rows are cut.
fn options(file: &Source) -> CopyOptions {
    let csv = CopyOptions::of(CopyFormat::Csv);
    match &file.kind {
        Kind::Csv(dialect) | Kind::Xlsx(_, dialect) => CopyOptions {
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            escape: dialect.escape,
            null: dialect.null.clone(),
            header: if dialect.header { Header::Yes } else { Header::No },
            ..csv
        },
        Kind::Json(_) | Kind::Parquet | Kind::Empty => csv,
    }
}

/// The file as csv.
fn reader(root: &Root, file: &Source, line_max: usize) -> Result<Box<dyn Read + Send>> {
    let text = bytes::text(root.open(&file.path)?, &file.path, file.encoding)?;
    Ok(match &file.kind {
        Kind::Csv(dialect) if dialect.blanks => Box::new(BlankRuns::new(text.reader)),
        Kind::Csv(_) | Kind::Xlsx(..) | Kind::Parquet | Kind::Empty => text.reader,
        Kind::Json(loose) => {
            let columns = file.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect::<Vec<_>>();
            Box::new(json::Rows::new(text.reader, &file.path, &columns, *loose).value_max(line_max))
        }
    })
}
