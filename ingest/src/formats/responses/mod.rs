//! Recorded responses of providers: cassettes of HTTP interactions in YAML, as VCR tools write them, and bodies of responses
//! as they are, as JSON, JSONL or a stream of server-sent events.
//!
//! The body states the usage, in the notation of its API; streams state it in one or several of their events. A cassette also
//! says which host answered, and when. A body alone names no provider, and some name no time: those are options. What answers
//! a call and states no usage is refused, and named; other interactions, such as uploads, are no calls.

mod cassette;
mod hosts;
mod shapes;
mod stream;
#[cfg(test)]
mod tests;
mod yaml;

use super::counts::Cached;
use super::document::{Found, list_records, read_text};
use super::json::Fields;
use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{default_agent, informative, minimal_facts, model, provider, start};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::{Location, Record};
use chrono::{DateTime, Utc};
use domain::call::{CallFacts, CallKind, Outcome};
use shapes::Answer;
use std::io::BufRead;
use stream::EventStream;

pub(crate) const SPEC: Spec = Spec {
    name: "responses",
    about: "Recorded responses of OpenAI, Anthropic, Bedrock, Gemini and Mistral: YAML cassettes, JSON, JSONL, event streams",
    extensions: &["yaml", "yml", "json", "jsonl", "sse", "yaml.gz", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Content],
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

/// The number of different answers without a unique id that are counted in each of two generations.
const MAX_COUNTED_ANSWERS: usize = 100_000;

fn open(mut lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let mut equal = Occurrences::new(MAX_COUNTED_ANSWERS);
    if is_of_lines(&mut lines)? {
        return Ok(LineRecords::boxed(lines, move |location, line| body(location, line, &defaults, &mut equal)));
    }
    let text = read_text(lines)?;
    let content = text.trim_start();
    if content.starts_with('[') && !is_chunked(content) {
        return list_records(text, move |location, item| body(location, item, &defaults, &mut equal));
    }
    if !content.starts_with(['{', '[']) && !stream::is_event_stream(content) {
        return cassette::read(&text, &defaults, &mut equal);
    }
    let mut found = Found::default();
    let location = found.next_item();
    found.add(location, body(location, content, &defaults, &mut equal))?;
    Ok(found.into_records())
}

/// Whether the first line is a whole object of JSON, and more follow.
fn is_of_lines(lines: &mut Lines) -> Result<bool, InputError> {
    let start = lines.reader.fill_buf()?;
    let mut first = start.splitn(2, |byte| *byte == b'\n');
    let (line, rest) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let is_object =
        std::str::from_utf8(line).is_ok_and(|line| Fields::parse(line.trim_start_matches('\u{feff}')).is_ok());
    Ok(is_object && !rest.trim_ascii().is_empty())
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

/// Where and when a response was received, as far as it is recorded.
#[derive(Default)]
struct Exchange<'a> {
    provider: Option<&'a str>,
    /// The model that the address of the request names.
    model: Option<String>,
    region: Option<String>,
    received_at: Option<DateTime<Utc>>,
    /// The id that the provider gave the request.
    request_id: Option<String>,
    /// What tells the exchange from others, if the response has no id.
    content: Vec<&'a str>,
}

/// A body alone.
fn body(
    location: Location,
    text: &str,
    defaults: &Defaults,
    equal: &mut Occurrences,
) -> Result<ParsedLine, RefusalReason> {
    let answer = match text.trim_start() {
        stream if stream::is_event_stream(stream) => EventStream::of_text(stream)?.into_answer(),
        list if list.starts_with('[') => EventStream::of_list(list)?.into_answer(),
        object => shapes::answer(&Fields::parse(object)?)?,
    };
    let Some(answer) = answer else { return Err(RefusalReason::NoUsage("response".to_owned())) };
    let exchange = Exchange { content: vec![text], ..Exchange::default() };
    record(location, answer, exchange, defaults, equal).map(ParsedLine::from)
}

fn record(
    location: Location,
    answer: Answer,
    exchange: Exchange<'_>,
    defaults: &Defaults,
    equal: &mut Occurrences,
) -> Result<Record, RefusalReason> {
    let named_model = exchange.model.as_deref().or(answer.model.as_deref());
    let response_id = answer.id.as_deref().filter(|id| !id.is_empty()).or(exchange.request_id.as_deref());
    let stated = answer.created.or(exchange.received_at);
    let facts = CallFacts {
        provider: provider("provider", exchange.provider, defaults)?,
        model: Some(model("model", named_model, defaults)?),
        usage: answer.counts.usage(answer.cached.unwrap_or(Cached::Inside))?,
        service_tier: informative(answer.service_tier.as_deref()),
        region: informative(exchange.region.as_deref()),
        outcome: Some(Outcome::Ok),
        response_id: informative(response_id),
        request_id: informative(exchange.request_id.as_deref()),
        ..minimal_facts(CallKind::Llm, start("created", stated, defaults)?, Format::Responses)?
    };
    let identifiers = Identifiers {
        provider: exchange.provider.unwrap_or_default(),
        model: answer.model.as_deref().or(exchange.model.as_deref()).unwrap_or_default(),
        response_id,
        content: &exchange.content,
        ..Identifiers::default()
    };
    let call_ids = Format::Responses.call_ids(&identifiers, equal);
    Ok(Record::new(location, call_ids, default_agent(Format::Responses, defaults), None, facts))
}
