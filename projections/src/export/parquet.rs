//! Apache Parquet.

use super::error::ExportError;
use super::table::{Column, Kind, Value};
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// The number of rows at which a row group is complete.
const GROUP_ROWS: usize = 65_536;
/// The memory of the values of a row group at which it is complete, in bytes.
const GROUP_BYTES: usize = 32 * 1024 * 1024;
/// The memory of a value of 16 bytes: it is in a block of its own, of which the allocator gives 32 bytes or more.
const FIXED_BYTES: usize = size_of::<FixedLenByteArray>() + 32;
/// The fastest level: on two cores, compression is what takes longest.
const ZSTD_LEVEL: i32 = 1;
/// The digits of a decimal number of 16 bytes.
const PRECISION: u32 = 38;
/// The key of the metadata of a file that says which position of the log it contains.
const POSITION_KEY: &str = "apex.position";

/// Writes row groups. The rows of the one that is not complete are in memory, by column.
pub(super) struct ParquetWriter {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
}

/// The values of a column in a row group, without the missing ones, and for each row whether it has one.
struct Values {
    name: &'static str,
    present: Vec<i16>,
    values: Typed,
}

enum Typed {
    Text(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
    Integer(Vec<i64>),
    Boolean(Vec<bool>),
}

/// A column in the language of schemas.
fn declared(Column { name, kind, .. }: &Column) -> String {
    let (physical, logical) = match kind {
        Kind::Text => ("binary", "(utf8)".to_owned()),
        Kind::Json => ("binary", "(json)".to_owned()),
        Kind::Uuid => ("fixed_len_byte_array(16)", "(uuid)".to_owned()),
        Kind::Time => ("int64", "(timestamp(micros,true))".to_owned()),
        Kind::Integer => ("int64", String::new()),
        Kind::Boolean => ("boolean", String::new()),
        Kind::Decimal(scale) => ("fixed_len_byte_array(16)", format!("(decimal({PRECISION},{scale}))")),
    };
    format!("optional {physical} {name} {logical};\n")
}

impl ParquetWriter {
    pub(super) fn new(columns: &[Column], position: u64) -> Result<Self, ExportError> {
        let columns_declared: String = columns.iter().map(declared).collect();
        let schema = Arc::new(parse_message_type(&format!("message export {{ {columns_declared} }}"))?);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(vec![KeyValue::new(POSITION_KEY.to_owned(), position.to_string())]))
            .set_created_by(concat!("apex ", env!("CARGO_PKG_VERSION")).to_owned());
        for column in columns.iter().filter(|column| !column.repeats) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name), false);
        }
        let file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
        Ok(Self { file, columns: columns.iter().map(Values::of).collect(), rows: 0, bytes: 0 })
    }

    pub(super) fn write(&mut self, row: &[Value]) -> Result<(), ExportError> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.bytes += column.push(value)?;
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.file.inner_mut())
    }

    /// Writes the remaining rows and the footer.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ExportError> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Values {
    fn of(column: &Column) -> Self {
        let values = match column.kind {
            Kind::Text | Kind::Json => Typed::Text(Vec::new()),
            Kind::Uuid | Kind::Decimal(_) => Typed::Fixed(Vec::new()),
            Kind::Time | Kind::Integer => Typed::Integer(Vec::new()),
            Kind::Boolean => Typed::Boolean(Vec::new()),
        };
        Self { name: column.name, present: Vec::new(), values }
    }

    /// Adds the value of a row, and returns the memory that it takes, in bytes.
    fn push(&mut self, value: &Value) -> Result<usize, ExportError> {
        let size = match (&mut self.values, value) {
            (_, Value::Null) => {
                self.present.push(0);
                return Ok(size_of::<i16>());
            }
            (Typed::Text(values), Value::Text(text)) => {
                values.push(ByteArray::from(text.clone()));
                text.len() + size_of::<ByteArray>()
            }
            (Typed::Fixed(values), Value::Uuid(id)) => {
                values.push(id.as_bytes().to_vec().into());
                FIXED_BYTES
            }
            (Typed::Fixed(values), Value::Decimal(number)) => {
                values.push(number.to_be_bytes().to_vec().into());
                FIXED_BYTES
            }
            (Typed::Integer(values), Value::Time(number) | Value::Integer(number)) => {
                values.push(*number);
                size_of::<i64>()
            }
            (Typed::Boolean(values), Value::Boolean(is)) => {
                values.push(*is);
                size_of::<bool>()
            }
            _ => return Err(ExportError::Malformed { column: self.name }),
        };
        self.present.push(1);
        Ok(size + size_of::<i16>())
    }

    /// Writes the values as the next column of a row group, and removes them.
    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ExportError> {
        let present = &mut self.present;
        match &mut self.values {
            Typed::Text(values) => write::<ByteArrayType>(group, values, present),
            Typed::Fixed(values) => write::<FixedLenByteArrayType>(group, values, present),
            Typed::Integer(values) => write::<Int64Type>(group, values, present),
            Typed::Boolean(values) => write::<BoolType>(group, values, present),
        }
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &mut Vec<T::T>,
    present: &mut Vec<i16>,
) -> Result<(), ExportError> {
    let mut column =
        group.next_column()?.ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))?;
    column.typed::<T>().write_batch(values, Some(present), None)?;
    column.close()?;
    values.clear();
    present.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_group_ends_when_its_numbers_take_too_much_memory() {
        const COLUMNS: usize = 40;
        /// What a number takes at least: its 16 bytes, and what refers to them.
        const MIN_BYTES: usize = 16 + size_of::<FixedLenByteArray>();
        let columns = (0..COLUMNS).map(|n| Column::new(format!("c{n}").leak(), Kind::Decimal(12)));
        let mut writer = ParquetWriter::new(&columns.collect::<Vec<_>>(), 1).unwrap();
        let rows = GROUP_BYTES / (COLUMNS * MIN_BYTES);
        assert!(rows < GROUP_ROWS, "the group would end by its rows");
        for number in 0..=rows {
            let row: [Value; COLUMNS] = std::array::from_fn(|_| Value::Decimal(i128::try_from(number).unwrap()));
            writer.write(&row).unwrap();
        }
        assert!(writer.take().len() > 1000, "no row group was written");
    }
}
