//! Recorded responses of providers: cassettes of HTTP interactions in YAML, as VCR tools write them, and bodies of responses
//! as they are, as JSON, JSONL or a stream of server-sent events.
//!
//! The body states the usage, in the notation of its API; streams state it in one or several of their events. A cassette also
//! says which host answered, and when. A body alone names no provider, and some name no time: those are options. What answers
//! a call and states no usage is refused, and named; other interactions, such as uploads, are no calls.

mod cassette;
mod exchange;
mod hosts;
mod passed_on;
mod shapes;
mod stream;
#[cfg(test)]
mod tests;
mod unread;
mod yaml;

use super::document::{Found, list_records, read_text};
use super::json::Fields;
use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::spec::{KeyKind, Spec};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::Location;
use exchange::{Exchange, Reader};
pub use hosts::providers;
pub use passed_on::{Metered, PassedOn, StreamedResponse};
use stream::EventStream;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Responses,
    about: "Recorded responses of OpenAI, Anthropic, Bedrock, Gemini and Mistral: YAML cassettes, JSON, JSONL, event streams",
    extensions: &["yaml", "yml", "json", "jsonl", "sse", "yaml.gz", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::ProviderRequest, KeyKind::Content],
    recognises: |sketch| {
        let is_object = |kind| sketch.has_text("object", kind) || sketch.has_text("[].object", kind);
        let objects = ["chat.completion", "text_completion", "response"];
        let is_openai = objects.into_iter().any(is_object) && !sketch.has("challenge");
        let is_anthropic = sketch.has_text("type", "message") && sketch.has("usage.input_tokens");
        let is_gemini = sketch.has_all(&["usageMetadata", "candidates"]);
        let is_bedrock = sketch.has("usage.inputTokens") && sketch.has("output.message");
        sketch.is_cassette || sketch.is_event_stream || is_openai || is_anthropic || is_gemini || is_bedrock
    },
    open,
};

fn open(mut lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let mut reader = Reader::new(&SPEC, defaults);
    if is_of_lines(&mut lines)? {
        return Ok(LineRecords::boxed(lines, move |location, line| body(location, line, &mut reader)));
    }
    let text = read_text(lines)?;
    let content = text.trim_start();
    if content.starts_with('[') && !is_chunked(content) {
        return list_records(text, move |location, item| body(location, item, &mut reader));
    }
    if !content.starts_with(['{', '[']) && !stream::is_event_stream(content) {
        return cassette::read(&text, &mut reader);
    }
    let mut found = Found::default();
    let location = found.next_item();
    found.add(location, body(location, content, &mut reader))?;
    Ok(found.into_records())
}

/// Whether the first line is a whole object of JSON, and more follow.
fn is_of_lines(lines: &mut Lines) -> Result<bool, InputError> {
    let [first, second] = lines.peek_lines()?.lines;
    Ok(!second.is_empty() && std::str::from_utf8(first).is_ok_and(|line| Fields::parse(line).is_ok()))
}

/// Whether a list is one response in chunks, as Gemini streams it without server-sent events.
fn is_chunked(list: &str) -> bool {
    let chunks = super::json::items(list).unwrap_or_default();
    let is_chunk = |chunk: &serde_json::value::RawValue| {
        Fields::parse(chunk.get())
            .is_ok_and(|chunk| chunk.raw("candidates").is_some() || chunk.raw("usageMetadata").is_some())
    };
    chunks.len() > 1 && chunks.into_iter().all(is_chunk)
}

/// A body alone.
fn body(location: Location, text: &str, reader: &mut Reader) -> Result<ParsedLine, RefusalReason> {
    let answer = match text.trim_start() {
        stream if stream::is_event_stream(stream) => EventStream::of_text(stream)?.into_answer(),
        list if list.starts_with('[') => EventStream::of_list(list)?.into_answer(),
        object => shapes::answer(&Fields::parse(object)?)?,
    };
    let Some(answer) = answer else { return Err(RefusalReason::NoUsage("response".to_owned())) };
    let exchange = Exchange { content: vec![text], ..Exchange::default() };
    reader.record(location, answer, exchange).map(ParsedLine::from)
}
