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
use super::detect::{self, Dialect, Found, Told};
use super::xlsx::{self, Sheet};
use super::{Chunks, Root, json, parquet};
use crate::answer::Column;
use crate::authorize::{Action, authorize};
use crate::codec::Style;
use crate::codec::copy::{CopyDecoder, CopyFormat, CopyOptions, Header};
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
}

impl Source {
    pub(super) fn dialect(&self) -> Option<&Dialect> {
        match &self.kind {
            Kind::Csv(dialect) | Kind::Xlsx(_, dialect) => Some(dialect),
            Kind::Json(_) | Kind::Parquet => None,
        }
    }

    /// Whether the file itself says of what types its columns are.
    pub(super) fn is_typed(&self) -> bool {
        matches!(self.kind, Kind::Parquet)
    }

    /// The same under another name.
    pub(super) fn called(self, name: &str) -> Source {
        Source { label: format!("the {name}"), ..self }
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
    let made = |kind, columns| {
        let (path, label) = (path.to_string(), format!("file \"{path}\""));
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
                (Kind::Json(call.option("columns").is_some()), json::detect(&start, whole, path, style)?)
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
    columns: Vec<(String, SqlType)>,
    schema: SchemaRef,
    files: Vec<Arc<Source>>,
    style: Style,
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
        let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
        let paths = root.list(&call.paths)?;
        let sample = sample_bytes(call, paths.len())?;
        let mut files = Vec::with_capacity(paths.len());
        for path in &paths {
            ctx.limits.check()?;
            files.push(look(&root, path, call, sample, &style)?);
        }
        let told = call.option("columns").map(|text| told_columns(ctx, call, text)).transpose()?;
        for file in &mut files {
            if let Some(told) = &told {
                put(file, told, call)?;
            }
        }
        let columns = united(&files, call.boolean("union_by_name")?.unwrap_or(false), call.function)?;
        let schema = schema_of(&columns);
        Ok(FileTable { root, columns, schema, files: files.into_iter().map(Arc::new).collect(), style })
    }
}

pub(super) fn schema_of(columns: &[(String, SqlType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, ty)| ty.field(name, true)).collect::<Vec<_>>()))
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
        Kind::Json(_) => {
            let column = |(name, ty): &(String, SqlType)| Found { name: name.clone(), ty: ty.clone(), samples: vec![] };
            file.columns = told.iter().map(column).collect();
        }
        Kind::Csv(dialect) | Kind::Xlsx(_, dialect) if dialect.header => {
            for (name, ty) in told {
                let Some(column) = file.columns.iter_mut().find(|c| c.name == *name) else {
                    let text = format!("column \"{name}\" does not exist in file \"{}\"", file.path);
                    return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
                };
                column.ty = ty.clone();
            }
        }
        Kind::Csv(_) | Kind::Xlsx(..) => {
            if file.columns.len() != told.len() {
                let text =
                    format!("names {} columns, but file \"{}\" has {}", told.len(), file.path, file.columns.len());
                return Err(call.invalid("columns", &text));
            }
            for (column, (name, ty)) in file.columns.iter_mut().zip(told) {
                (column.name, column.ty) = (name.clone(), ty.clone());
            }
        }
    }
    Ok(())
}

/// The columns of all files together.
pub(super) fn united(files: &[Source], by_name: bool, function: Function) -> Result<Vec<(String, SqlType)>> {
    let mut all: Vec<(String, SqlType)> = Vec::new();
    for (n, file) in files.iter().enumerate() {
        for column in &file.columns {
            match all.iter_mut().find(|(name, _)| *name == column.name) {
                Some((_, ty)) => *ty = common(ty, column),
                None if n == 0 || by_name || function == Function::Json => {
                    all.push((column.name.clone(), column.ty.clone()))
                }
                None => return Err(different(&files[0].path, &file.path, &column.name)),
            }
        }
        if !by_name
            && function != Function::Json
            && let Some((missing, _)) = all.iter().find(|(name, _)| file.columns.iter().all(|c| c.name != *name))
        {
            return Err(different(&file.path, &files[0].path, missing));
        }
    }
    Ok(all)
}

fn different(without: &str, with: &str, column: &str) -> Error {
    let text = format!("file \"{with}\" has a column \"{column}\" and file \"{without}\" has none");
    Error::new(SqlState::DATATYPE_MISMATCH, text).hint("With union_by_name => true what a file lacks is NULL.")
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
        let columns: Arc<[(String, SqlType)]> = wanted.iter().map(|n| self.columns[*n].clone()).collect();
        let schema = schema_of(&columns);
        let count = self.files.len().min(state.config().target_partitions()).max(1);
        let share = self.files.len().div_ceil(count).max(1);
        let part = |files: &[Arc<Source>]| {
            Arc::new(Reading {
                root: self.root.clone(),
                files: files.to_vec(),
                columns: columns.clone(),
                schema: schema.clone(),
                style: self.style.clone(),
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
    columns: Arc<[(String, SqlType)]>,
    schema: SchemaRef,
    style: Style,
}

impl PartitionStream for Reading {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (root, columns, schema) = (self.root.clone(), self.columns.clone(), self.schema.clone());
        let style = self.style.clone();
        let rows = futures::stream::iter(self.files.clone())
            .flat_map(move |file| rows_in(&root, file, &columns, &schema, &style))
            .map_err(to_datafusion);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// The rows of a file in the columns asked for.
pub(super) fn rows_in(
    root: &Root,
    file: Arc<Source>,
    columns: &Arc<[(String, SqlType)]>,
    schema: &SchemaRef,
    style: &Style,
) -> BoxStream<'static, Result<RecordBatch>> {
    if !file.is_typed() {
        return rows(root, file, columns, schema, style).boxed();
    }
    let places = columns.iter().map(|(name, _)| file.columns.iter().position(|c| c.name == *name)).collect();
    let (root, path) = (root.clone(), file.path.clone());
    let batches = parquet::start(move || root.open(&path), file.path.clone(), places, schema.clone());
    futures::stream::unfold(batches, |mut batches| async move { batches.recv().await.map(|batch| (batch, batches)) })
        .boxed()
}

/// The rows of a file that becomes csv.
fn rows(
    root: &Root,
    file: Arc<Source>,
    columns: &Arc<[(String, SqlType)]>,
    schema: &SchemaRef,
    style: &Style,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send + use<> {
    // What nobody asks for is cut out of the line and not read.
    let wanted = |found: &Found| columns.iter().find(|(name, _)| *name == found.name).map(|(_, ty)| ty.clone());
    let types = file.columns.iter().map(|c| wanted(c).unwrap_or(SqlType::Void)).collect::<Vec<_>>();
    let described = file.columns.iter().zip(&types).map(|(c, ty)| Column {
        name: c.name.clone(),
        ty: ty.clone(),
        table: 0,
        number: 0,
    });
    let described = described.collect::<Arc<[Column]>>();
    let only_cr = file.dialect().is_some_and(|d| d.only_cr);
    let decoder =
        CopyDecoder::new(described, &options(&file), "").with_style(style.clone()).of_file(file.label.clone(), only_cr);
    let places = columns.iter().map(|(name, _)| file.columns.iter().position(|c| c.name == *name)).collect::<Vec<_>>();
    let (root, source) = (root.clone(), file);
    let chunks = match source.kind.clone() {
        Kind::Xlsx(sheet, _) => {
            Chunks::produce(move |give| xlsx::read(root.open(&source.path)?, &source.path, &sheet, give))
        }
        _ => Chunks::start(move || reader(&root, &source)),
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
        Kind::Json(_) | Kind::Parquet => csv,
    }
}

/// The file as csv.
fn reader(root: &Root, file: &Source) -> Result<Box<dyn Read + Send>> {
    let text = bytes::text(root.open(&file.path)?, &file.path, file.encoding)?;
    Ok(match &file.kind {
        Kind::Csv(dialect) if dialect.blanks => Box::new(BlankRuns::new(text.reader)),
        Kind::Csv(_) | Kind::Xlsx(..) | Kind::Parquet => text.reader,
        Kind::Json(loose) => {
            let columns = file.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect::<Vec<_>>();
            Box::new(json::Rows::new(text.reader, &file.path, &columns, *loose))
        }
    })
}
