//! The JSON front end: reads a file of OTLP JSON as spans.
//!
//! A file is one object or several, with or without line breaks inside of them. With one object per line, a malformed
//! line is refused and the next one is read.

mod fields;
mod ids;
mod limits;
mod parse;

pub(crate) use fields::{AttributeList, Fields};
pub(crate) use ids::{span_id, trace_id};
pub(crate) use parse::{JsonItems, Level};

use super::collector::SpanCollector;
use super::sink::{Sink as _, Stop};
use crate::error::{InputError, RecordError, Refusal, RefusalReason};
use crate::formats::lines::Lines;
use crate::formats::peek::Peeked;
use crate::record::Location;
use limits::{LimitedReader, ends_inside_string};
use serde::de::{DeserializeSeed, IgnoredAny};
use std::io::{self, BufReader};

/// The layout of a file.
pub(crate) enum Layout {
    /// One object per line.
    Lines,
    /// Objects that contain line breaks.
    Document,
    /// Nothing but blank lines.
    Empty,
}

/// Detects the layout from the first line that is not blank. If that line is a truncated object, but not truncated
/// inside a string, or is longer than a line may be, the file is read as a stream of objects.
pub(crate) fn detect_layout(lines: &mut Lines) -> Result<Layout, InputError> {
    let Peeked { lines: [first], is_cut } = lines.peek_lines()?;
    if is_cut {
        return Ok(Layout::Document);
    }
    if first.is_empty() {
        return Ok(Layout::Empty);
    }
    match serde_json::from_slice::<IgnoredAny>(first) {
        Err(error) if error.is_eof() && !ends_inside_string(first) => Ok(Layout::Document),
        Err(error) if !error.is_eof() => Err(InputError::json(error)),
        _ => Ok(Layout::Lines),
    }
}

/// Reads all objects of a file that has line breaks inside of them.
pub(crate) fn read_document(lines: Lines, collector: &mut SpanCollector) -> Result<(), InputError> {
    let limited = LimitedReader::new(lines.into_reader());
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(limited));
    loop {
        let read = Level { depth: 0, collector: &mut *collector }.deserialize(&mut deserializer);
        read.map_err(|error| document_error(error, collector))?;
        match deserializer.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(document_error(error, collector)),
            Err(_) => {}
        }
    }
}

/// Reads the object on the next line. Returns `false` at the end of the file.
///
/// # Errors
/// [`RecordError::Refused`] for a malformed line, of which nothing is used; [`RecordError::Input`] if nothing can
/// follow.
pub(crate) fn read_line(lines: &mut Lines, collector: &mut SpanCollector) -> Result<bool, RecordError> {
    let Some(line) = lines.next() else { return Ok(false) };
    let (location, line) = line?;
    let savepoint = collector.savepoint();
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let read = Level { depth: 0, collector: &mut *collector }.deserialize(&mut deserializer);
    if let Err(error) = read.and_then(|()| deserializer.end()) {
        collector.rollback_to(savepoint);
        let reason = match collector.stop().take() {
            None => RefusalReason::json(error),
            Some(Stop::NotTraces { found }) if location > Location::Line(1) => RefusalReason::NotTraces { found },
            Some(Stop::Misspelled { found, expected }) if location > Location::Line(1) => {
                RefusalReason::Misspelled { found, expected }
            }
            Some(stop) => return Err(InputError::from(stop).into()),
        };
        return Err(Refusal { location, reason }.into());
    }
    Ok(true)
}

/// The error of a document: of the collector, of reading, or of the JSON.
pub(crate) fn document_error(error: serde_json::Error, collector: &mut SpanCollector) -> InputError {
    match collector.stop().take() {
        Some(stop) => stop.into(),
        None if error.is_io() => InputError::from(io::Error::from(error)),
        None => InputError::json(error),
    }
}
