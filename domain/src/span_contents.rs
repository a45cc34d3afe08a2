//! The texts that spans carry: prompts, responses, and what tools were given and returned.
//!
//! They are kept only where an operator has switched that on, with the export of the span that is kept, and within limits.
//! They may hold anything that people and models write: neither `Debug` nor an error of this module shows a text.

use crate::call::{SpanId, TraceId};
use crate::ids::content_id;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The most bytes of the texts of a span, or of a record of a log, that are kept. Longer texts are cut.
pub const MAX_CONTENT_BYTES: usize = 64 * 1024;
/// The most texts of a span, or of a record of a log, that are kept.
pub const MAX_CONTENTS: usize = 256;
/// The most records of logs of a span whose texts are kept.
pub const MAX_CONTENT_RECORDS: usize = 256;
/// The most bytes of the texts of all records of logs of a span that are kept, with names, as JSON.
pub const MAX_RECORD_BYTES: usize = 2 * MAX_CONTENT_BYTES;
/// The most bytes of the name of an attribute or an event.
pub const MAX_CONTENT_NAME_BYTES: usize = 256;

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentSource {
    /// An attribute of the span.
    Attribute,
    /// An event of the span.
    SpanEvent,
    /// A record of a log that names the span.
    LogRecord,
}

/// A text that a span carries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanContent {
    /// Where it comes from.
    #[serde(rename = "s")]
    pub source: ContentSource,
    /// The name of the event that it comes from, clipped; none for an attribute of the span.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// When the event was, in nanoseconds since 1970, if it says so.
    #[serde(rename = "at", default, skip_serializing_if = "Option::is_none")]
    pub time_ns: Option<i64>,
    /// The name of the attribute, clipped; `body` for that of a record.
    #[serde(rename = "n")]
    pub name: String,
    /// The text; of a value that is no text, its JSON. It may be cut at a character.
    #[serde(rename = "t")]
    pub text: String,
    /// The number of bytes that the text had before it was cut.
    #[serde(rename = "b")]
    pub total_bytes: u64,
}

impl SpanContent {
    /// Whether the text was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.total_bytes > self.text.len() as u64
    }
}

impl fmt::Debug for SpanContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, event, time_ns, name, text: _, total_bytes } = self;
        f.debug_struct("SpanContent")
            .field("source", source)
            .field("event", event)
            .field("time_ns", time_ns)
            .field("name", name)
            .field("total_bytes", total_bytes)
            .finish_non_exhaustive()
    }
}

/// The texts of one export of a span, or of one record of a log, as they are kept: JSON of at most [`MAX_CONTENTS`] texts, which
/// have [`MAX_CONTENT_BYTES`] bytes together.
#[derive(Clone, PartialEq, Eq)]
pub struct SpanContents {
    json: String,
}

/// What is stored of [`SpanContents`].
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredContents {
    /// The texts, in their order.
    #[serde(rename = "c")]
    pub contents: Vec<SpanContent>,
    /// The number of texts that were left out, because there are too many.
    #[serde(rename = "left", default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl SpanContents {
    /// Texts within the limits; none if there are none. The first [`MAX_CONTENTS`] are kept, and `left_out` more are not. If
    /// they are too long together, the longest ones are cut, so that a long prompt leaves room for the response.
    #[must_use]
    pub fn of(mut contents: Vec<SpanContent>, left_out: u64) -> Option<Self> {
        if contents.is_empty() {
            return None;
        }
        let beyond = contents.len().saturating_sub(MAX_CONTENTS) as u64;
        contents.truncate(MAX_CONTENTS);
        let longest = longest_kept(contents.iter().map(|content| content.text.len()).collect());
        for content in &mut contents {
            cut(&mut content.text, longest);
            // PostgreSQL's functions on JSON cannot make text of it.
            if content.text.contains('\0') {
                content.text = content.text.replace('\0', " ");
            }
        }
        let stored = StoredContents { contents, left_out: left_out.saturating_add(beyond) };
        // Text and numbers are always JSON.
        serde_json::to_string(&stored).ok().map(|json| Self { json })
    }

    /// What is stored.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

impl fmt::Debug for SpanContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanContents({} bytes)", self.json.len())
    }
}

/// The texts that a record of a log carries for a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContents {
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The time of the record, in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// The texts.
    pub contents: SpanContents,
}

impl RecordContents {
    /// An id of the record. A record of the same time with the same texts is the same one.
    #[must_use]
    pub fn record_id(&self) -> Uuid {
        let content = format!("{}\u{1f}{}", self.time_ns.unwrap_or_default(), self.contents.json());
        content_id("span-record", content.as_bytes())
    }
}

impl StoredContents {
    /// Reads what was stored; none if it is not that.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

/// Cuts a text at a character, if it has more bytes.
fn cut(text: &mut String, max_bytes: usize) {
    text.truncate(text.floor_char_boundary(max_bytes));
}

/// The most bytes of each of several texts, so that they are not too long together: what shorter ones do not use is for the
/// longer ones.
fn longest_kept(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    let (mut left, mut count) = (MAX_CONTENT_BYTES, lengths.len());
    for length in lengths {
        let share = left.checked_div(count).unwrap_or(left);
        if length > share {
            return share;
        }
        (left, count) = (left.saturating_sub(length), count.saturating_sub(1));
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(name: &str, text: String) -> SpanContent {
        let total_bytes = text.len() as u64;
        SpanContent {
            source: ContentSource::Attribute,
            event: None,
            time_ns: None,
            name: name.to_owned(),
            text,
            total_bytes,
        }
    }

    fn stored(contents: Vec<SpanContent>) -> StoredContents {
        StoredContents::parse(SpanContents::of(contents, 0).unwrap().json()).unwrap()
    }

    #[test]
    fn a_long_prompt_is_cut_at_a_character_and_leaves_room_for_the_response() {
        let prompt = "é".repeat(MAX_CONTENT_BYTES);
        let found = stored(vec![content("prompt", prompt.clone()), content("response", "yes".to_owned())]).contents;
        assert_eq!((found[1].text.as_str(), found[1].is_cut()), ("yes", false));
        let kept = MAX_CONTENT_BYTES - "yes".len();
        assert_eq!(found[0].text.len(), kept - kept % 2, "cut between two characters");
        assert!(found[0].is_cut() && prompt.starts_with(&found[0].text));
        assert_eq!(found[0].total_bytes, prompt.len() as u64);
    }

    #[test]
    fn texts_beyond_the_limit_are_counted() {
        let many = (0..MAX_CONTENTS + 3).map(|n| content("a", n.to_string())).collect();
        let found = StoredContents::parse(SpanContents::of(many, 4).unwrap().json()).unwrap();
        assert_eq!((found.contents.len(), found.left_out), (MAX_CONTENTS, 7));
        assert_eq!(SpanContents::of(Vec::new(), 4), None);
        assert_eq!(StoredContents::parse("{}"), None);
    }

    #[test]
    fn no_text_is_in_debug_output() {
        let contents = vec![content("gen_ai.prompt", "the-launch-code\0".to_owned())];
        let shown = format!("{contents:?} {:?} {:?}", SpanContents::of(contents.clone(), 0), stored(contents.clone()));
        assert!(shown.contains("gen_ai.prompt") && !shown.contains("launch"), "{shown}");
        assert_eq!(stored(contents).contents[0].text, "the-launch-code ");
    }

    proptest! {
        #[test]
        fn texts_are_within_the_limit_and_as_long_as_it_allows(lengths in prop::collection::vec(0_usize..100_000, 1..20)) {
            let contents: Vec<_> = lengths.iter().map(|length| content("a", "x".repeat(*length))).collect();
            let kept: Vec<_> = stored(contents).contents.iter().map(|content| content.text.len()).collect();
            let (all, of_kept) = (lengths.iter().sum::<usize>(), kept.iter().sum::<usize>());
            prop_assert!(of_kept <= MAX_CONTENT_BYTES);
            // Less than a byte for each text is not used.
            prop_assert!(of_kept + lengths.len() > all.min(MAX_CONTENT_BYTES));
        }
    }
}
