//! Session logs of Codex: JSONL, `~/.codex/sessions/YYYY/MM/DD/rollout-….jsonl`.
//!
//! After each response a line (`token_count`) states the usage of the response and that of the session until then. The same
//! line may be written again, for example when rate limits change. A response has no id: a call is identified by its turn and
//! the usage of the session after it, which grows with each call. A session that was forked, or that a session started for a
//! sub-agent, begins with a copy of the lines of the session before, with new times: those calls have the same keys, and
//! belong to the session that had them first. Where turns have no ids, or are counted, calls are identified by the first
//! session of the chain of copies instead. Cached tokens are inside the input, reasoning is inside the output.

use super::counts::{Cached, Counts};
use super::json::Fields;
use super::lines::{LineRecords, Lines, ParsedLine};
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{default_agent, informative, minimal_facts, model, provider, rfc3339};
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::record::{AgentRef, Location, Record, TaskRef};
use crate::text::clip;
use domain::Quantity;
use domain::call::{CallFacts, CallKind, Outcome};
use uuid::Uuid;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Codex,
    about: "Session logs of Codex: JSONL, with a line of token counts after each response",
    extensions: &["jsonl", "jsonl.gz"],
    identity: &[KeyKind::Turn],
    recognises: |sketch| sketch.has_text("type", "session_meta") && sketch.has("payload.id"),
    open: |lines: Lines, defaults: Defaults| {
        let mut session = Session::default();
        Ok(LineRecords::boxed(lines, move |location, line| session.parse(location, line, &defaults)))
    },
};

/// The length of a session id in the name of its agent, in bytes. Ids begin with the time, so that less is not unique.
const SHORT_ID_BYTES: usize = 13;

/// What the lines of a file have said so far.
#[derive(Default)]
struct Session {
    /// The id of the session of the file.
    id: Option<String>,
    /// The id of the first session that the file has a copy of.
    root: Option<String>,
    /// Whether only lines about sessions were read, which begin the file.
    is_past_head: bool,
    provider: Option<String>,
    model: Option<String>,
    turn: Option<String>,
    /// The usage of the session after the last call.
    total: Option<Totals>,
}

/// The counts of a session, or of a call: input, cached input, cache writes, output, reasoning.
type Totals = [u64; 5];

impl Session {
    fn parse(&mut self, location: Location, text: &str, defaults: &Defaults) -> Result<ParsedLine, RefusalReason> {
        let line = Fields::parse(text)?;
        let (Some(kind), Some(payload)) = (line.text("type"), line.object("payload")) else {
            return Ok(ParsedLine::OtherFormat);
        };
        match kind.as_ref() {
            "session_meta" => self.begin(&payload),
            "turn_context" => {
                self.turn = payload.first_text(&["turn_id"]).map(String::from);
                self.model = payload.first_text(&["model"]).map(String::from).or(self.model.take());
                self.provider = payload.first_text(&["model_provider"]).map(String::from).or(self.provider.take());
            }
            "event_msg" => match payload.text("type").as_deref() {
                Some("token_count") => return self.count(location, &line, &payload, defaults),
                Some("task_started") => self.turn = payload.first_text(&["turn_id"]).map(String::from),
                _ => {}
            },
            _ => {}
        }
        self.is_past_head |= kind != "session_meta";
        Ok(ParsedLine::NotACall)
    }

    /// A line about a session. Those of the sessions that the file has copies of follow that of its own.
    fn begin(&mut self, payload: &Fields<'_>) {
        let id = payload.first_text(&["id", "session_id"]).map(String::from);
        if self.is_past_head {
            return;
        }
        if self.id.is_none() {
            self.id.clone_from(&id);
            self.provider = payload.first_text(&["model_provider"]).map(String::from);
            self.root = payload.first_text(&["forked_from_id"]).map(String::from).or(id);
        } else {
            self.root = payload.first_text(&["forked_from_id"]).map(String::from).or(id).or(self.root.take());
        }
    }

    /// A line of token counts.
    fn count(
        &mut self,
        location: Location,
        line: &Fields<'_>,
        payload: &Fields<'_>,
        defaults: &Defaults,
    ) -> Result<ParsedLine, RefusalReason> {
        self.is_past_head = true;
        // Without counts, the line is about rate limits.
        let Some(info) = payload.object("info") else { return Ok(ParsedLine::NotACall) };
        let Some(total) = info.object("total_token_usage") else { return Ok(ParsedLine::NotACall) };
        let total = totals(&total)?;
        let before = self.total.replace(total);
        if before == Some(total) {
            return Ok(ParsedLine::NotACall);
        }
        let last = info.object("last_token_usage").map(|last| totals(&last)).transpose()?;
        let counts = last.filter(|last| *last != Totals::default()).unwrap_or_else(|| difference(total, before));
        if counts == Totals::default() {
            return Ok(ParsedLine::NotACall);
        }
        self.record(location, line, counts, total, defaults).map(ParsedLine::from)
    }

    fn record(
        &self,
        location: Location,
        line: &Fields<'_>,
        counts: Totals,
        total: Totals,
        defaults: &Defaults,
    ) -> Result<Record, RefusalReason> {
        let time = line.text("timestamp").ok_or(RefusalReason::Missing("timestamp"))?;
        let id = self.id.as_deref();
        let agent = match id {
            Some(id) => AgentRef::new(Format::Codex, id, &format!("codex {}", clip(id, SHORT_ID_BYTES))),
            None => default_agent(Format::Codex, defaults),
        };
        let task = id.and_then(|id| TaskRef::new(Format::Codex, &[id], &format!("session {id}"), agent.as_ref()));
        let after = total.map(|count| count.to_string()).join(",");
        let facts = CallFacts {
            provider: provider("model_provider", self.provider.as_deref(), defaults)?,
            model: Some(model("turn_context.model", self.model.as_deref(), defaults)?),
            usage: counts_of(counts)?.usage(Cached::Inside)?,
            conversation: informative(id),
            outcome: Some(Outcome::Ok),
            record_id: informative(Some(&format!("{}/{after}", id.unwrap_or_default()))),
            ..minimal_facts(CallKind::Llm, rfc3339("timestamp", &time)?, Format::Codex)?
        };
        let turn = self.turn.as_deref().unwrap_or_default();
        let is_unique = Uuid::try_parse(turn).is_ok_and(|id| id.get_version().is_some());
        let in_session = format!("{turn}/{after}");
        let request = match &self.root {
            _ if is_unique => Some((turn, after.as_str())),
            Some(root) => Some((root.as_str(), in_session.as_str())),
            None => None,
        };
        let identifiers = Identifiers { request, content: &[&after, &time], ..Identifiers::default() };
        let call_ids = SPEC.call_ids(&identifiers, &mut Occurrences::new(1));
        Ok(Record::new(location, call_ids, agent, task, facts))
    }
}

fn totals(usage: &Fields<'_>) -> Result<Totals, RefusalReason> {
    let count = |name| usage.first_count(&[name]).map(Quantity::get);
    Ok([
        count("input_tokens")?,
        count("cached_input_tokens")?,
        count("cache_write_input_tokens")?,
        count("output_tokens")?,
        count("reasoning_output_tokens")?,
    ])
}

/// The usage of a call, from that of its session after it and before it.
fn difference(total: Totals, before: Option<Totals>) -> Totals {
    let before = before.unwrap_or_default();
    std::array::from_fn(|at| total[at].saturating_sub(before[at]))
}

fn counts_of([input, cached, written, output, reasoning]: Totals) -> Result<Counts, RefusalReason> {
    let checked =
        |number| Quantity::new(number).map_err(|cause| RefusalReason::Quantity { field: "token_usage", cause });
    Ok(Counts {
        input: checked(input)?,
        output: checked(output)?,
        cache_read: checked(cached)?,
        cache_write_5min: checked(written)?,
        reasoning: checked(reasoning)?,
        ..Counts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, joined, records, refusals, totals};
    use domain::Meter;

    fn meta(id: &str, more: &str) -> String {
        format!(
            r#"{{"timestamp":"2025-10-01T12:00:00.000Z","type":"session_meta","payload":{{"id":"{id}",{more}"model_provider":"openai"}}}}"#
        )
    }

    fn turn(id: &str) -> String {
        let id = if id.is_empty() { String::new() } else { format!(r#""turn_id":"{id}","#) };
        format!(
            r#"{{"timestamp":"2025-10-01T12:00:01.000Z","type":"turn_context","payload":{{{id}"model":"gpt-5-codex"}}}}"#
        )
    }

    /// A line of token counts at a second: those of the session, and those of the call.
    fn tokens(second: u32, [input, output]: [u64; 2], last: Option<[u64; 2]>) -> String {
        let usage = |[input, output]: [u64; 2]| {
            format!(
                r#"{{"input_tokens":{input},"cached_input_tokens":{},"output_tokens":{output},"reasoning_output_tokens":2,
                "total_tokens":{}}}"#,
                input / 2,
                input + output
            )
            .replace('\n', "")
        };
        let last = last.map_or("{}".to_owned(), usage);
        format!(
            r#"{{"timestamp":"2025-10-01T12:01:{second:02}.000Z","type":"event_msg","payload":{{"type":"token_count",
            "info":{{"total_token_usage":{},"last_token_usage":{last}}},"rate_limits":null}}}}"#,
            usage([input, output])
        )
        .replace('\n', "")
    }

    const RATE_LIMITS: &str =
        r#"{"timestamp":"2025-10-01T12:01:00.000Z","type":"event_msg","payload":{"type":"token_count","info":null}}"#;

    #[test]
    fn each_line_of_counts_is_a_call_unless_it_repeats_the_one_before() {
        let first = tokens(1, [100, 10], Some([100, 10]));
        let second = tokens(2, [300, 40], Some([200, 30]));
        let text = [meta("s1", ""), turn("t1"), RATE_LIMITS.to_owned(), first.clone(), first, second.clone(), second]
            .join("\n");
        let found = records(Format::Codex, text);
        assert_eq!((found.len(), calls(&found).len()), (2, 2));
        let right = [(Meter::Input, 150), (Meter::Output, 40), (Meter::CacheRead, 150), (Meter::Reasoning, 4)];
        assert_eq!(totals(calls(&found).values()), right);
        let facts = &found[0].facts;
        let name = |name: &Option<domain::Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!([&facts.provider, &facts.model, &facts.conversation].map(name), ["openai", "gpt-5-codex", "s1"]);
    }

    #[test]
    fn without_the_counts_of_a_call_those_of_the_session_tell_them() {
        let text = [meta("s1", ""), turn("t1"), tokens(1, [100, 10], None), tokens(2, [300, 40], None)].join("\n");
        let found = records(Format::Codex, text);
        assert_eq!(totals(calls(&found).values())[1], (Meter::Output, 40));
    }

    #[test]
    fn the_calls_that_a_fork_copied_belong_to_the_session_that_had_them_first() {
        let unique = ["1", "2", "3"].map(|digit| format!("0199a1b2-0000-7000-8000-00000000000{digit}"));
        for turns in [unique.each_ref().map(String::as_str), ["1", "2", "3"], ["", "", ""]] {
            let [one, two, three] = turns.map(turn);
            let parent = [
                meta("p", ""),
                one.clone(),
                tokens(1, [100, 10], Some([100, 10])),
                two,
                tokens(2, [300, 40], Some([200, 30])),
            ];
            let fork = [
                meta("f", r#""forked_from_id":"p","#),
                meta("p", ""),
                one,
                tokens(30, [100, 10], Some([100, 10])),
                three,
                tokens(31, [350, 45], Some([250, 35])),
            ];
            let (parent, fork) = (records(Format::Codex, parent.join("\n")), records(Format::Codex, fork.join("\n")));
            let owners = |records: &[Record]| {
                let facts = joined(records);
                let mut owners: Vec<_> = facts
                    .values()
                    .map(|facts| {
                        (facts.conversation.clone().unwrap().to_string(), facts.usage.get(Meter::Output).get())
                    })
                    .collect();
                owners.sort_unstable();
                owners
            };
            let right = [("f".to_owned(), 35), ("p".to_owned(), 10), ("p".to_owned(), 30)];
            assert_eq!(owners(&[parent.clone(), fork.clone()].concat()), right);
            assert_eq!(owners(&[fork.clone(), parent.clone(), fork].concat()), right);
        }
    }

    #[test]
    fn bad_counts_are_refused_and_a_missing_model_names_the_option() {
        let text = [
            meta("s1", ""),
            turn("t1"),
            tokens(1, [100, 10], None).replace("\"input_tokens\":100", "\"input_tokens\":\"x\""),
        ];
        assert!(refusals(Format::Codex, text.join("\n"))[0].starts_with("line 3: input_tokens is"));
        let mut lines = crate::formats::read_records(
            Format::Codex,
            Defaults::default(),
            Box::new(std::io::Cursor::new([meta("s1", ""), tokens(1, [1, 1], None)].join("\n"))),
        )
        .unwrap();
        assert!(lines.next().unwrap().unwrap_err().to_string().contains("--model"));
    }
}
