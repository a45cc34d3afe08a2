//! The prompts, responses and other texts that spans carry. They are read only where they are kept, from the same bytes as the
//! span, which is then read without them.

mod json;
mod names;
mod protobuf;

pub(super) use json::{JsonContents, of_record as of_json_record};
pub(super) use protobuf::{of_record as of_protobuf_record, of_span as of_protobuf_span};

use super::conventions::{is_unread_usage, slot_of};
use crate::text::clip;
use domain::span_contents::{
    ContentSource, MAX_CONTENT_BYTES, MAX_CONTENT_NAME_BYTES, MAX_CONTENTS, SpanContent, SpanContents,
};
use names::is_content;
pub(super) use names::is_content_event;
use serde::Serializer as _;
use std::{fmt, io};

/// The name of a text that is the body of a record.
const BODY: &str = "body";
/// The attribute of a record that says which event it is.
const EVENT_NAME: &str = "event.name";

/// What a text is an attribute of.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    Span,
    Event(Event<'a>),
}

/// An event of a span, or a record of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) source: ContentSource,
    pub(super) name: &'a str,
    pub(super) time_ns: Option<i64>,
}

impl Owner<'_> {
    /// Whether an attribute is a text. An event that is about texts has no others, but for what is read as facts of the call.
    fn has_content(self, attribute: &str) -> bool {
        let is_of_event = match self {
            Self::Span => false,
            Self::Event(Event { name, .. }) => {
                let is_read_otherwise = slot_of(attribute).is_some() || is_unread_usage(attribute);
                is_content_event(name) && !is_read_otherwise && attribute != EVENT_NAME
            }
        };
        is_of_event || is_content(attribute)
    }
}

/// Collects the texts of a span.
#[derive(Debug, Default)]
struct Collected {
    contents: Vec<SpanContent>,
    left_out: u64,
}

impl Collected {
    /// Adds a text, whose bytes are at most [`MAX_CONTENT_BYTES`] of `total_bytes`.
    fn push(&mut self, owner: Owner<'_>, attribute: &str, text: Text) {
        if text.total_bytes == 0 {
            return;
        }
        if self.contents.len() >= MAX_CONTENTS {
            self.left_out += 1;
            return;
        }
        let clipped = |name: &str| clip(name, MAX_CONTENT_NAME_BYTES).to_owned();
        let (source, event, time_ns) = match owner {
            Owner::Span => (ContentSource::Attribute, None, None),
            Owner::Event(Event { source, name, time_ns }) => {
                (source, (!name.is_empty()).then(|| clipped(name)), time_ns)
            }
        };
        let Text { text, total_bytes } = text;
        self.contents.push(SpanContent { source, event, time_ns, name: clipped(attribute), text, total_bytes });
    }

    fn finish(self) -> Option<SpanContents> {
        SpanContents::of(self.contents, self.left_out)
    }
}

/// A text that is written piece by piece, of which no more is held than is kept.
#[derive(Debug, Default)]
struct Text {
    text: String,
    total_bytes: u64,
}

impl Text {
    fn of(text: &str) -> Self {
        let mut written = Self::default();
        written.write(text);
        written
    }

    fn write(&mut self, piece: &str) {
        // After a piece that did not fit nothing follows.
        let is_whole = self.total_bytes == self.text.len() as u64;
        self.total_bytes += piece.len() as u64;
        if is_whole {
            self.text.push_str(clip(piece, MAX_CONTENT_BYTES.saturating_sub(self.text.len())));
        }
    }

    /// Writes a text as JSON has it, which may be several times as long.
    fn write_json(&mut self, text: &(impl fmt::Display + ?Sized)) {
        // A text is always JSON, and can always be written.
        serde_json::Serializer::new(Pieces(self)).collect_str(text).unwrap_or_default();
    }
}

/// Takes the pieces of a text that is written as JSON.
struct Pieces<'a>(&'a mut Text);

impl io::Write for Pieces<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        // JSON is written in whole characters.
        self.0.write(std::str::from_utf8(piece).map_err(io::Error::other)?);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
