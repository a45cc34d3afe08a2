//! Mooncake's public traces of LLM inference: JSONL, one request per line.
//!
//! The traces are anonymised: they name no model, and their times are milliseconds since the start of the trace, which an
//! option gives. A call is identified by the content of its line, without that option, and the number of equal lines before
//! it. The ids of the blocks of the prompt (`hash_ids`) show which prompts begin alike; whether a cache had them is not
//! stated, so that no cache reads are reported. The format is described at
//! <https://github.com/kvcache-ai/Mooncake/blob/main/FAST25-release/traces/README.md>.

use super::json::Fields;
use super::lines::{LineRecords, Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{agent_or_format, minimal_facts};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::{Location, Record};
use chrono::{DateTime, TimeDelta, Utc};
use domain::call::{CallFacts, CallKind};
use domain::{Meter, Name, Usage};

pub(crate) const SPEC: Spec = Spec {
    format: Format::Mooncake,
    about: "Mooncake's public traces of LLM inference: JSONL with milliseconds, input length and output length",
    extensions: &["jsonl", "jsonl.gz"],
    identity: &[KeyKind::Content],
    recognises: |sketch| ["timestamp", "input_length", "output_length"].iter().all(|name| sketch.has(name)),
    open,
};

/// The number of different lines counted in each of two generations.
const MAX_COUNTED_LINES: usize = 1_000_000;

fn open(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let model = defaults.model.clone().ok_or(InputError::ModelNeeded(SPEC.format.as_str()))?;
    let start = defaults.started_at.ok_or(InputError::StartNeeded(SPEC.format.as_str()))?;
    let mut equal = Occurrences::new(MAX_COUNTED_LINES);
    Ok(LineRecords::boxed(lines, move |location, line| {
        parse(location, line, start, &model, &defaults, &mut equal).map(ParsedLine::from)
    }))
}

fn parse(
    location: Location,
    line: &str,
    start: DateTime<Utc>,
    model: &Name,
    defaults: &Defaults,
    equal: &mut Occurrences,
) -> Result<Record, RefusalReason> {
    let fields = Fields::parse(line)?;
    let count = |name| fields.count(name)?.ok_or(RefusalReason::Missing(name));
    let (offset_ms, input, output) = (count("timestamp")?, count("input_length")?, count("output_length")?);
    let at = i64::try_from(offset_ms.get()).ok().and_then(TimeDelta::try_milliseconds);
    let started_at = at.and_then(|offset| start.checked_add_signed(offset));
    let started_at =
        started_at.ok_or_else(|| RefusalReason::Time { field: "timestamp", found: offset_ms.to_string() })?;
    let facts = CallFacts {
        provider: defaults.provider.clone(),
        model: Some(model.clone()),
        usage: Usage::from_iter([(Meter::Input, input), (Meter::Output, output)]),
        ..minimal_facts(CallKind::Llm, started_at, Format::Mooncake)?
    };
    let blocks = fields.raw("hash_ids").map_or("", |blocks| blocks.get());
    let content = [offset_ms.to_string(), input.to_string(), output.to_string(), compact(blocks)];
    let content = content.each_ref().map(String::as_str);
    let call_ids = SPEC.call_ids(&Identifiers { content: &content, ..Identifiers::default() }, equal);
    Ok(Record::new(location, call_ids, agent_or_format(Format::Mooncake, defaults), None, facts))
}

/// JSON without blanks: the same list in another notation is the same.
fn compact(json: &str) -> String {
    json.chars().filter(|character| !character.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::read_records;
    use crate::formats::testing::{records, refusals};

    const LINES: &str = "{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n\
        {\"timestamp\":27000,\"input_length\":7322,\"output_length\":490,\"hash_ids\":[0,14]}\n\
        {\"timestamp\":27000,\"input_length\":7322,\"output_length\":490,\"hash_ids\":[0,14]}";

    #[test]
    fn a_line_is_a_call_at_an_offset_from_the_start_of_the_trace() {
        let found = records(Format::Mooncake, LINES);
        assert_eq!(found[1].facts.started_at - found[0].facts.started_at, TimeDelta::seconds(27));
        let usage = found[0].facts.usage;
        assert_eq!([Meter::Input, Meter::Output].map(|meter| usage.get(meter).get()), [6758, 500]);
        assert_ne!(found[1].call_ids, found[2].call_ids, "equal lines are as many calls");
        assert_eq!(found[0].agent.as_ref().map(|agent| agent.name.as_str()), Some("mooncake"));
    }

    #[test]
    fn the_model_and_the_start_are_options() {
        let open = |defaults| read_records(Format::Mooncake, defaults, Box::new(LINES.as_bytes())).err().unwrap();
        assert!(matches!(open(Defaults::default()), InputError::ModelNeeded("mooncake")));
        let defaults = Defaults { model: Name::new("m").ok(), ..Defaults::default() };
        assert!(open(defaults).to_string().contains("--at"));
        let bad = &refusals(Format::Mooncake, "{\"timestamp\":-1,\"input_length\":1,\"output_length\":1}")[0];
        assert!(bad.starts_with("line 1: timestamp: -1 is negative"), "{bad}");
    }
}
