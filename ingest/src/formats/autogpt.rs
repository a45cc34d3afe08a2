//! Calls of Auto-GPT's benchmark runs: JSONL, one OpenAI completion per line.
//!
//! Each run of the benchmark works through many challenges. A run becomes an agent, and a challenge within a run
//! becomes a task. The recorded cost was computed in floats and is kept as the reported cost; the call is charged by
//! the price book. A call is identified by the id of its response. If a server counted the responses instead of giving
//! them unique ids, it is identified by the content of the line and the number of equal lines before it.

use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::values::{default_agent, informative, lenient, minimal_facts, name, quantity, reported_cost};
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::formats::spec::{KeyKind, Spec};
use crate::record::{AgentRef, Location, Record, TaskRef};
use chrono::DateTime;
use domain::call::{CallFacts, CallKey, CallKind, Outcome};
use domain::{Meter, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The number of different lines without a unique id that are counted in each of two generations.
const MAX_COUNTED_LINES: usize = 100_000;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Autogpt,
    about: "Calls of Auto-GPT benchmark runs: JSONL, one call per line",
    extensions: &["jsonl", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Content],
    recognises: |sketch| sketch.has("challenge") && sketch.has("usage.prompt_tokens"),
    open: |lines, defaults| Ok(open(lines, defaults)),
};

#[derive(Deserialize)]
struct Line<'a> {
    id: Option<String>,
    /// Seconds since 1970.
    created: Option<i64>,
    model: Option<String>,
    usage: Option<Counts>,
    #[serde(borrow)]
    cost: Option<Cost<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    run: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    challenge: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct Cost<'a> {
    /// US dollars.
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
}

pub(crate) fn open(lines: Lines, defaults: Defaults) -> Records {
    let mut equal = Occurrences::new(MAX_COUNTED_LINES);
    LineRecords::boxed(lines, move |location, line| parse(location, line, &defaults, &mut equal).map(ParsedLine::from))
}

fn parse(
    location: Location,
    text: &str,
    defaults: &Defaults,
    equal: &mut Occurrences,
) -> Result<Record, RefusalReason> {
    let line: Line<'_> = serde_json::from_str(text).map_err(RefusalReason::json)?;
    let id = line.id.ok_or(RefusalReason::Missing("id"))?;
    let counts = line.usage.ok_or(RefusalReason::Missing("usage"))?;
    let created = line.created.ok_or(RefusalReason::Missing("created"))?;
    let started_at = DateTime::from_timestamp(created, 0)
        .ok_or_else(|| RefusalReason::Time { field: "created", found: created.to_string() })?;
    let model = match (&line.model, &defaults.model) {
        (Some(model), _) => name("model", model)?,
        (None, Some(model)) => model.clone(),
        (None, None) => return Err(RefusalReason::Missing("model")),
    };
    let agent = match &line.run {
        Some(run) => AgentRef::new(Format::Autogpt, run, &format!("auto-gpt {run}")),
        None => default_agent(Format::Autogpt, defaults),
    };
    let task = line.challenge.and_then(|challenge| {
        let run = line.run.as_deref().unwrap_or_default();
        TaskRef::new(Format::Autogpt, &[run, &challenge], &challenge, agent.as_ref())
    });
    let (reported_cost, ignored) = reported_cost("cost.total_cost", line.cost.and_then(|cost| cost.total_cost));
    let facts = CallFacts {
        provider: defaults.provider.clone(),
        model: Some(model),
        usage: Usage::from_iter([
            (Meter::Input, quantity("usage.prompt_tokens", counts.prompt_tokens)?),
            (Meter::Output, quantity("usage.completion_tokens", counts.completion_tokens)?),
        ]),
        reported_cost,
        response_id: informative(Some(&id)),
        outcome: Some(Outcome::Ok),
        ..minimal_facts(CallKind::Llm, started_at, Format::Autogpt)?
    };
    // OpenAI made the ids, whichever provider sold the call.
    let key = CallKey::of_response("openai", line.model.as_deref().unwrap_or_default(), &id)
        .unwrap_or_else(|| CallKey::of_content(Format::Autogpt.as_str(), &[text], equal.count(text)));
    Ok(Record::new(location, key.call_id().into(), agent, task, facts).ignoring(ignored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format::Autogpt;
    use crate::formats::read_records;
    use crate::formats::testing::{into_records, records, refusals};
    use domain::Name;

    const LINE: &str = r#"{"run":"2023-09-24_04-20-58","challenge":"TestSearch","id":"chatcmpl-7QyqpwdfhqwajicI","created":1695554458,
        "model":"gpt-3.5-turbo-16k-0613","usage":{"prompt_tokens":3071,"completion_tokens":59,"total_tokens":3130},
        "cost":{"prompt_cost":0.009213,"completion_cost":0.000236,"total_cost":0.009448999999999999}}"#;

    /// The record on one line, with a piece of it replaced.
    fn with(piece: &str, by: &str) -> String {
        assert!(LINE.contains(piece), "{piece}");
        LINE.replace(piece, by).replace('\n', "")
    }

    #[test]
    fn a_line_is_a_call_of_a_run_for_a_challenge() {
        let found = records(Autogpt, with("", ""));
        let record = &found[0];
        assert_eq!(record.facts.started_at.to_rfc3339(), "2023-09-24T11:20:58+00:00");
        assert_eq!(
            (record.facts.usage.get(Meter::Input).get(), record.facts.usage.get(Meter::Output).get()),
            (3071, 59)
        );
        assert_eq!(record.facts.reported_cost.map(|cost| cost.amount.to_string()), Some("0.009449".to_owned()));
        assert_eq!(record.agent.as_ref().map(|agent| agent.name.as_str()), Some("auto-gpt 2023-09-24_04-20-58"));
        assert_eq!(record.task.as_ref().map(|task| task.title.as_str()), Some("TestSearch"));
    }

    #[test]
    fn each_run_has_its_own_tasks_and_a_call_has_one_id() {
        let lines = [with("", ""), with("04-20-58", "05-00-00"), with("TestSearch", "TestReadFile")].join("\n");
        let found = records(Autogpt, lines);
        let tasks: std::collections::BTreeSet<_> = found.iter().filter_map(|r| r.facts.task_id).collect();
        assert_eq!(tasks.len(), 3);
        assert!(found.iter().all(|record| record.call_ids == found[0].call_ids));
    }

    #[test]
    fn lines_whose_ids_only_count_the_responses_are_told_apart_by_content_and_occurrence() {
        let counted = |created: &str| with("chatcmpl-7QyqpwdfhqwajicI", "chatcmpl-0").replace("1695554458", created);
        let ids = |lines: &[String]| {
            let mut ids: Vec<_> =
                records(Autogpt, lines.join("\n")).into_iter().map(|record| record.call_ids).collect();
            ids.sort_unstable();
            ids
        };
        let (one, other) = (counted("1695554458"), counted("1695554459"));
        let found = ids(&[one.clone(), other.clone(), one.clone()]);
        assert_eq!(found.windows(2).filter(|pair| pair[0] == pair[1]).count(), 0);
        assert_eq!(found, ids(&[one.clone(), one, other]));
        // A unique id answers for its model only.
        let model = |name: &str| with("gpt-3.5-turbo-16k-0613", name);
        assert_eq!(ids(&[model("a"), model("a"), model("b")]).windows(2).filter(|pair| pair[0] == pair[1]).count(), 1);
    }

    #[test]
    fn defaults_apply_where_a_line_names_nothing() {
        let named = |text| Name::new(text).ok();
        let defaults =
            Defaults { model: named("m"), provider: named("azure"), agent: named("me"), ..Defaults::default() };
        let line = with(r#""run":"2023-09-24_04-20-58","#, "").replace("\"model\"", "\"other\"");
        let mut found = read_records(Autogpt, defaults, Box::new(std::io::Cursor::new(line))).unwrap();
        let record = into_records(found.next().unwrap()).remove(0).unwrap();
        assert_eq!(record.facts.model, named("m"));
        assert_eq!(record.facts.provider, named("azure"));
        assert_eq!(record.agent.map(|agent| agent.name), named("me"));
    }

    #[test]
    fn each_bad_line_is_refused_with_its_reason() {
        for (line, message) in [
            (with(r#""id":"chatcmpl-7QyqpwdfhqwajicI","#, ""), "line 1: id is missing"),
            (with(r#""created":1695554458,"#, ""), "line 1: created is missing"),
            (with("1695554458", "99999999999999"), "line 1: created is \"99999999999999\", which is not a time"),
            (with("\"usage\"", "\"used\""), "line 1: usage is missing"),
            (with("3071", "-1"), "line 1: usage.prompt_tokens: -1 is negative"),
            (with("3071", "1.5"), "line 1: not the JSON of this format: invalid type: floating point `1.5`"),
            (with("gpt-3.5-turbo-16k-0613", " "), "line 1: model: the text is empty"),
            (with("", "")[..100].to_owned(), "line 1: not the JSON of this format: EOF while parsing"),
            ("[1]".to_owned(), "line 1: not the JSON of this format: invalid"),
        ] {
            let found = refusals(Autogpt, &line);
            assert!(found.len() == 1 && found[0].starts_with(message), "{found:?} for {line}");
        }
    }

    #[test]
    fn a_cost_that_is_not_an_amount_does_not_cost_the_record_its_usage() {
        for (cost, reason) in [
            ("\"9.4e-3\"", "cost.total_cost: \"9.4e-3\" is not an amount"),
            ("-0.5", "cost.total_cost: -0.5 is negative"),
            ("{}", "cost.total_cost: \"{}\" is not an amount"),
        ] {
            let [record] = &records(Autogpt, with("0.009448999999999999", cost))[..] else { panic!("{cost}") };
            assert_eq!((record.facts.usage.get(Meter::Input).get(), record.facts.reported_cost), (3071, None));
            assert!(record.ignored.as_ref().unwrap().starts_with(reason), "{:?}", record.ignored);
        }
    }

    #[test]
    fn lines_after_a_truncated_line_are_read() {
        let text = [&with("", "")[..60], &with("", "")].join("\n");
        assert!(refusals(Autogpt, &text)[0].starts_with("line 1: "));
        assert_eq!(crate::formats::testing::read(Autogpt, text).len(), 2);
    }
}
