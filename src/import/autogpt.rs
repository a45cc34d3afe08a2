//! Calls of Auto-GPT's benchmark runs: JSONL, one answered completion of OpenAI a line.
//!
//! Each run of the benchmark works through many challenges. A run becomes an agent, and a challenge within a run
//! becomes a task. The recorded cost was computed in floats and is kept as a reported cost; what the call is
//! charged comes from the price book.

use super::input::{Lines, PerLine};
use super::values::{bare_facts, default_name, name, named_agent, reported_cost, tokens};
use super::{AgentRef, Format, ImportError, Options, Place, Record, Records, RefusalReason, TaskRef};
use chrono::DateTime;
use domain::call::{CallFacts, CallKind};
use domain::{Name, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Line<'a> {
    id: Option<String>,
    /// Seconds since 1970.
    created: Option<i64>,
    model: Option<String>,
    usage: Option<Counts>,
    #[serde(borrow)]
    cost: Option<Cost<'a>>,
    run: Option<String>,
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

pub(super) fn open(lines: Lines, options: Options) -> Result<Records, ImportError> {
    let options = Options { provider: default_name(options.provider, "openai"), ..options };
    Ok(PerLine::boxed(lines, move |place, line| parse(place, line, &options).map(Some)))
}

fn parse(place: Place, line: &str, options: &Options) -> Result<Record, RefusalReason> {
    let line: Line<'_> = serde_json::from_str(line).map_err(RefusalReason::Json)?;
    let id = line.id.ok_or(RefusalReason::Missing("id"))?;
    let counts = line.usage.ok_or(RefusalReason::Missing("usage"))?;
    let created = line.created.ok_or(RefusalReason::Missing("created"))?;
    let started_at = DateTime::from_timestamp(created, 0)
        .ok_or_else(|| RefusalReason::Time { field: "created", found: created.to_string() })?;
    let model = match (&line.model, &options.model) {
        (Some(model), _) => name("model", model)?,
        (None, Some(model)) => model.clone(),
        (None, None) => return Err(RefusalReason::Missing("model")),
    };
    let agent = match &line.run {
        Some(run) => AgentRef::new(Format::Autogpt, run, &format!("auto-gpt {run}")),
        None => named_agent(Format::Autogpt, options),
    };
    let task = line.challenge.and_then(|challenge| {
        let run = line.run.as_deref().unwrap_or_default();
        TaskRef::new(Format::Autogpt, &[run, &challenge], &challenge, agent.as_ref())
    });
    let facts = CallFacts {
        provider: options.provider.clone(),
        model: Some(model),
        usage: Usage {
            input: tokens("usage.prompt_tokens", counts.prompt_tokens)?,
            output: tokens("usage.completion_tokens", counts.completion_tokens)?,
            ..Usage::default()
        },
        reported_cost: reported_cost("cost.total_cost", line.cost.and_then(|cost| cost.total_cost))?,
        ..bare_facts(CallKind::Llm, started_at, Format::Autogpt)?
    };
    let provider = options.provider.as_ref().map_or("", Name::as_str);
    Ok(Record::new(place, &[provider, &id], agent, task, facts))
}
