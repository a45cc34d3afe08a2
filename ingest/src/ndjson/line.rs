//! What a line states.

use super::error::LineError;
use super::fields::LineFields;
use super::memory::MemoryLine;
use super::recorder::{Applied, NotRecorded, Recorder};
use super::task::TaskLine;
use super::{call, memory, task};
use crate::error::{InputError, RecordError};
use crate::formats::Lines;
use crate::formats::json::Fields;
use crate::record::{Location, Record};
use crate::text::quoted;
use chrono::{DateTime, Utc};
use std::io::Read;
use uuid::Uuid;

/// The longest line, in bytes: 1 MiB. The longest text of a line, the content of a memory, has 64 KiB.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The fields of the lines of a type; none for a type that there is not.
#[must_use]
pub fn fields_of(name: &str) -> &'static [&'static str] {
    match name {
        "call" => &call::FIELDS,
        "task" => &task::FIELDS,
        "memory" => &memory::FIELDS,
        _ => &[],
    }
}

/// What a line states.
#[derive(Debug)]
pub enum Line {
    /// A call.
    Call(Box<Record>),
    /// A task, and how it ended.
    Task(Box<TaskLine>),
    /// A memory.
    Memory(Box<MemoryLine>),
}

impl Line {
    /// Parses a line. `now` is the time of what states none.
    ///
    /// # Errors
    /// [`LineError`] if it states nothing that can be recorded.
    pub fn parse(location: Location, text: &str, now: DateTime<Utc>) -> Result<Self, LineError> {
        let fields = LineFields::new(Fields::parse(text).map_err(LineError::Unreadable)?, now);
        match fields.text("type")?.as_deref() {
            None => Err(LineError::Missing("type")),
            Some("call") => call::parse(location, &fields).map(|call| Self::Call(Box::new(call))),
            Some("task") => task::parse(&fields).map(|task| Self::Task(Box::new(task))),
            Some("memory") => memory::parse(&fields).map(|memory| Self::Memory(Box::new(memory))),
            Some(other) => Err(LineError::UnknownType { found: quoted(other) }),
        }
    }

    /// Records what the line states.
    pub(super) async fn record(self, recorder: &Recorder) -> Result<Applied, NotRecorded> {
        match self {
            Self::Call(record) => recorder.record_call(*record).await,
            Self::Task(task) => task.record(recorder).await,
            Self::Memory(memory) => memory.record(recorder).await,
        }
    }

    /// How many calls the line takes as much memory as, while it is recorded.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Call(_) | Self::Task(_) => 1,
            Self::Memory(_) => 16,
        }
    }

    /// The id of the object whose lines are recorded one after the other, in their order. Records of a call are joined to the
    /// same call in any order; but an answer says what its line added to those before it.
    pub(super) fn in_order_of(&self) -> Uuid {
        match self {
            Self::Call(call) => call.call_ids.highest().0,
            Self::Task(task) => task.id.0,
            Self::Memory(memory) => memory.id,
        }
    }
}

/// A line with its number.
pub(super) type Numbered = (u64, Result<Line, LineError>);

/// The lines of an input, parsed. Blank lines are counted and skipped.
pub(super) struct ParsedLines(Lines);

impl ParsedLines {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self(Lines::with_limit(input, MAX_LINE_BYTES))
    }
}

impl Iterator for ParsedLines {
    type Item = Result<Numbered, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next()? {
            Ok((location, text)) => Ok((number(location), Line::parse(location, text, Utc::now()))),
            Err(RecordError::Refused(refusal)) => {
                Ok((number(refusal.location), Err(LineError::Unreadable(refusal.reason))))
            }
            Err(RecordError::Input(error)) => Err(error),
        })
    }
}

fn number(location: Location) -> u64 {
    match location {
        Location::Line(number) | Location::Span(number) | Location::LogRecord(number) | Location::Item(number) => {
            number
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(u64, Result<Line, LineError>)> {
        let input = std::io::Cursor::new(text.as_bytes().to_vec());
        ParsedLines::new(Box::new(input)).map(Result::unwrap).collect()
    }

    fn error(text: &str) -> (&'static str, String) {
        let error = parsed(text).remove(0).1.unwrap_err();
        (error.code(), error.to_string())
    }

    #[test]
    fn lines_that_are_not_valid_are_refused_by_number_and_name() {
        for (line, code, message) in [
            ("{", "NOT_JSON", "EOF while parsing"),
            ("[]", "NOT_JSON", "expected an object"),
            ("{}", "MISSING_FIELD", "type is missing"),
            (r#"{"type":7}"#, "INVALID_FIELD", "type: \"7\" is not text"),
            (r#"{"type":"agent"}"#, "UNKNOWN_TYPE", "the type is \"agent\"; types are call, task and memory"),
            (r#"{"type":"call","modle":"x","id":"a"}"#, "UNKNOWN_FIELD", "a call has no field \"modle\""),
            (r#"{"type":"call","model":"x"}"#, "NOT_IDENTIFIED", "nothing identifies the call"),
            (r#"{"type":"call","model":"x","response_id":"0"}"#, "NOT_IDENTIFIED", "nothing identifies the call"),
            (r#"{"type":"call","id":"","model":"x"}"#, "INVALID_FIELD", "id: the text is empty"),
            (r#"{"type":"call","id":"a","usage":{"tokens":1}}"#, "INVALID_FIELD", "usage: "),
            (r#"{"type":"call","id":"a","usage":{"input":1.5}}"#, "INVALID_FIELD", "usage: input is \"1.5\""),
            (r#"{"type":"call","id":"a","usage":{"input":-1}}"#, "INVALID_FIELD", "usage: input: -1 is negative"),
            (r#"{"type":"call","id":"a","usage":{"input":9007199254740992}}"#, "INVALID_FIELD", "too large"),
            (
                r#"{"type":"call","id":"a","started_at":"today"}"#,
                "INVALID_FIELD",
                "started_at: \"today\" is not a time",
            ),
            (r#"{"type":"call","id":"a","source":"gateway"}"#, "INVALID_FIELD", "source: it is that of calls which"),
            (r#"{"type":"call","id":"a","outcome":"great"}"#, "INVALID_FIELD", "none of ok, error, timeout"),
            (r#"{"type":"call","id":"a","tags":{"a":1}}"#, "INVALID_FIELD", "tags: the value of \"a\" is not text"),
            (r#"{"type":"call","id":"a","reported_cost":"free"}"#, "INVALID_FIELD", "reported_cost: "),
            (r#"{"type":"call","id":"a","model":"a\u0000b"}"#, "INVALID_FIELD", "control character U+0000"),
            (
                r#"{"type":"call","id":"a","span":{"trace_id":"080130871f53145aecf7c29d5dfb6e4c","span_id":"1cffdfa6fe3412e6","parent_spn_id":"b"}}"#,
                "UNKNOWN_FIELD",
                "a span has no field \"parent_spn_id\"",
            ),
            (r#"{"type":"call","id":"a","span":{"trace_id":"x","span_id":"y"}}"#, "INVALID_FIELD", "span: "),
            (r#"{"type":"task","id":"a","agent":"b"}"#, "MISSING_FIELD", "title is missing"),
            (r#"{"type":"task","title":"a","agent":"b"}"#, "MISSING_FIELD", "id is missing"),
            (r#"{"type":"task","id":"a","title":"a"}"#, "MISSING_FIELD", "agent is missing"),
            (
                r#"{"type":"task","id":"a","title":"a","agent":"b","status":"failed"}"#,
                "MISSING_FIELD",
                "error is missing",
            ),
            (r#"{"type":"task","id":"a","title":"a","agent":"b","result":"x"}"#, "INVALID_FIELD", "result: "),
            (r#"{"type":"memory","id":"a","agent":"b"}"#, "MISSING_FIELD", "content is missing"),
            (r#"{"type":"memory","id":"a","agent":"b","content":"c","realm":"x"}"#, "INVALID_FIELD", "none of private"),
        ] {
            let (found, text) = error(line);
            assert!(found == code && text.contains(message), "{line}: {found}: {text}");
        }
    }

    #[test]
    fn lines_are_numbered_as_they_are_sent() {
        let call = r#"{"type":"call","id":"a","model":"m"}"#;
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        let lines = parsed(&format!("\n{call}\n\r\n{long}\n{call}"));
        assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(lines[1].1.as_ref().unwrap_err().code(), "LINE_TOO_LONG");
        assert!(lines[2].1.is_ok());
    }

    /// The library of JSON quotes what it did not expect, and an unknown name is quoted, too.
    #[test]
    fn a_message_is_short_however_long_the_line_is() {
        let long = "a".repeat(MAX_LINE_BYTES - 100);
        for line in [
            format!("\"{long}\""),
            format!("{{\"type\":\"{long}\"}}"),
            format!("{{\"type\":\"call\",\"{long}\":1}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"span\":\"{long}\"}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"usage\":\"{long}\"}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"usage\":{{\"{long}\":1}}}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"usage\":{{\"input\":\"{long}\"}}}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"tags\":{{\"{long}\":\"b\"}}}}"),
            format!("{{\"type\":\"call\",\"id\":\"a\",\"reported_cost\":\"{long}\"}}"),
            format!("{{\"type\":\"memory\",\"id\":\"a\",\"agent\":\"b\",\"content\":\"c\",\"tags\":\"{long}\"}}"),
        ] {
            let (code, message) = error(&line);
            assert!(message.len() <= 1024, "{code}: {} bytes: {}", message.len(), &message[..200]);
        }
    }

    #[test]
    fn an_object_with_a_million_fields_is_refused() {
        let fields: String = (0..40_000).map(|n| format!("\"{n}\":0,")).collect();
        let (code, message) = error(&format!("{{{fields}\"type\":\"call\"}}"));
        assert!(code == "NOT_JSON" && message.contains("more than 10000 fields"), "{message}");
    }
}
