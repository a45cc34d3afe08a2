//! Session logs of Claude Code: JSONL, a line for each block of content of a message.
//!
//! All lines of one answer carry its message id and request id, and the counts known when the line was written:
//! early lines have fewer output tokens than the last. Every line is reported, and the domain keeps the largest
//! count of each kind. Anthropic counts `input_tokens` without what was read from or written to the cache
//! (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>, "Tracking cache performance"), which
//! is how the domain counts too.
//!
//! A session becomes an agent and a task of it; sub-agents (sidechains) belong to their session. Lines of users,
//! tools, summaries and the client's own messages (model `<synthetic>`) are no calls. Deliberately absent: tool
//! calls, and the text of anything.

use super::input::{Lines, PerLine};
use super::values::{bare_facts, clip, default_name, name, named_agent, reported_cost, rfc3339, tokens};
use super::{AgentRef, Format, ImportError, Options, Place, Record, Records, RefusalReason, TaskRef};
use domain::Usage;
use domain::call::{CallFacts, CallKind};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The model of messages that the client made up, such as those about an unreachable API.
const SYNTHETIC: &str = "<synthetic>";
/// Characters of a session's id in the name of its agent.
const SHORT_ID_BYTES: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    uuid: Option<String>,
    timestamp: Option<String>,
    /// Read only where it is an answer: other lines have other messages.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    /// US dollars; clients of early 2025 wrote it.
    #[serde(borrow, rename = "costUSD")]
    cost_usd: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_creation_input_tokens: Option<i64>,
    cache_read_input_tokens: Option<i64>,
}

impl Counts {
    fn usage(&self) -> Result<Usage, RefusalReason> {
        Ok(Usage {
            input: tokens("usage.input_tokens", self.input_tokens)?,
            output: tokens("usage.output_tokens", self.output_tokens)?,
            cache_read: tokens("usage.cache_read_input_tokens", self.cache_read_input_tokens)?,
            cache_write: tokens("usage.cache_creation_input_tokens", self.cache_creation_input_tokens)?,
            ..Usage::default()
        })
    }
}

pub(super) fn open(lines: Lines, options: Options) -> Result<Records, ImportError> {
    let options = Options { provider: default_name(options.provider, "anthropic"), ..options };
    Ok(PerLine::boxed(lines, move |place, line| parse(place, line, &options)))
}

fn parse(place: Place, line: &str, options: &Options) -> Result<Option<Record>, RefusalReason> {
    let line: Line<'_> = serde_json::from_str(line).map_err(RefusalReason::Json)?;
    let (Some("assistant"), Some(message)) = (line.kind.as_deref(), line.message) else {
        return Ok(None);
    };
    let message: Message = serde_json::from_str(message.get()).map_err(RefusalReason::Json)?;
    let Some(counts) = message.usage.as_ref().filter(|_| message.model.as_deref() != Some(SYNTHETIC)) else {
        return Ok(None);
    };
    let timestamp = line.timestamp.as_deref().ok_or(RefusalReason::Missing("timestamp"))?;
    let model = match (&message.model, &options.model) {
        (Some(model), _) => name("message.model", model)?,
        (None, Some(model)) => model.clone(),
        (None, None) => return Err(RefusalReason::Missing("message.model")),
    };
    let agent = match line.session_id.as_deref() {
        Some(id) => AgentRef::new(Format::ClaudeCode, id, &format!("claude-code {}", clip(id, SHORT_ID_BYTES))),
        None => named_agent(Format::ClaudeCode, options),
    };
    let task = line
        .session_id
        .as_deref()
        .and_then(|id| TaskRef::new(Format::ClaudeCode, &[id], &format!("session {id}"), agent.as_ref()));
    let facts = CallFacts {
        provider: options.provider.clone(),
        model: Some(model),
        usage: counts.usage()?,
        reported_cost: reported_cost("costUSD", line.cost_usd)?,
        ..bare_facts(CallKind::Llm, rfc3339("timestamp", timestamp)?, Format::ClaudeCode)?
    };
    Ok(Some(Record::new(place, &call_key(&line, &message)?, agent, task, facts)))
}

/// The message and the request it answers; where a client wrote no message id, the line itself is the call.
///
/// `anthropic` is whoever's ids these are, so that it stays even if the model was served by somebody else.
fn call_key<'a>(line: &'a Line<'_>, message: &'a Message) -> Result<[&'a str; 3], RefusalReason> {
    match (message.id.as_deref(), line.request_id.as_deref(), line.uuid.as_deref()) {
        (Some(id), request_id, _) => Ok(["anthropic", id, request_id.unwrap_or_default()]),
        (None, _, Some(uuid)) => Ok(["anthropic", "line", uuid]),
        (None, _, None) => Err(RefusalReason::Missing("message.id")),
    }
}
