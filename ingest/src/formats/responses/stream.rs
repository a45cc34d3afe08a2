//! Streams of events: server-sent events, and the binary event streams of AWS.

use super::shapes::{self, Answer};
use super::unread;
use crate::error::RefusalReason;
use crate::formats::counts::{Cached, Counts};
use crate::formats::json::{self, Fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The events of one response, read so far.
#[derive(Default)]
pub(super) struct EventStream {
    answer: Answer,
    has_usage: bool,
    /// The usage of a message of Anthropic, which several events state in part.
    message_usage: Map<String, Value>,
}

/// Whether a text is a stream of server-sent events.
pub(super) fn is_event_stream(text: &str) -> bool {
    ["data:", "event:", ":", "id:", "retry:"].iter().any(|field| text.starts_with(field))
}

impl EventStream {
    pub(super) fn of_text(text: &str) -> Result<Self, RefusalReason> {
        let mut stream = Self::default();
        // Events end with a blank line; each has one line of data in the APIs that are read.
        for data in text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
            if data.starts_with('{') {
                stream.add(data)?;
            }
        }
        Ok(stream)
    }

    /// A response in chunks, as a list of JSON.
    pub(super) fn of_list(text: &str) -> Result<Self, RefusalReason> {
        let mut stream = Self::default();
        for chunk in json::items(text).map_err(RefusalReason::json)? {
            stream.add(chunk.get())?;
        }
        Ok(stream)
    }

    /// The messages of AWS's event stream: two lengths and a checksum, headers, a payload, and a checksum.
    pub(super) fn of_aws(mut bytes: &[u8]) -> Result<Self, RefusalReason> {
        let mut stream = Self::default();
        while !bytes.is_empty() {
            let payload =
                take_message(&mut bytes).ok_or_else(|| RefusalReason::Body("an event is cut off".to_owned()))?;
            let Ok(text) = std::str::from_utf8(payload) else { continue };
            if !text.starts_with('{') {
                continue;
            }
            let event = Fields::parse(text)?;
            match event.text("bytes") {
                Some(held) => {
                    let held =
                        STANDARD.decode(held.as_bytes()).map_err(|error| RefusalReason::Body(error.to_string()))?;
                    let held = String::from_utf8(held).map_err(|error| RefusalReason::Body(error.to_string()))?;
                    stream.add(&held)?;
                }
                None => stream.add(text)?,
            }
        }
        Ok(stream)
    }

    pub(super) fn add(&mut self, event: &str) -> Result<(), RefusalReason> {
        let event = Fields::parse(event)?;
        match event.text("type").as_deref() {
            Some("message_start") => {
                if let Some(message) = event.object("message") {
                    self.name(shapes::named(&message)?);
                    self.add_message_usage(&message)?;
                }
            }
            Some("message_delta") => self.add_message_usage(&event)?,
            _ => {
                let found = shapes::answer(&event)?;
                let has_usage = found.is_some();
                if has_usage && !self.message_usage.is_empty() {
                    return Ok(());
                }
                self.has_usage |= has_usage;
                let answer = found.map_or_else(|| shapes::named(&event), Ok)?;
                if has_usage {
                    (self.answer.counts, self.answer.cached) = (answer.counts, answer.cached);
                    self.answer.cost.clone_from(&answer.cost);
                    self.answer.unread.clone_from(&answer.unread);
                }
                self.name(answer);
            }
        }
        Ok(())
    }

    /// Keeps what the first event names, and what a later one names for the first time.
    fn name(&mut self, answer: Answer) {
        let known = &mut self.answer;
        known.id = known.id.take().or(answer.id);
        known.model = known.model.take().or(answer.model);
        known.created = known.created.or(answer.created);
        known.service_tier = known.service_tier.take().or(answer.service_tier);
        known.speed = known.speed.take().or(answer.speed);
        known.region = known.region.take().or(answer.region);
    }

    /// Adds usage that replaces what earlier events stated.
    fn add_message_usage(&mut self, holder: &Fields<'_>) -> Result<(), RefusalReason> {
        let Some(usage) = holder.raw("usage") else { return Ok(()) };
        let usage: Map<String, Value> = serde_json::from_str(usage.get()).map_err(RefusalReason::json)?;
        self.message_usage.extend(usage.into_iter().filter(|(_, value)| !value.is_null()));
        let merged = Value::Object(self.message_usage.clone()).to_string();
        let merged = Fields::parse(&merged)?;
        self.answer.counts = Counts::anthropic(&merged)?;
        self.answer.unread = unread::of_usage(&merged);
        self.answer.cost = shapes::cost(&merged);
        self.answer.cached = Some(Cached::Beside);
        self.has_usage = true;
        Ok(())
    }

    /// What the stream states so far, and whether it states a usage.
    pub(super) fn into_parts(self) -> (Answer, bool) {
        (self.answer, self.has_usage)
    }

    /// What the stream states; none if it states no usage.
    pub(super) fn into_answer(self) -> Option<Answer> {
        self.has_usage.then_some(self.answer)
    }
}

/// The length of what precedes the headers of a message of AWS, in bytes: the length of the message, that of its headers,
/// and a checksum of both.
const PRELUDE_BYTES: usize = 12;
/// The length of the checksum at the end of a message, in bytes.
const CHECKSUM_BYTES: usize = 4;

/// The payload of the next message; none if the message is cut off or its lengths contradict each other.
fn take_message<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = |at: usize| {
        let field: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(field)).ok()
    };
    let (message_bytes, headers_bytes) = (length(0)?, length(4)?);
    let start = PRELUDE_BYTES.checked_add(headers_bytes)?;
    let payload = bytes.get(start..message_bytes.checked_sub(CHECKSUM_BYTES)?)?;
    *bytes = bytes.get(message_bytes..)?;
    Some(payload)
}
