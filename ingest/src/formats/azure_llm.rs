//! Azure's public traces of LLM inference: one row per call, with its time and its token counts.
//!
//! The traces are anonymised: they name no model, provider, agent or call. The model comes from the defaults, and all
//! calls belong to one agent. A call is identified by the content of its row and the number of equal rows before it in
//! its file: the same rows in another order, or in several files, are the same calls. The format is described at
//! <https://github.com/Azure/AzurePublicDataset/blob/master/AzureLLMInferenceDataset2023.md>; the traces of 2024 add a
//! time zone, and omit fractions of a second that are 0.

use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::values::{minimal_facts, quantity};
use crate::error::{InputError, RecordError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::formats::spec::{KeyKind, Spec};
use crate::record::{AgentRef, Location, Record};
use crate::text::{json_decimal, quoted};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::call::{CallFacts, CallKey, CallKind};
use domain::{Meter, Name, Quantity, Usage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";
const COLUMNS: usize = 3;

pub(crate) const SPEC: Spec = Spec {
    format: Format::AzureLlm,
    about: "Azure's public traces of LLM inference: CSV with time, context tokens and generated tokens",
    extensions: &["csv", "csv.gz"],
    identity: &[KeyKind::Content],
    recognises: |sketch| columns(&sketch.first_line).join(",") == HEADER,
    open,
};
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";
const TIME_WITH_ZONE_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f%:z";

/// Values that are the same for every row.
struct Shared {
    model: Name,
    provider: Option<Name>,
    agent: Option<AgentRef>,
}

pub(crate) fn open(mut lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let model = defaults.model.ok_or(InputError::ModelNeeded(SPEC.format.as_str()))?;
    check_header(&mut lines)?;
    let agent_name = defaults.agent.as_ref().map_or(Format::AzureLlm.as_str(), Name::as_str);
    let shared =
        Shared { model, provider: defaults.provider, agent: AgentRef::new(Format::AzureLlm, agent_name, agent_name) };
    let mut rows = Occurrences::new(MAX_COUNTED_ROWS);
    Ok(LineRecords::boxed(lines, move |location, line| parse(location, line, &shared, &mut rows).map(ParsedLine::from)))
}

/// The number of different rows counted in each of two generations: about 200 MB of memory in total. Equal rows have equal
/// times, and traces are ordered by time, so that rows counted long ago can be forgotten.
const MAX_COUNTED_ROWS: usize = 3_500_000;

fn check_header(lines: &mut Lines) -> Result<(), InputError> {
    let found = match lines.next() {
        Some(Ok((_, header))) if columns(header).join(",") == HEADER => return Ok(()),
        Some(Ok((_, other))) => quoted(other),
        Some(Err(RecordError::Refused(refusal))) => refusal.reason.to_string(),
        Some(Err(RecordError::Input(error))) => return Err(error),
        None => String::new(),
    };
    Err(InputError::Header { expected: HEADER, found })
}

fn parse(location: Location, line: &str, shared: &Shared, rows: &mut Occurrences) -> Result<Record, RefusalReason> {
    let columns = columns(line);
    let [time, input, output] = columns[..] else {
        return Err(RefusalReason::Columns { found: columns.len(), expected: COLUMNS });
    };
    let started_at = parse_time(time)?;
    let (input, output) = (count("ContextTokens", input)?, count("GeneratedTokens", output)?);
    let facts = CallFacts {
        provider: shared.provider.clone(),
        model: Some(shared.model.clone()),
        usage: Usage::from_iter([(Meter::Input, input), (Meter::Output, output)]),
        ..minimal_facts(CallKind::Llm, started_at, Format::AzureLlm)?
    };
    let content = [started_at.to_rfc3339(), input.get().to_string(), output.get().to_string()];
    let occurrence = rows.count(&content);
    let key = CallKey::of_content(Format::AzureLlm.as_str(), &content.each_ref().map(String::as_str), occurrence);
    Ok(Record::new(location, key.call_id().into(), shared.agent.clone(), None, facts))
}

/// The columns of a row. Spreadsheets write semicolons where the comma is the decimal sign, and quotes; none of the columns
/// holds either.
fn columns(line: &str) -> Vec<&str> {
    let separator = if line.contains(';') { ';' } else { ',' };
    line.split(separator).map(|column| column.trim().trim_matches('"').trim()).collect()
}

/// A time in UTC, or with a time zone.
fn parse_time(text: &str) -> Result<DateTime<Utc>, RefusalReason> {
    let plain = NaiveDateTime::parse_from_str(text, TIME_FORMAT).map(|time| time.and_utc());
    plain
        .or_else(|_| DateTime::parse_from_str(text, TIME_WITH_ZONE_FORMAT).map(|time| time.to_utc()))
        .map_err(|_| RefusalReason::Time { field: "TIMESTAMP", found: quoted(text) })
}

fn count(field: &'static str, text: &str) -> Result<Quantity, RefusalReason> {
    let number = json_decimal(text).filter(Decimal::is_integer).and_then(|number| number.to_i64());
    let number = number.ok_or_else(|| RefusalReason::NotACount { field, found: quoted(text) })?;
    quantity(field, Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format::AzureLlm;
    use crate::formats::read_records;
    use crate::formats::testing::{input_error, read, records, refusals};

    fn rows(rows: &str) -> String {
        format!("{HEADER}\r\n{rows}")
    }

    #[test]
    fn a_row_is_a_call_of_the_default_model() {
        let found = records(AzureLlm, rows("2023-11-16 18:17:03.9799600,4808,10\r\n\r\n2023-11-16 18:17:04,0,0\r\n"));
        assert_eq!(found.len(), 2);
        let (first, second) = (&found[0], &found[1]);
        assert_eq!((first.location, second.location), (Location::Line(2), Location::Line(4)));
        assert_eq!(first.facts.started_at.to_rfc3339(), "2023-11-16T18:17:03.979960+00:00");
        assert_eq!((first.facts.usage.get(Meter::Input).get(), first.facts.usage.get(Meter::Output).get()), (4808, 10));
        assert_eq!(first.facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
        assert_eq!(first.facts.provider, None, "no provider unless one is given");
        assert_eq!(first.agent.as_ref().map(|agent| agent.name.as_str()), Some("azure-llm"));
        assert_eq!(first.task, None);
    }

    #[test]
    fn equal_rows_are_different_calls() {
        let found = records(AzureLlm, rows("2023-11-16 18:17:03,1,2\n2023-11-16 18:17:03,1,2\n"));
        assert_ne!(found[0].call_ids, found[1].call_ids);
    }

    #[test]
    fn rows_are_identified_by_content_and_occurrence() {
        let (one, other) = ("2023-11-16 18:15:46.6805900,374,44\n", "2023-11-16 18:15:50.9951690,396,109\n");
        let ids = |text: &[&str]| {
            let mut ids: Vec<_> = records(AzureLlm, rows(&text.concat())).into_iter().map(|r| r.call_ids).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&[one, other]), ids(&[other, one]), "in any order");
        let mut apart = [ids(&[one]), ids(&[other])].concat();
        apart.sort_unstable();
        assert_eq!(ids(&[one, other]), apart, "in one file or in two");
        assert_eq!(ids(&[one, other, one]), ids(&[one, one, other]));
        assert_eq!(ids(&[one, one, one]).windows(2).filter(|pair| pair[0] == pair[1]).count(), 0);
    }

    #[test]
    fn times_may_have_a_zone_and_no_fraction() {
        let text = "2024-05-12 00:00:00.001163+00:00,1452,3\n2024-05-12 00:00:00+00:00,584,3\n\
                    2024-05-12 02:00:00.5+02:00,10,1";
        let times: Vec<_> =
            records(AzureLlm, rows(text)).iter().map(|record| record.facts.started_at.to_rfc3339()).collect();
        let right = ["2024-05-12T00:00:00.001163+00:00", "2024-05-12T00:00:00+00:00", "2024-05-12T00:00:00.500+00:00"];
        assert_eq!(times, right);
    }

    #[test]
    fn tables_that_a_spreadsheet_saved_are_read() {
        for content in [
            "\u{feff}TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03,4808,10",
            "TIMESTAMP;ContextTokens;GeneratedTokens\n2023-11-16 18:17:03;4808;10",
            "\"TIMESTAMP\",\"ContextTokens\",\"GeneratedTokens\"\n\"2023-11-16 18:17:03\",\"4808\",\"10\"",
            "TIMESTAMP, ContextTokens, GeneratedTokens\n2023-11-16 18:17:03, 4808, 10",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4808.0,10.0",
        ] {
            let found = records(AzureLlm, content);
            let plain = records(AzureLlm, rows("2023-11-16 18:17:03,4808,10"));
            assert_eq!((&found[0].facts, &found[0].call_ids), (&plain[0].facts, &plain[0].call_ids), "{content}");
        }
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
                "line 5: GeneratedTokens: -2 is negative; a quantity is 0 or more",
                "line 6: ContextTokens: 9007199254740992 is too large for a quantity; the limit is \
                 9007199254740991",
            ]
        );
        assert_eq!(read(AzureLlm, rows(bad)).iter().filter(|item| item.is_ok()).count(), 1);
    }

    #[test]
    fn an_unknown_header_is_shown_in_the_error() {
        for (content, shown) in [("", ""), ("a,b\n1,2", "a,b"), ("{\"id\":1}", "{\"id\":1}")] {
            let InputError::Header { found, expected: HEADER } = input_error(AzureLlm, content) else { panic!() };
            assert_eq!(found, shown);
        }
        assert!(matches!(input_error(AzureLlm, b"\xff\xfe"), InputError::Header { .. }));
    }

    #[test]
    fn without_a_default_model_the_error_names_the_option() {
        let error = read_records(AzureLlm, Defaults::default(), Box::new(std::io::empty())).err().unwrap();
        assert!(matches!(error, InputError::ModelNeeded("azure-llm")));
        assert!(error.to_string().contains("--model"));
    }
}
