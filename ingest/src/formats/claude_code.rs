//! Session logs of Claude Code: JSONL, one line per content block of a message.
//!
//! All lines of one response carry its message id, and the counts known when the line was written: early lines have fewer
//! output tokens than the last. Every line is reported, and the domain keeps the usage with the largest total. A message id
//! that Anthropic made identifies the call, also where a copy of the line has lost its request id; so does a request id that
//! it made, which is the only id of the call in the telemetry of Claude Code. Relays between the client and the provider may
//! give one id to all messages, or none: then a call is identified by its session and the first line of its message.
//! Anthropic counts `input_tokens` without what was read from or written to the cache
//! (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>, "Tracking cache performance"), which is how the
//! domain counts too.
//!
//! A session becomes an agent and a task of that agent; sub-agents (sidechains) belong to their session. Lines of
//! users, tools, summaries and the client's own messages (model `<synthetic>`) are not calls. Deliberately absent: tool
//! calls, and the text of messages.

use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::recent::{Occurrences, Recent};
use super::values::{default_agent, informative, lenient, minimal_facts, name, quantity, reported_cost, rfc3339};
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::formats::spec::{KeyKind, Spec};
use crate::record::{AgentRef, Location, Record, TaskRef};
use crate::text::clip;
use domain::call::{CallFacts, CallIds, CallKey, CallKind, Outcome};
use domain::{Meter, Name, Quantity, Usage};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The model of messages that the client generated itself, such as those about an unreachable API.
const SYNTHETIC: &str = "<synthetic>";
/// What `inference_geo` holds if the provider does not say where the call was served.
const UNKNOWN_REGION: &str = "not_available";
/// The length of a session id in the name of its agent, in bytes.
const SHORT_ID_BYTES: usize = 8;

/// The number of lines without a unique id that are remembered in each of two generations, to find the first line of a
/// message.
const MAX_REMEMBERED_LINES: usize = 20_000;

pub(crate) const SPEC: Spec = Spec {
    format: Format::ClaudeCode,
    about: "Session logs of Claude Code, with those of sub-agents: JSONL, several lines per call",
    extensions: &["jsonl", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::ProviderRequest, KeyKind::Request, KeyKind::Turn, KeyKind::Content],
    recognises: |sketch| sketch.has("sessionId") && (sketch.has("uuid") || sketch.has("message.usage")),
    open: |lines, defaults| Ok(open(lines, defaults)),
};

/// The type of a line. The other fields are read only of responses: in other lines they may have other types.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

/// A response of the model.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    request_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    uuid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    parent_uuid: Option<String>,
    timestamp: Option<String>,
    message: Option<Message>,
    /// The cost in US dollars. Only clients of early 2025 wrote it.
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
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
    #[serde(default, deserialize_with = "lenient")]
    service_tier: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    speed: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    inference_geo: Option<String>,
}

/// How long what was written to the cache is kept. Clients of 2024 and early 2025 did not write it.
#[derive(Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<i64>,
    ephemeral_1h_input_tokens: Option<i64>,
}

/// What the provider ran during the call.
#[derive(Default, Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<i64>,
}

impl Counts {
    fn usage(&self) -> Result<Usage, RefusalReason> {
        let (five_minutes, one_hour) = self.cache_writes()?;
        let searches = self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests);
        Ok(Usage::from_iter([
            (Meter::Input, quantity("usage.input_tokens", self.input_tokens)?),
            (Meter::Output, quantity("usage.output_tokens", self.output_tokens)?),
            (Meter::CacheRead, quantity("usage.cache_read_input_tokens", self.cache_read_input_tokens)?),
            (Meter::CacheWrite5Min, five_minutes),
            (Meter::CacheWrite1Hour, one_hour),
            (Meter::Searches, quantity("usage.server_tool_use.web_search_requests", searches)?),
        ]))
    }

    /// The tokens written to the cache for 5 minutes and for 1 hour. What is not divided was written for 5 minutes, which
    /// is Anthropic's default.
    fn cache_writes(&self) -> Result<(Quantity, Quantity), RefusalReason> {
        let field = "usage.cache_creation_input_tokens";
        let total = quantity(field, self.cache_creation_input_tokens)?;
        let Some(divided) = &self.cache_creation else { return Ok((total, Quantity::ZERO)) };
        let count = |field, count| quantity(field, count).map(Quantity::get);
        let five_minutes = count("usage.cache_creation.ephemeral_5m_input_tokens", divided.ephemeral_5m_input_tokens)?;
        let one_hour = count("usage.cache_creation.ephemeral_1h_input_tokens", divided.ephemeral_1h_input_tokens)?;
        let five_minutes = five_minutes.max(total.get().saturating_sub(one_hour));
        let checked = |count| Quantity::new(count).map_err(|cause| RefusalReason::Quantity { field, cause });
        Ok((checked(five_minutes)?, checked(one_hour)?))
    }
}

pub(crate) fn open(lines: Lines, defaults: Defaults) -> Records {
    let mut unidentified = Unidentified::new();
    LineRecords::boxed(lines, move |location, line| parse(location, line, &defaults, &mut unidentified))
}

fn parse(
    location: Location,
    text: &str,
    defaults: &Defaults,
    unidentified: &mut Unidentified,
) -> Result<ParsedLine, RefusalReason> {
    if !text.starts_with('{') {
        // Another JSON value holds no call. What is not JSON may be a truncated call.
        return serde_json::from_str::<IgnoredAny>(text).map(|_| ParsedLine::OtherFormat).map_err(RefusalReason::json);
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(RefusalReason::json)?;
    match head.kind.map(RawValue::get) {
        Some("\"assistant\"") => {}
        Some(_) => return Ok(ParsedLine::NotACall),
        None => return Ok(ParsedLine::OtherFormat),
    }
    let line: Line<'_> = serde_json::from_str(text).map_err(RefusalReason::json)?;
    let Some(message) = &line.message else { return Ok(ParsedLine::NotACall) };
    let Some(counts) = message.usage.as_ref().filter(|_| message.model.as_deref() != Some(SYNTHETIC)) else {
        return Ok(ParsedLine::NotACall);
    };
    let timestamp = line.timestamp.as_deref().ok_or(RefusalReason::Missing("timestamp"))?;
    let model = match (&message.model, &defaults.model) {
        (Some(model), _) => name("message.model", model)?,
        (None, Some(model)) => model.clone(),
        (None, None) => return Err(RefusalReason::Missing("message.model")),
    };
    let agent = match line.session_id.as_deref() {
        Some(id) => AgentRef::new(Format::ClaudeCode, id, &format!("claude-code {}", clip(id, SHORT_ID_BYTES))),
        None => default_agent(Format::ClaudeCode, defaults),
    };
    let task = line
        .session_id
        .as_deref()
        .and_then(|id| TaskRef::new(Format::ClaudeCode, &[id], &format!("session {id}"), agent.as_ref()));
    let (reported_cost, ignored) = reported_cost("costUSD", line.cost_usd);
    let facts = CallFacts {
        provider: defaults.provider.clone(),
        model: Some(model),
        usage: counts.usage()?,
        reported_cost,
        conversation: informative(line.session_id.as_deref()),
        service_tier: informative(counts.service_tier.as_deref()),
        speed: informative(counts.speed.as_deref()),
        region: informative(counts.inference_geo.as_deref().filter(|region| *region != UNKNOWN_REGION)),
        outcome: Some(Outcome::Ok),
        response_id: informative(message.id.as_deref()),
        request_id: informative(line.request_id.as_deref()),
        record_id: record_id(&line),
        ..minimal_facts(CallKind::Llm, rfc3339("timestamp", timestamp)?, Format::ClaudeCode)?
    };
    // A line names no provider, and an option may name another one at the next import: an id identifies the response if its
    // form has one issuer, whichever provider served the model. Relays hand on ids of other forms.
    let named = message.model.as_deref().unwrap_or_default();
    let key = message.id.as_deref().and_then(|id| CallKey::of_issuer(named, id));
    let call_ids = key.map_or_else(|| unidentified.call_ids(&line, message, text), |key| key.call_id().into());
    // The telemetry of Claude Code has this one alone.
    let of_request = line.request_id.as_deref().and_then(CallKey::of_provider_request);
    let call_ids = of_request.iter().map(CallKey::call_id).fold(call_ids, CallIds::with);
    Ok(Record::new(location, call_ids, agent, task, facts).ignoring(ignored).into())
}

/// The id of a line, after that of its session: a copy of a line in a resumed session keeps its id and its time, and the call
/// belongs to the session with the lowest id of those that had it first.
fn record_id(line: &Line<'_>) -> Option<Name> {
    let uuid = line.uuid.as_deref()?;
    let session = line.session_id.as_deref().filter(|session| !session.is_empty());
    session.map_or_else(|| informative(Some(uuid)), |session| informative(Some(&format!("{session}/{uuid}"))))
}

/// The lines of a file whose messages have no unique id.
struct Unidentified {
    /// By the id of a line: the id of its message, and the key that identifies the message.
    lines: Recent<String, (Option<String>, CallKey)>,
    /// Lines that have no id themselves.
    equal: Occurrences,
}

impl Unidentified {
    fn new() -> Self {
        Self { lines: Recent::new(MAX_REMEMBERED_LINES), equal: Occurrences::new(MAX_REMEMBERED_LINES) }
    }

    /// The ids of a call by its session and its request, or else the first line of its message. Each block of a message has a
    /// line, whose parent is the line of the block before. If that one has another key, because it names no request, both
    /// keys are those of the call.
    fn call_ids(&mut self, line: &Line<'_>, message: &Message, text: &str) -> CallIds {
        let source = Format::ClaudeCode.as_str();
        let (session, uuid) =
            (line.session_id.as_deref().unwrap_or_default(), line.uuid.as_deref().unwrap_or_default());
        let (id, request) = (message.id.as_deref().unwrap_or_default(), line.request_id.as_deref().unwrap_or_default());
        let of_request = CallKey::of_request(source, session, request, id);
        let before = line.parent_uuid.as_ref().and_then(|parent| self.lines.get(parent));
        let of_message = before.filter(|(id, _)| *id == message.id).map(|(_, key)| key.clone());
        let own = of_request.clone().or_else(|| of_message.clone()).or_else(|| CallKey::of_turn(source, session, uuid));
        let Some(own) = own else {
            return CallKey::of_content(source, &[text], self.equal.count(text)).call_id().into();
        };
        let tied = of_message.filter(|key| of_request.is_some() && !key.is_of_request());
        if !uuid.is_empty() {
            self.lines.insert(uuid.to_owned(), (message.id.clone(), own.clone()));
        }
        tied.into_iter().fold(own.call_id().into(), |ids: CallIds, key| ids.with(key.call_id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format::ClaudeCode;
    use crate::formats::testing::{calls, records, refusals, totals};

    fn line(message_id: &str, output: i64, more: &str) -> String {
        format!(
            r#"{{"type":"assistant","sessionId":"5c0375b4-57a5","requestId":"req_1","uuid":"u-{output}",{more}
            "timestamp":"2025-09-07T09:52:07.012Z","message":{{"id":"{message_id}","model":"claude-sonnet-4-20250514",
            "usage":{{"input_tokens":4,"cache_creation_input_tokens":18764,"cache_read_input_tokens":11,
            "output_tokens":{output}}}}}}}"#
        )
        .replace('\n', "")
    }

    #[test]
    fn all_lines_of_a_response_are_reports_of_one_call() {
        let text =
            [line("msg_1", 3, ""), line("msg_1", 263, r#""isSidechain":true,"#), line("msg_2", 5, "")].join("\n");
        let found = records(ClaudeCode, text);
        let calls = calls(&found);
        assert_eq!((found.len(), calls.len()), (3, 2));
        assert_eq!(
            totals(calls.values()),
            [(Meter::Input, 8), (Meter::Output, 268), (Meter::CacheRead, 22), (Meter::CacheWrite5Min, 37_528)]
        );
        let record = &found[1];
        assert_eq!(record.agent.as_ref().map(|agent| agent.name.as_str()), Some("claude-code 5c0375b4"));
        assert_eq!(record.task.as_ref().map(|task| task.title.as_str()), Some("session 5c0375b4-57a5"));
        assert!(found.iter().all(|other| other.agent == record.agent && other.task == record.task));
    }

    /// What is not divided is written for five minutes.
    #[test]
    fn writes_to_the_cache_are_divided_by_how_long_they_are_kept() {
        let written = |more: &str| {
            let counts = format!(r#""cache_creation_input_tokens":18764,{more}"#);
            let found =
                records(ClaudeCode, line("msg_1", 1, "").replace(r#""cache_creation_input_tokens":18764,"#, &counts));
            let usage = found[0].facts.usage;
            [Meter::CacheWrite5Min, Meter::CacheWrite1Hour, Meter::Searches].map(|meter| usage.get(meter).get())
        };
        let divided = |five_minutes: u64, one_hour: u64| {
            written(&format!(
                r#""cache_creation":{{"ephemeral_5m_input_tokens":{five_minutes},"ephemeral_1h_input_tokens":{one_hour}}},"#
            ))
        };
        assert_eq!(divided(18_764, 0), [18_764, 0, 0]);
        assert_eq!(divided(764, 18_000), [764, 18_000, 0]);
        assert_eq!(divided(0, 18_000), [764, 18_000, 0]);
        assert_eq!(divided(18_764, 18_764), [18_764, 18_764, 0], "the total is that of the parts at least");
        for undivided in ["", r#""cache_creation":null,"#, r#""cache_creation":{},"#] {
            assert_eq!(written(undivided), [18_764, 0, 0], "{undivided}");
        }
        assert_eq!(written(r#""server_tool_use":{"web_search_requests":3},"#), [18_764, 0, 3]);
    }

    #[test]
    fn lines_that_are_not_responses_are_skipped() {
        for text in [
            r#"{"type":"user","message":{"role":"user","content":"hi"}}"#.to_owned(),
            r#"{"type":"user","message":"hi"}"#.to_owned(),
            r#"{"type":"summary","summary":"done"}"#.to_owned(),
            r#"{"type":"assistant","message":{"id":"m","model":"x","content":[]}}"#.to_owned(),
            line("msg_1", 0, "").replace("claude-sonnet-4-20250514", SYNTHETIC),
            "{}".to_owned(),
        ] {
            assert_eq!(records(ClaudeCode, &text), [], "{text}");
        }
    }

    #[test]
    fn skipped_lines_are_counted_and_not_refused() {
        let lines = [
            r#"{"display":"fix it","timestamp":1773136800000,"sessionId":"x"}"#.to_owned(),
            r#"{"type":"user","timestamp":1773136800000,"message":{"role":"user"}}"#.to_owned(),
            r#"{"type":"system","requestId":7,"subtype":"turn_duration"}"#.to_owned(),
            r#"{"type":"queue-operation","timestamp":"2026-03-10T10:00:00.000Z","costUSD":"n/a"}"#.to_owned(),
            "[1, 2]".to_owned(),
            "\"text\"".to_owned(),
            "null".to_owned(),
            line("msg_1", 1, ""),
        ];
        let input = std::io::Cursor::new(lines.join("\n"));
        let mut records = crate::formats::read_records(ClaudeCode, Defaults::default(), Box::new(input)).unwrap();
        assert_eq!(records.by_ref().map(Result::unwrap).count(), 1);
        let skipped = records.skipped();
        assert_eq!((skipped.not_calls, skipped.other_format), (3, 4));
    }

    /// The ids of the calls of lines, each id once.
    fn ids(lines: &[String]) -> std::collections::BTreeSet<domain::call::CallIds> {
        records(ClaudeCode, lines.join("\n")).into_iter().map(|record| record.call_ids).collect()
    }

    /// A line of a message without a unique id and without a request id: its session, its id and the id of the line before
    /// it.
    fn relayed(message_id: &str, session: &str, uuid: &str, parent: &str, output: i64) -> String {
        line(message_id, output, "")
            .replace(r#""requestId":"req_1","#, "")
            .replace("5c0375b4-57a5", session)
            .replace(&format!(r#""uuid":"u-{output}""#), &format!(r#""uuid":"{uuid}","parentUuid":"{parent}""#))
    }

    #[test]
    fn a_missing_null_or_empty_request_id_is_not_another_request() {
        let whole = line("msg_1", 3, "");
        for (from, to) in [
            (r#""requestId":"req_1","#, ""),
            (r#""requestId":"req_1""#, r#""requestId":null"#),
            (r#""requestId":"req_1""#, r#""requestId":"""#),
            ("req_1", "req_2"),
        ] {
            let copy = line("msg_1", 50, "").replace(from, to);
            let found = records(ClaudeCode, [whole.clone(), copy].join("\n"));
            assert_eq!(found[0].call_ids, found[1].call_ids, "{to}");
            assert_eq!(totals(calls(&found).values())[..2], [(Meter::Input, 4), (Meter::Output, 50)], "{to}");
        }
        assert_eq!(ids(&[whole, line("msg_1", 3, "").replace("claude-sonnet-4-20250514", "claude-3")]).len(), 2);
    }

    #[test]
    fn one_message_id_that_a_relay_gave_to_all_messages_identifies_none() {
        for id in ["ocrelay", "", "chatcmpl-0"] {
            let first = [relayed(id, "s1", "a", "", 1), relayed(id, "s1", "b", "", 2), relayed(id, "s1", "c", "", 3)];
            let second = [relayed(id, "s2", "d", "", 4), relayed(id, "s2", "e", "", 5)];
            let both = &ids(&first) | &ids(&second);
            assert_eq!((ids(&first).len(), both.len()), (3, 5), "{id:?}");
            assert_eq!(ids(&[second.as_slice(), first.as_slice()].concat()), both, "{id:?}: in any order and grouping");
        }
    }

    /// Anthropic did not make an id that a relay hands on.
    #[test]
    fn an_id_of_a_form_without_one_issuer_identifies_no_response() {
        let completion = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
        let [first, second] = ["a", "b"].map(|uuid| relayed(completion, "s", uuid, "", 1));
        assert_eq!(ids(&[first, second]).len(), 2, "two turns of a session");
        let by_issuer = CallKey::of_response("", "claude-sonnet-4-20250514", "msg_1").unwrap().call_id();
        assert_eq!(ids(&[line("msg_1", 1, "")]), [by_issuer.into()].into());
    }

    #[test]
    fn the_lines_of_a_message_without_a_unique_id_are_one_call() {
        let message = |id: &str, [a, b, c]: [&str; 3], parent: &str| {
            [relayed(id, "s", a, parent, 1), relayed(id, "s", b, a, 8), relayed(id, "s", c, b, 9)]
        };
        let answer = message("ocrelay", ["a", "b", "c"], "prompt");
        assert_eq!(ids(&answer).len(), 1);
        // The result of a tool is between two messages.
        assert_eq!(ids(&[answer.clone(), message("ocrelay", ["d", "e", "f"], "result")].concat()).len(), 2);
        assert_eq!(ids(&[answer.clone(), message("other", ["d", "e", "f"], "c")].concat()).len(), 2);
        assert_eq!(
            ids(&[answer, message("ocrelay", ["a", "b", "c"], "").map(|line| line.replace("\"s\"", "\"t\""))].concat())
                .len(),
            2
        );
    }

    #[test]
    fn the_lines_of_a_request_of_a_session_are_one_call() {
        let of = |request: &str, session: &str, uuid: &str| {
            let with = format!(r#"{{"requestId":"{request}","type""#);
            relayed("m1", session, uuid, "a", 1).replacen(r#"{"type""#, &with, 1)
        };
        assert_eq!(ids(&[of("r1", "s", "a"), of("r1", "s", "b")]).len(), 1);
        assert_eq!(ids(&[of("r1", "s", "a")]), ids(&[of("r1", "s", "b")]), "in files of their own");
        assert_eq!(ids(&[of("r1", "s", "a"), of("r2", "s", "b")]).len(), 2);
        assert_eq!(ids(&[of("r1", "s", "a"), of("r1", "t", "b")]).len(), 2, "ids that each session counts from 1");
        assert_eq!(ids(&[of("r1", "", "b"), of("r1", "", "c")]).len(), 2, "an unknown session is not one session");
        // A missing request id is not another request.
        assert_eq!(ids(&[of("r1", "s", "a"), of("", "s", "b"), relayed("m1", "s", "c", "b", 2)]).len(), 1);
        let found =
            records(ClaudeCode, [relayed("m1", "s", "a", "", 1), of("r1", "s", "b"), of("r1", "s", "c")].join("\n"));
        let of_line = |at: usize| found[at].call_ids.iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!((of_line(1).len(), of_line(0).len()), (2, 1), "the request is tied to the line before");
        assert!(of_line(0).is_subset(&of_line(1)) && of_line(1) == of_line(2));
    }

    #[test]
    fn lines_without_any_id_are_told_apart_by_content_and_occurrence() {
        let bare = |output| {
            let line = line("msg_1", output, "").replace(r#""id":"msg_1","#, "").replace(r#""requestId":"req_1","#, "");
            line.replace(&format!(r#""uuid":"u-{output}","#), "")
        };
        assert_eq!(ids(&[bare(1), bare(2), bare(1)]).len(), 3);
        assert_eq!(ids(&[bare(1), bare(2), bare(1)]), ids(&[bare(2), bare(1), bare(1)]));
    }

    #[test]
    fn a_line_says_where_it_comes_from() {
        let facts_of = |region: &str| {
            let served = format!(r#""usage":{{"service_tier":"priority","speed":"fast","inference_geo":"{region}","#);
            records(ClaudeCode, line("msg_1", 3, "").replace(r#""usage":{"#, &served)).remove(0).facts
        };
        let facts = facts_of("us");
        let text = |name: &Option<domain::Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!(text(&facts.conversation), "5c0375b4-57a5");
        assert_eq!(
            [&facts.response_id, &facts.request_id, &facts.record_id].map(text),
            ["msg_1", "req_1", "5c0375b4-57a5/u-3"]
        );
        assert_eq!([&facts.service_tier, &facts.speed, &facts.region].map(text), ["priority", "fast", "us"]);
        assert_eq!(facts_of("not_available").region, None);
        assert_eq!(facts.outcome, Some(Outcome::Ok));
    }

    #[test]
    fn the_cost_written_by_older_clients_is_kept() {
        let found = records(ClaudeCode, line("msg_1", 1, r#""costUSD":0.07037100000000001,"#));
        assert_eq!(found[0].facts.reported_cost.map(|cost| cost.amount.to_string()), Some("0.070371".to_owned()));
    }

    #[test]
    fn each_bad_line_is_refused_with_its_reason() {
        let good = line("msg_1", 1, "");
        for (text, message) in [
            (good.replace(r#""output_tokens":1"#, r#""output_tokens":-1"#), "usage.output_tokens: -1 is negative"),
            (good.replace("2025-09-07T09:52:07.012Z", "yesterday"), "timestamp is \"yesterday\", which is not a time"),
            (good.replace("timestamp", "time"), "timestamp is missing"),
            (good.replace("claude-sonnet-4-20250514", ""), "message.model: the text is empty"),
            (good.replace("\"input_tokens\":4", "\"input_tokens\":\"4\""), "not the JSON of this format: invalid type"),
            (good[..50].to_owned(), "not the JSON of this format: EOF while parsing"),
        ] {
            let found = refusals(ClaudeCode, &text);
            let expected = format!("line 1: {message}");
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?} instead of {expected}");
        }
    }
}
