//! One archive file: the events of a partition as Parquet, in the order of the log.
//!
//! The columns are those of the table. Row groups are small and read into memory as a whole, so that a page costs one or
//! two of them, whatever the size of the file. The file's statistics have the first position of each row group, and a
//! Bloom filter per row group excludes streams that are not in it.

use super::error::ArchiveError;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::TenantId;
use parquet::basic::{Compression, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, FileReader as _, Length, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// The columns, in the order of the table.
pub(super) const SCHEMA: &str = "message event {
    required int64 position;
    required binary tenant_id (utf8);
    required binary category (utf8);
    required fixed_len_byte_array(16) stream_id (uuid);
    required int64 version;
    required fixed_len_byte_array(16) event_id (uuid);
    required binary type (utf8);
    required int32 schema_version;
    required binary payload (utf8);
    required binary metadata (utf8);
    required int64 recorded_at (timestamp(micros,true));
    required binary content_hash;
}";
const STREAM_ID: usize = 3;
const RECORDED_AT: usize = 10;
/// The number of events at which a row group is complete.
const GROUP_EVENTS: usize = 5000;
/// The bytes of payload and metadata at which a row group is complete.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// zstd's default: higher levels cost far more time than they save space on JSON.
const ZSTD_LEVEL: i32 = 3;

/// Writes events in the order in which they are pushed.
pub(super) struct Writer {
    file: SerializedFileWriter<File>,
    group: Vec<RecordedEvent>,
    group_bytes: usize,
}

impl Writer {
    pub(super) fn new(file: File) -> Result<Self, ArchiveError> {
        let column = ColumnPath::from("stream_id");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_max_ndv(column, GROUP_EVENTS as u64)
            .set_created_by(concat!("apex ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { file, group: Vec::new(), group_bytes: 0 })
    }

    pub(super) fn push(&mut self, event: RecordedEvent) -> Result<(), ArchiveError> {
        self.group_bytes += event.size();
        self.group.push(event);
        if self.group.len() >= GROUP_EVENTS || self.group_bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the remaining events and the footer, and flushes the file to disk.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        self.flush()?;
        Ok(self.file.into_inner()?.sync_all()?)
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        let mut group = self.file.next_row_group()?;
        write::<Int64Type>(&mut group, &events, |event| event.position.as_i64())?;
        write::<ByteArrayType>(&mut group, &events, |event| event.stream.tenant.as_str().into())?;
        write::<ByteArrayType>(&mut group, &events, |event| (&*event.stream.category).into())?;
        write::<FixedLenByteArrayType>(&mut group, &events, |event| fixed(event.stream.id))?;
        write::<Int64Type>(&mut group, &events, |event| event.version.as_i64())?;
        write::<FixedLenByteArrayType>(&mut group, &events, |event| fixed(event.event_id))?;
        write::<ByteArrayType>(&mut group, &events, |event| event.name.as_str().into())?;
        write::<Int32Type>(&mut group, &events, |event| i32::from(event.schema_version))?;
        write::<ByteArrayType>(&mut group, &events, |event| event.payload.as_str().into())?;
        write::<ByteArrayType>(&mut group, &events, |event| event.metadata.as_str().into())?;
        write::<Int64Type>(&mut group, &events, |event| event.recorded_at.timestamp_micros())?;
        write::<ByteArrayType>(&mut group, &events, |event| event.content_hash.as_slice().into())?;
        group.close()?;
        Ok(())
    }
}

fn fixed(id: Uuid) -> FixedLenByteArray {
    id.as_bytes().to_vec().into()
}

/// Writes the next column of a row group.
fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    events: &[RecordedEvent],
    value: impl Fn(&RecordedEvent) -> T::T,
) -> Result<(), ArchiveError> {
    let values: Vec<T::T> = events.iter().map(value).collect();
    let mut column =
        group.next_column()?.ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))?;
    column.typed::<T>().write_batch(&values, None, None)?;
    Ok(column.close()?)
}

/// A file that several threads read at independent offsets.
#[derive(Clone)]
struct SharedFile(Arc<File>);

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for SharedFile {
    type T = ReadAt;

    fn get_read(&self, start: u64) -> Result<ReadAt, ParquetError> {
        Ok(ReadAt { file: self.0.clone(), offset: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

struct ReadAt {
    file: Arc<File>,
    offset: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Reads the row groups of a file.
pub(super) struct Reader {
    file: SharedFile,
    parquet: SerializedFileReader<SharedFile>,
    /// The first position of each row group.
    first_positions: Vec<u64>,
}

impl Reader {
    pub(super) fn new(file: File) -> Result<Self, ArchiveError> {
        let file = SharedFile(Arc::new(file));
        let parquet = SerializedFileReader::new(file.clone())?;
        let first_positions = parquet.metadata().row_groups().iter().map(|group| match group.column(0).statistics() {
            Some(Statistics::Int64(positions)) => positions.min_opt().and_then(|first| u64::try_from(*first).ok()),
            _ => None,
        });
        let first_positions: Option<Vec<u64>> = first_positions.collect();
        let first_positions =
            first_positions.ok_or_else(|| ParquetError::General("positions have no statistics".to_owned()))?;
        Ok(Self { file, parquet, first_positions })
    }

    /// The number of row groups.
    pub(super) fn groups(&self) -> usize {
        self.first_positions.len()
    }

    /// The row group that holds the event after a position.
    pub(super) fn group_after(&self, after: Position) -> usize {
        self.first_positions.partition_point(|first| *first <= after.get() + 1).saturating_sub(1)
    }

    /// Whether the last event of a row group was recorded at or after a time.
    pub(super) fn ends_at_or_after(&self, group: usize, time: DateTime<Utc>) -> bool {
        match self.parquet.metadata().row_group(group).column(RECORDED_AT).statistics() {
            Some(Statistics::Int64(times)) => times.max_opt().is_none_or(|last| *last >= time.timestamp_micros()),
            _ => true,
        }
    }

    /// Whether a row group may have events that match a filter. Reads no payloads, and no rows at all where statistics
    /// suffice.
    pub(super) fn may_hold(&self, group: usize, filter: &ReadFilter) -> Result<bool, ArchiveError> {
        if let Some(id) = filter.stream_id {
            let column = self.parquet.metadata().row_group(group).column(STREAM_ID);
            let streams = Sbbf::read_from_column_chunk(column, &self.file)?;
            if streams.is_some_and(|streams| !streams.check(&fixed(id))) {
                return Ok(false);
            }
        }
        let rows = self.parquet.get_row_group(group)?;
        let holds = |column, wanted: &[&str]| -> Result<bool, ArchiveError> {
            let values = read::<ByteArrayType>(&*rows, column)?;
            Ok(values.iter().any(|value| wanted.iter().any(|wanted| wanted.as_bytes() == value.data())))
        };
        let types: Vec<&str> = filter.types.iter().map(String::as_str).collect();
        Ok(filter.tenant.as_ref().map_or(Ok(true), |tenant| holds(1, &[tenant.as_str()]))?
            && filter.category.as_deref().map_or(Ok(true), |category| holds(2, &[category]))?
            && (types.is_empty() || holds(6, &types)?))
    }

    /// All events of a row group.
    pub(super) fn group(&self, group: usize) -> Result<Vec<RecordedEvent>, ArchiveError> {
        let rows = self.parquet.get_row_group(group)?;
        let rows = &*rows;
        let mut positions = read::<Int64Type>(rows, 0)?.into_iter();
        let mut tenants = read::<ByteArrayType>(rows, 1)?.into_iter();
        let mut categories = read::<ByteArrayType>(rows, 2)?.into_iter();
        let mut streams = read::<FixedLenByteArrayType>(rows, STREAM_ID)?.into_iter();
        let mut versions = read::<Int64Type>(rows, 4)?.into_iter();
        let mut ids = read::<FixedLenByteArrayType>(rows, 5)?.into_iter();
        let mut names = read::<ByteArrayType>(rows, 6)?.into_iter();
        let mut schema_versions = read::<Int32Type>(rows, 7)?.into_iter();
        let mut payloads = read::<ByteArrayType>(rows, 8)?.into_iter();
        let mut metadata = read::<ByteArrayType>(rows, 9)?.into_iter();
        let mut times = read::<Int64Type>(rows, RECORDED_AT)?.into_iter();
        let mut hashes = read::<ByteArrayType>(rows, 11)?.into_iter();
        let mut next = || -> Option<Result<RecordedEvent, ArchiveError>> {
            let position = positions.next()?;
            let parts = (tenants.next()?, categories.next()?, streams.next()?, ids.next()?, names.next()?);
            let rest = (payloads.next()?, metadata.next()?, hashes.next()?);
            Some(row((position, versions.next()?, schema_versions.next()?, times.next()?), parts, rest))
        };
        std::iter::from_fn(&mut next).collect()
    }
}

type Numbers = (i64, i64, i32, i64);
type Names = (ByteArray, ByteArray, FixedLenByteArray, FixedLenByteArray, ByteArray);
type Contents = (ByteArray, ByteArray, ByteArray);

fn row(
    (position, version, schema_version, time): Numbers,
    (tenant, category, stream, id, name): Names,
    (payload, metadata, hash): Contents,
) -> Result<RecordedEvent, ArchiveError> {
    let invalid = |what: &str| ParquetError::General(format!("position {position}: {what}"));
    let tenant = TenantId::from_stored(text(&tenant)?);
    let stream = Uuid::from_slice(stream.data()).map_err(|_| invalid("the stream id is not valid"))?;
    Ok(RecordedEvent {
        position: Position::from_i64(position),
        stream: StreamKey { tenant, category: category.as_utf8()?.into(), id: stream },
        version: Version::from_i64(version),
        event_id: Uuid::from_slice(id.data()).map_err(|_| invalid("the event id is not valid"))?,
        name: text(&name)?,
        schema_version: u16::try_from(schema_version).map_err(|_| invalid("the schema version is not valid"))?,
        payload: text(&payload)?,
        metadata: text(&metadata)?,
        recorded_at: DateTime::from_timestamp_micros(time).ok_or_else(|| invalid("the time is not valid"))?,
        content_hash: hash.data().to_vec(),
    })
}

fn text(bytes: &ByteArray) -> Result<String, ArchiveError> {
    Ok(bytes.as_utf8()?.to_owned())
}

/// The values of a column of a row group.
fn read<T: DataType>(rows: &dyn RowGroupReader, column: usize) -> Result<Vec<T::T>, ArchiveError> {
    let count = usize::try_from(rows.metadata().num_rows()).unwrap_or(0);
    let mut values = Vec::with_capacity(count);
    let mut reader = get_typed_column_reader::<T>(rows.get_column_reader(column)?);
    while values.len() < count {
        let (_, read, _) = reader.read_records(count - values.len(), None, None, &mut values)?;
        if read == 0 {
            let found = values.len();
            return Err(ParquetError::General(format!("a column has {found} values instead of {count}")).into());
        }
    }
    Ok(values)
}
