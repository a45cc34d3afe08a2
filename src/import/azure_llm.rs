//! Azure's public traces of LLM inference: one row a call, with its time and its token counts.
//!
//! The traces are anonymised: they name no model, no provider, no agent and no call. So the model comes from an option,
//! all calls belong to one agent, and a call is known by what its row says, and by how many equal rows stand before it
//! in its file: the same rows in another order, or in several files, are the same calls. The format is described beside
//! the data, at <https://github.com/Azure/AzurePublicDataset/blob/master/AzureLLMInferenceDataset2023.md>; the traces of
//! 2024 write the zone of their times, and no fraction where it is 0.

use super::input::{Lines, Parsed, PerLine};
use super::values::{bare_facts, quoted, tokens};
use super::{AgentRef, Format, ImportError, Options, Place, Problem, Record, Records, RefusalReason};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::call::{CallFacts, CallKind};
use domain::{Name, Tokens, Usage};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
const COLUMNS: usize = 3;
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";
const TIME_WITH_ZONE_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f%:z";

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
    let common =
        Common { model, provider: options.provider, agent: AgentRef::new(Format::AzureLlm, agent_name, agent_name) };
    let mut seen = SeenRows::new(MAX_SEEN_ROWS);
    Ok(PerLine::boxed(lines, move |place, line| parse(place, line, &common, &mut seen).map(Parsed::from)))
}

/// Rows of which it is remembered how often they occurred, in each of two generations: about 150 MB of memory in all.
const MAX_SEEN_ROWS: usize = 3_500_000;

/// How often each row occurred until now.
///
/// Equal rows have equal times, and traces are in the order of time. So what was seen long ago is forgotten: of two
/// generations, the older one goes when the younger one is full.
struct SeenRows {
    limit: usize,
    young: HashMap<u64, u32>,
    old: HashMap<u64, u32>,
}

impl SeenRows {
    fn new(limit: usize) -> Self {
        Self { limit, young: HashMap::new(), old: HashMap::new() }
    }

    /// Counts a row; returns how many equal ones there were before.
    fn count(&mut self, row: &(DateTime<Utc>, Tokens, Tokens)) -> u32 {
        let (started_at, input, output) = row;
        let mut hasher = DefaultHasher::new();
        (started_at, input.get(), output.get()).hash(&mut hasher);
        let hash = hasher.finish();
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        let before = self.young.get(&hash).or_else(|| self.old.get(&hash)).copied().unwrap_or(0);
        self.young.insert(hash, before.saturating_add(1));
        before
    }
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

fn parse(place: Place, line: &str, common: &Common, seen: &mut SeenRows) -> Result<Record, RefusalReason> {
    let columns: Vec<&str> = line.split(',').collect();
    let [time, input, output] = columns[..] else {
        return Err(RefusalReason::Columns { found: columns.len(), expected: COLUMNS });
    };
    let started_at = moment(time)?;
    let (input, output) = (count("ContextTokens", input)?, count("GeneratedTokens", output)?);
    let facts = CallFacts {
        provider: common.provider.clone(),
        model: Some(common.model.clone()),
        usage: Usage { input, output, ..Usage::default() },
        ..bare_facts(CallKind::Llm, started_at, Format::AzureLlm)?
    };
    let occurrence = seen.count(&(started_at, input, output)).to_string();
    let (time, input, output) = (started_at.to_rfc3339(), input.get().to_string(), output.get().to_string());
    let key = [Format::AzureLlm.as_str(), &time, &input, &output, &occurrence];
    Ok(Record::new(place, &key, common.agent.clone(), None, facts))
}

/// A time in UTC, or with its zone.
fn moment(text: &str) -> Result<DateTime<Utc>, RefusalReason> {
    let plain = NaiveDateTime::parse_from_str(text, TIME_FORMAT).map(|time| time.and_utc());
    plain
        .or_else(|_| DateTime::parse_from_str(text, TIME_WITH_ZONE_FORMAT).map(|time| time.to_utc()))
        .map_err(|_| RefusalReason::Time { field: "TIMESTAMP", found: quoted(text) })
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
        assert_eq!(first.facts.provider, None, "no provider that nobody named");
        assert_eq!(first.agent.as_ref().map(|agent| agent.name.as_str()), Some("azure-llm"));
        assert_eq!(first.task, None);
    }

    #[test]
    fn equal_rows_are_different_calls() {
        let found = records(AzureLlm, rows("2023-11-16 18:17:03,1,2\n2023-11-16 18:17:03,1,2\n"));
        assert_ne!(found[0].call_id, found[1].call_id);
    }

    #[test]
    fn rows_are_told_apart_by_what_they_say_and_how_often() {
        let (one, other) = ("2023-11-16 18:15:46.6805900,374,44\n", "2023-11-16 18:15:50.9951690,396,109\n");
        let ids = |text: &[&str]| {
            let mut ids: Vec<_> = records(AzureLlm, rows(&text.concat())).iter().map(|r| r.call_id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&[one, other]), ids(&[other, one]), "whatever their order");
        let mut apart = [ids(&[one]), ids(&[other])].concat();
        apart.sort_unstable();
        assert_eq!(ids(&[one, other]), apart, "in one file or in two");
        assert_eq!(ids(&[one, other, one]), ids(&[one, one, other]));
        assert_eq!(ids(&[one, one, one]).windows(2).filter(|pair| pair[0] == pair[1]).count(), 0);
    }

    #[test]
    fn how_often_a_row_was_seen_is_remembered_in_bounded_memory() {
        let row = |n: u64| (DateTime::from_timestamp_nanos(0), Tokens::new(n).unwrap(), Tokens::default());
        let mut seen = SeenRows::new(100);
        assert_eq!((seen.count(&row(1)), seen.count(&row(1)), seen.count(&row(1))), (0, 1, 2));
        for n in 2..100_u64 {
            assert_eq!((seen.count(&row(n)), seen.count(&row(1))), (0, u32::try_from(n).unwrap() + 1));
        }
        for n in 1_000..10_000 {
            seen.count(&row(n));
            assert!(seen.young.len() + seen.old.len() <= 200);
        }
    }

    #[test]
    fn times_of_the_traces_of_2024_have_a_zone_and_perhaps_no_fraction() {
        let text = "2024-05-12 00:00:00.001163+00:00,1452,3\n2024-05-12 00:00:00+00:00,584,3\n\
                    2024-05-12 02:00:00.5+02:00,10,1";
        let times: Vec<_> =
            records(AzureLlm, rows(text)).iter().map(|record| record.facts.started_at.to_rfc3339()).collect();
        let right = ["2024-05-12T00:00:00.001163+00:00", "2024-05-12T00:00:00+00:00", "2024-05-12T00:00:00.500+00:00"];
        assert_eq!(times, right);
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
