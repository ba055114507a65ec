use std::io::{self, Write};
use std::sync::Arc;

use ::parquet::basic::{Encoding, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use ::parquet::data_type::{DataType, DoubleType, Int64Type};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::{ColumnPath, Type};

use super::RowWriter;
use crate::generation::{Layout, Lineage, SeriesRow};

/// The columns of a CSV file, none of which is ever empty: `window` as an integer, `time` in milliseconds of UTC, channels and
/// labels as doubles; where they come from stands in the file's key-value metadata, under [`LINEAGE`].
pub(super) struct ParquetWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// The rows of the next group, by column.
    windows: Vec<i64>,
    times: Vec<i64>,
    /// Channels, then labels.
    values: Vec<Vec<f64>>,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub fn new(output: W, layout: &Layout) -> io::Result<Self> {
        let channels = layout.channels.iter().map(|channel| channel.name.as_str());
        let names: Vec<&str> = channels.chain(layout.labels.iter().map(|label| label.name.as_str())).collect();
        let schema = schema(&names).map_err(refused)?;
        // Both run on evenly; a dictionary, as the others have, would hold them all.
        let even = |properties: WriterPropertiesBuilder, name: &str| {
            let column = ColumnPath::from(name);
            properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
        };
        let properties = even(even(WriterProperties::builder(), "window"), "time").build();
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties)).map_err(refused)?;
        Ok(Self { writer, windows: Vec::new(), times: Vec::new(), values: vec![Vec::new(); names.len()] })
    }

    fn write_group(&mut self) -> io::Result<()> {
        let Self { writer, windows, times, values } = self;
        if windows.is_empty() {
            return Ok(());
        }
        let mut write = || -> Result<()> {
            let mut group = writer.next_row_group()?;
            write_column::<Int64Type, W>(&mut group, windows)?;
            write_column::<Int64Type, W>(&mut group, times)?;
            for column in &*values {
                write_column::<DoubleType, W>(&mut group, column)?;
            }
            group.close().map(|_| ())
        };
        write().map_err(refused)?;
        windows.clear();
        times.clear();
        values.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

impl<W: Write + Send> RowWriter for ParquetWriter<W> {
    fn write(&mut self, row: &SeriesRow) -> io::Result<()> {
        self.windows.push(i64::try_from(row.window).unwrap_or(i64::MAX));
        self.times.push(row.time.as_millisecond());
        for (column, value) in self.values.iter_mut().zip(row.values.iter().chain(&row.condition.levels)) {
            column.push(*value);
        }
        if self.windows.len() < GROUP { Ok(()) } else { self.write_group() }
    }

    fn finish(mut self: Box<Self>, lineage: &Lineage) -> io::Result<()> {
        self.write_group()?;
        self.writer.append_key_value_metadata(KeyValue::new(LINEAGE.to_owned(), lineage.to_json()));
        self.writer.into_inner().map_err(refused)?.flush()
    }
}

fn schema(names: &[&str]) -> Result<Arc<Type>> {
    let required = |name: &str, physical: PhysicalType, logical: Option<LogicalType>| -> Result<Arc<Type>> {
        let column = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
        Ok(Arc::new(column.with_logical_type(logical).build()?))
    };
    let time = LogicalType::timestamp(true, TimeUnit::MILLIS);
    let mut columns =
        vec![required("window", PhysicalType::INT64, None)?, required("time", PhysicalType::INT64, Some(time))?];
    for name in names {
        columns.push(required(name, PhysicalType::DOUBLE, None)?);
    }
    Ok(Arc::new(Type::group_type_builder("series").with_fields(columns).build()?))
}

fn write_column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<()> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("the file has fewer columns than the rows".into()))?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

fn refused(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => io::Error::other(error),
        error => io::Error::other(error),
    }
}

/// The key that a file's lineage stands under.
const LINEAGE: &str = "wheeltapper.lineage";
/// Rows that are held until they are written together.
const GROUP: usize = 65_536;
