//! The formats of exports.

use super::csv::CsvWriter;
use super::error::ExportError;
use super::ndjson::NdjsonWriter;
use super::parquet::ParquetWriter;
use super::table::{Column, Value};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet, compressed with zstd.
    Parquet,
}

/// A name that is not the name of a format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the formats are csv, ndjson and parquet")]
pub struct UnknownFormat;

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Ndjson, Self::Parquet];

    /// The name, which is also the extension of a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ExportFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

/// Writes rows into memory, from where they are taken in parts.
pub(super) enum Writer {
    Csv(Box<CsvWriter>),
    Ndjson(NdjsonWriter),
    Parquet(Box<ParquetWriter>),
}

impl Writer {
    /// Begins a file, which says in its metadata which position of the log it contains if it has any.
    pub(super) fn new(format: ExportFormat, columns: &[Column], position: u64) -> Result<Self, ExportError> {
        Ok(match format {
            ExportFormat::Csv => Self::Csv(Box::new(CsvWriter::new(columns)?)),
            ExportFormat::Ndjson => Self::Ndjson(NdjsonWriter::new(columns)),
            ExportFormat::Parquet => Self::Parquet(Box::new(ParquetWriter::new(columns, position)?)),
        })
    }

    /// Writes a row, with a value for each column.
    pub(super) fn write(&mut self, row: &[Value]) -> Result<(), ExportError> {
        match self {
            Self::Csv(writer) => writer.write(row),
            Self::Ndjson(writer) => writer.write(row),
            Self::Parquet(writer) => writer.write(row),
        }
    }

    /// Takes what is written so far, and need not be changed any more.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, ExportError> {
        match self {
            Self::Csv(writer) => writer.take(),
            Self::Ndjson(writer) => Ok(writer.take()),
            Self::Parquet(writer) => Ok(writer.take()),
        }
    }

    /// Ends the file, and takes the rest of it.
    pub(super) fn finish(self) -> Result<Vec<u8>, ExportError> {
        match self {
            Self::Csv(mut writer) => writer.take(),
            Self::Ndjson(mut writer) => Ok(writer.take()),
            Self::Parquet(writer) => writer.finish(),
        }
    }
}
