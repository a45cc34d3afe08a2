//! Azure's public traces of LLM inference: one row a call, with its time and its token counts.
//!
//! The traces are anonymised: they name no model, no agent and no call. So the model comes from an option, all
//! calls belong to one agent, and a call is known by its row. The format is described beside the data, at
//! <https://github.com/Azure/AzurePublicDataset/blob/master/AzureLLMInferenceDataset2023.md>.

use super::input::{Lines, PerLine};
use super::values::{bare_facts, default_name, quoted, tokens};
use super::{AgentRef, Format, ImportError, Options, Place, Problem, Record, Records, RefusalReason};
use chrono::NaiveDateTime;
use domain::call::{CallFacts, CallKind};
use domain::{Name, Tokens, Usage};

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
const COLUMNS: usize = 3;
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// What holds for every row.
struct Common {
    model: Name,
    provider: Option<Name>,
    agent: Option<AgentRef>,
}

pub(super) fn open(mut lines: Lines, options: Options) -> Result<Records, ImportError> {
    let model = options.model.ok_or(ImportError::ModelNeeded)?;
    check_header(&mut lines)?;
    let agent_name = options.agent.as_ref().map_or(Format::AzureLlm.as_str(), Name::as_str);
    let common = Common {
        model,
        provider: default_name(options.provider, "openai"),
        agent: AgentRef::new(Format::AzureLlm, agent_name, agent_name),
    };
    let mut row = 0_u64;
    Ok(PerLine::boxed(lines, move |place, line| {
        row += 1;
        parse(place, line, row, &common).map(Some)
    }))
}

fn check_header(lines: &mut Lines) -> Result<(), ImportError> {
    let found = match lines.next() {
        Some(Ok((_, HEADER))) => return Ok(()),
        Some(Ok((_, other))) => quoted(other),
        Some(Err(Problem::Refused(refusal))) => refusal.reason.to_string(),
        Some(Err(Problem::Broken(error))) => return Err(error),
        None => String::new(),
    };
    Err(ImportError::Header { expected: HEADER, found })
}

fn parse(place: Place, line: &str, row: u64, common: &Common) -> Result<Record, RefusalReason> {
    let columns: Vec<&str> = line.split(',').collect();
    let [time, input, output] = columns[..] else {
        return Err(RefusalReason::Columns { found: columns.len(), expected: COLUMNS });
    };
    let started_at = NaiveDateTime::parse_from_str(time, TIME_FORMAT)
        .map_err(|_| RefusalReason::Time { field: "TIMESTAMP", found: quoted(time) })?
        .and_utc();
    let facts = CallFacts {
        provider: common.provider.clone(),
        model: Some(common.model.clone()),
        usage: Usage {
            input: count("ContextTokens", input)?,
            output: count("GeneratedTokens", output)?,
            ..Usage::default()
        },
        ..bare_facts(CallKind::Llm, started_at, Format::AzureLlm)?
    };
    let provider = common.provider.as_ref().map_or("", Name::as_str);
    let key = [provider, common.model.as_str(), &row.to_string(), time, input, output];
    Ok(Record::new(place, &key, common.agent.clone(), None, facts))
}

fn count(field: &'static str, text: &str) -> Result<Tokens, RefusalReason> {
    let number: i64 = text.parse().map_err(|_| RefusalReason::NotACount { field, found: quoted(text) })?;
    tokens(field, Some(number))
}
