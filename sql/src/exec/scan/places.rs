//! Where rows are, for statements that change them: two hidden columns behind those of the table say of each row in which
//! part of the snapshot it is and at which position in the file, or that it is hot, and its `_row`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchema;
use parquet::arrow::RowNumber;
use sightline_storage::parts::Part;
use sightline_storage::snapshot::TableSnapshot;
use sightline_storage::table::Deletes;

/// The names of the hidden columns: no name that a user would write.
pub(crate) struct Place;

impl Place {
    /// The part's number in the snapshot; [`HOT`] for a hot row.
    pub(crate) const PART: &'static str = "\u{2}part";
    /// The position in the part, or `_row` of a hot row.
    pub(crate) const POSITION: &'static str = "\u{2}position";
}

/// The part of rows that are in none.
const HOT: i64 = -1;

/// A table's columns, and behind them the places of its rows.
pub(crate) fn with_places(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().cloned().chain(fields()).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn fields() -> [FieldRef; 2] {
    let position = Field::new(Place::POSITION, DataType::Int64, false).with_extension_type(RowNumber);
    [Arc::new(Field::new(Place::PART, DataType::Int64, false)), Arc::new(position)]
}

/// As the reader of Parquet wants to have it: the part is the same for a whole file, the position is made by the reader.
pub(super) fn table_schema(with_places: &SchemaRef) -> TableSchema {
    let columns = with_places.fields().len() - 2;
    let stored = Schema::new(with_places.fields()[..columns].to_vec());
    let [part, position] = fields();
    TableSchema::builder(Arc::new(stored))
        .with_table_partition_cols(vec![part])
        .with_virtual_columns(vec![position])
        .build()
}

/// The first hidden column of a part's rows.
pub(super) fn of_part(snapshot: &TableSnapshot, part: &Part) -> Vec<ScalarValue> {
    let number = snapshot.parts.iter().position(|p| p.meta.path == part.meta.path);
    vec![ScalarValue::Int64(number.and_then(|n| i64::try_from(n).ok()))]
}

/// The file of hot rows, with the values of the first hidden column.
pub(super) fn hot_file(mut file: PartitionedFile) -> PartitionedFile {
    file.partition_values = vec![ScalarValue::Int64(Some(HOT))];
    file
}

/// Hot chunks with the hidden columns.
pub(super) fn of_hot(snapshot: &TableSnapshot, chunks: &[RecordBatch], schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let numbers = snapshot.hot_numbers();
    let mut from = 0;
    let mut result = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let rows = chunk.num_rows();
        let Some(numbers) = numbers.get(from..from + rows) else { return internal_err!("hot rows without numbers") };
        from += rows;
        let numbers = Int64Array::from_iter_values(numbers.iter().map(|n| n.cast_signed()));
        let mut columns = chunk.columns().to_vec();
        columns.push(Arc::new(Int64Array::from_value(HOT, rows)));
        columns.push(Arc::new(numbers));
        result.push(RecordBatch::try_new(schema.clone(), columns)?);
    }
    Ok(result)
}

/// Gathers the places of rows that a statement deletes.
pub(crate) struct Places {
    snapshot: Arc<TableSnapshot>,
    deletes: Deletes,
    /// By the part's number.
    parts: HashMap<i64, roaring::RoaringBitmap>,
}

impl Places {
    /// Of rows of this snapshot.
    pub(crate) fn new(snapshot: Arc<TableSnapshot>) -> Places {
        Places { snapshot, deletes: Deletes::default(), parts: HashMap::new() }
    }

    /// Takes the rows of a batch whose first two columns are the hidden ones. Answers which of them it has not had before:
    /// a join finds a row as often as it has partners, and it is changed once.
    pub(crate) fn take(&mut self, part: &ArrayRef, position: &ArrayRef) -> Result<BooleanArray> {
        let (part, position) = (part.as_primitive::<Int64Type>(), position.as_primitive::<Int64Type>());
        let first_own = self.snapshot.first_own_row();
        let mut new = BooleanBufferBuilder::new(part.len());
        for row in 0..part.len() {
            // An outer join may have no row of the target.
            if part.is_null(row) {
                new.append(false);
                continue;
            }
            let (part, position) = (part.value(row), position.value(row).cast_unsigned());
            new.append(match (part, position.checked_sub(first_own)) {
                (HOT, Some(own)) => self.deletes.own.insert(own),
                (HOT, None) => self.deletes.hot.insert(position),
                (part, _) => match u32::try_from(position) {
                    Ok(position) => self.parts.entry(part).or_default().insert(position),
                    Err(_) => return internal_err!("a part has too many rows"),
                },
            });
        }
        Ok(BooleanArray::new(new.finish(), None))
    }

    /// The rows by what they are called in a command.
    pub(crate) fn finish(mut self) -> Result<Deletes> {
        for (number, positions) in self.parts {
            let part = usize::try_from(number).ok().and_then(|n| self.snapshot.parts.get(n));
            let Some(part) = part else { return internal_err!("a row of part {number}, which is not there") };
            self.deletes.parts.insert(part.meta.path.clone(), positions);
        }
        Ok(self.deletes)
    }
}
