//! `sys.detect('file')`: what a file would be read as, one row a column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListArray, RecordBatch, StringViewArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::Root;
use super::call::Call;
use super::table::{look, sample_bytes};
use crate::codec::Style;
use crate::error::from_datafusion;

/// The preview of all files that the call names.
pub(super) fn open(root: &Root, call: &Call, style: &Style) -> Result<Arc<dyn TableProvider>> {
    let paths = root.list(&call.paths)?;
    let sample = sample_bytes(call, paths.len())?;
    let mut rows: [Vec<Option<String>>; 7] = Default::default();
    let (mut headers, mut samples, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let mut empty = None;
    for path in &paths {
        let file = look(root, path, call, sample, style)?;
        if file.is_empty() {
            empty.get_or_insert(file);
            continue;
        }
        let dialect = file.dialect();
        let delimiter = dialect.map(|d| match (d.blanks, d.delimiter) {
            (true, _) => "blanks".to_string(),
            (_, b'\t') => "\\t".to_string(),
            (_, delimiter) => char::from(delimiter).to_string(),
        });
        let encoding = file.encoding.map(|e| if e.name() == "gb18030" { "GB18030" } else { e.name() });
        for column in &file.columns {
            let cells = [
                Some(file.path.clone()),
                Some(column.name.clone()),
                column.refused.is_none().then(|| column.ty.to_string()),
                delimiter.clone(),
                dialect.map(|d| char::from(d.quote).to_string()),
                encoding.map(str::to_string),
                file.compression.map(str::to_string),
            ];
            rows.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            headers.push(dialect.map(|d| d.header));
            lengths.push(column.samples.len());
            samples.extend(column.samples.iter().cloned());
        }
    }
    if let (Some(file), true) = (&empty, headers.is_empty()) {
        return Err(file.unknown());
    }
    let [files, names, types, delimiters, quotes, encodings, compressions] =
        rows.map(|cells| Arc::new(StringViewArray::from_iter(cells)) as ArrayRef);
    let item = Arc::new(SqlType::Text.field("item", true));
    let values = Arc::new(StringViewArray::from_iter_values(samples));
    let samples = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, None)?;
    let columns: Vec<(&str, SqlType, ArrayRef)> = vec![
        ("file", SqlType::Text, files),
        ("column_name", SqlType::Text, names),
        ("data_type", SqlType::Text, types),
        ("samples", SqlType::Array(Box::new(SqlType::Text)), Arc::new(samples)),
        ("delimiter", SqlType::Text, delimiters),
        ("quote", SqlType::Text, quotes),
        ("header", SqlType::Boolean, Arc::new(BooleanArray::from(headers))),
        ("encoding", SqlType::Text, encodings),
        ("compression", SqlType::Text, compressions),
    ];
    let schema = Arc::new(Schema::new(columns.iter().map(|(name, ty, _)| ty.field(name, true)).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(.., array)| array).collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]]).map_err(from_datafusion)?))
}
