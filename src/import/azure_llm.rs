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
    Ok(PerLine::boxed(lines, move |place, line| parse(place, line, &common).map(Some)))
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

fn parse(place: Place, line: &str, common: &Common) -> Result<Record, RefusalReason> {
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
    let key = [provider, common.model.as_str(), &place.to_string(), time, input, output];
    Ok(Record::new(place, &key, common.agent.clone(), None, facts))
}

fn count(field: &'static str, text: &str) -> Result<Tokens, RefusalReason> {
    let number: i64 = text.parse().map_err(|_| RefusalReason::NotACount { field, found: quoted(text) })?;
    tokens(field, Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::{broken, read, records, refusals};
    use crate::import::{Format::AzureLlm, open};

    fn rows(rows: &str) -> String {
        format!("{HEADER}\r\n{rows}")
    }

    #[test]
    fn a_row_is_a_call_of_the_model_in_the_options() {
        let found = records(AzureLlm, rows("2023-11-16 18:17:03.9799600,4808,10\r\n\r\n2023-11-16 18:17:04,0,0\r\n"));
        assert_eq!(found.len(), 2);
        let (first, second) = (&found[0], &found[1]);
        assert_eq!((first.place, second.place), (Place::Line(2), Place::Line(4)));
        assert_eq!(first.facts.started_at.to_rfc3339(), "2023-11-16T18:17:03.979960+00:00");
        assert_eq!((first.facts.usage.input.get(), first.facts.usage.output.get()), (4808, 10));
        assert_eq!(first.facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
        assert_eq!(first.facts.provider.as_ref().map(Name::as_str), Some("openai"));
        assert_eq!(first.agent.as_ref().map(|agent| agent.name.as_str()), Some("azure-llm"));
        assert_eq!(first.task, None);
    }

    #[test]
    fn equal_rows_are_different_calls() {
        let found = records(AzureLlm, rows("2023-11-16 18:17:03,1,2\n2023-11-16 18:17:03,1,2\n"));
        assert_ne!(found[0].call_id, found[1].call_id);
    }

    #[test]
    fn each_bad_row_is_refused_with_its_reason() {
        let bad = "2023-11-16 18:17:03,1\n2023-11-16T18:17:03,1,2\n2023-11-16 18:17:03,x,2\n\
                   2023-11-16 18:17:03,1,-2\n2023-11-16 18:17:03,9007199254740992,2\n2023-11-16 18:17:03,1,2";
        let found = refusals(AzureLlm, rows(bad));
        assert_eq!(
            found,
            [
                "line 2: 2 columns instead of 3",
                "line 3: TIMESTAMP is \"2023-11-16T18:17:03\", which is not a time of this format",
                "line 4: ContextTokens is \"x\", which is not a whole number",
                "line 5: GeneratedTokens: -2 is negative; a token count is 0 or more",
                "line 6: ContextTokens: 9007199254740992 is too large for a token count; the limit is \
                 9007199254740991",
            ]
        );
        assert_eq!(read(AzureLlm, rows(bad)).iter().filter(|item| item.is_ok()).count(), 1);
    }

    #[test]
    fn another_header_is_named() {
        for (content, shown) in [("", ""), ("a,b\n1,2", "a,b"), ("{\"id\":1}", "{\"id\":1}")] {
            let ImportError::Header { found, expected: HEADER } = broken(AzureLlm, content) else { panic!() };
            assert_eq!(found, shown);
        }
        assert!(matches!(broken(AzureLlm, b"\xff\xfe"), ImportError::Header { .. }));
    }

    #[test]
    fn the_model_is_needed_and_the_message_says_how() {
        let error = open(AzureLlm, Options::default(), Box::new(std::io::empty())).err().unwrap();
        assert!(matches!(error, ImportError::ModelNeeded));
        assert!(error.to_string().contains("--model"));
    }
}
