//! Logs of Inspect, as JSON or as an archive (`.eval`): the calls are the `model` events of each sample.
//!
//! An event states the usage of its call, and often holds the response with the id that the provider gave it, which
//! identifies the call; else its own id does, in its sample. A response that Inspect had from its own cache is no call. Whether
//! cached tokens are inside the input depends on the provider and the version; the total tells. The sums of a log over its
//! models are not read: they repeat the events.

use super::counts::{Cached, Counts};
use super::document::{Found, MAX_DOCUMENT_BYTES, as_text, read_bytes};
use super::json::{self, Fields};
use super::lines::{Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{any_time, default_agent, informative, minimal_facts, model, provider, seconds_as_ms, start};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::{AgentRef, Location, Record, TaskRef};
use crate::text::clipped_error;
use domain::call::{CallFacts, CallKind, Outcome};
use domain::{Quantity, Usage};
use std::io::{Cursor, Read};
use zip::ZipArchive;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Inspect,
    about: "Logs of Inspect: JSON, or archives (.eval)",
    extensions: &["json", "eval", "json.gz"],
    identity: &[KeyKind::Response, KeyKind::Request, KeyKind::Content],
    recognises: |sketch| sketch.is_zip || sketch.has("eval.task") && sketch.has("version"),
    open,
};

/// The maximum number of files in an archive.
const MAX_ENTRIES: usize = 100_000;
/// The maximum size of all files of an archive that are read, in bytes, decompressed: 4 GiB.
const MAX_ARCHIVE_BYTES: usize = 4 * 1024 * 1024 * 1024;
/// The number of different events without ids that are counted in each of two generations.
const MAX_COUNTED_EVENTS: usize = 100_000;

fn open(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let bytes = read_bytes(&mut lines.into_reader())?;
    let mut log = Log { found: Found::default(), equal: Occurrences::new(MAX_COUNTED_EVENTS), defaults };
    if bytes.starts_with(b"PK") {
        log.read_archive(bytes)?;
    } else {
        let text = as_text(bytes)?;
        let document: Fields<'_> = serde_json::from_str(&text).map_err(InputError::json)?;
        let Some(evaluation) = document.object("eval") else {
            return Err(InputError::NotOfFormat { format: SPEC.format.as_str(), expected: "eval" });
        };
        let evaluation = Evaluation::of(&evaluation);
        for sample in document.items("samples").unwrap_or_default() {
            log.read_sample(&evaluation, sample.get())?;
        }
    }
    Ok(log.found.into_records())
}

/// What calls take from the evaluation that they are a part of.
#[derive(Default)]
struct Evaluation {
    id: String,
    task: String,
}

impl Evaluation {
    fn of(evaluation: &Fields<'_>) -> Self {
        let text = |names: &[&str]| evaluation.first_text(names).map(String::from).unwrap_or_default();
        Self { id: text(&["eval_id", "run_id"]), task: text(&["task"]) }
    }
}

/// A log that is read.
struct Log {
    found: Found,
    equal: Occurrences,
    defaults: Defaults,
}

impl Log {
    fn read_archive(&mut self, bytes: Vec<u8>) -> Result<(), InputError> {
        let damaged = |error: zip::result::ZipError| InputError::Archive(error.to_string());
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if archive.len() > MAX_ENTRIES {
            return Err(InputError::Archive(format!("it has more than {MAX_ENTRIES} files")));
        }
        let names: Result<Vec<String>, _> = archive.file_names().map(|name| name.map(String::from)).collect();
        let mut names = names.map_err(damaged)?;
        names.sort_unstable();
        let mut left_bytes = MAX_ARCHIVE_BYTES;
        let mut read = |name: &str| -> Result<String, InputError> {
            let entry = archive.by_name(name).map_err(damaged)?;
            let mut content = Vec::new();
            let limit = left_bytes.min(MAX_DOCUMENT_BYTES);
            entry
                .take(limit as u64 + 1)
                .read_to_end(&mut content)
                .map_err(|error| InputError::Archive(error.to_string()))?;
            if content.len() > limit {
                return Err(InputError::Archive(format!("{name} exceeds the {limit} bytes that are left")));
            }
            left_bytes -= content.len();
            as_text(content)
        };
        // A log that was not completed has no header, but the one that it began with.
        let header =
            ["header.json", "_journal/start.json"].into_iter().find(|header| names.iter().any(|name| name == header));
        let header = header.ok_or(InputError::NotOfFormat { format: SPEC.format.as_str(), expected: "header.json" })?;
        let header = read(header)?;
        let header: Fields<'_> = serde_json::from_str(&header).map_err(InputError::json)?;
        let evaluation = header.object("eval").as_ref().map(Evaluation::of).unwrap_or_default();
        for name in names.iter().filter(|name| name.starts_with("samples/") && name.ends_with(".json")) {
            let sample = read(name)?;
            self.read_sample(&evaluation, &sample)?;
        }
        Ok(())
    }

    fn read_sample(&mut self, evaluation: &Evaluation, text: &str) -> Result<(), InputError> {
        let sample: Fields<'_> = serde_json::from_str(text).map_err(InputError::json)?;
        let plain =
            |name: &str| sample.raw(name).map(|raw| json::text(raw).map_or_else(|| raw.get().to_owned(), String::from));
        let (id, epoch) = (plain("id").unwrap_or_default(), plain("epoch").unwrap_or_default());
        let own_id = plain("uuid").unwrap_or_else(|| format!("{}/{id}/{epoch}", evaluation.id));
        let of_sample = Sample { evaluation, id: &id, epoch: &epoch, own_id: &own_id };
        for event in sample.items("events").unwrap_or_default() {
            let location = self.found.next_item();
            let item = of_sample.record(location, event.get(), &self.defaults, &mut self.equal);
            self.found.add(location, item)?;
        }
        Ok(())
    }
}

/// The sample that an event belongs to.
struct Sample<'a> {
    evaluation: &'a Evaluation,
    id: &'a str,
    epoch: &'a str,
    own_id: &'a str,
}

impl Sample<'_> {
    fn record(
        &self,
        location: Location,
        text: &str,
        defaults: &Defaults,
        equal: &mut Occurrences,
    ) -> Result<ParsedLine, RefusalReason> {
        let event = Fields::parse(text)?;
        if event.text("event").as_deref() != Some("model") || event.text("cache").as_deref() == Some("read") {
            return Ok(ParsedLine::NotACall);
        }
        let output = event.object("output");
        let usage = output.as_ref().and_then(|output| output.object("usage"));
        let error = event.first_text(&["error"]).or_else(|| output.as_ref()?.first_text(&["error"]));
        if usage.is_none() && error.is_none() {
            return Ok(ParsedLine::NotACall);
        }
        let called = event.first_text(&["model"]).map(String::from).unwrap_or_default();
        // Inspect writes the provider before the model.
        let (named_provider, requested) = called.split_once('/').unwrap_or(("", &called));
        let answered = output.as_ref().and_then(|output| output.first_text(&["model"]));
        let named_model = answered.as_deref().unwrap_or(requested);
        let response = event.at(&["call", "response"]);
        let response_id = response.as_ref().and_then(|response| response.first_text(&["id", "responseId"]));
        let stated = event.first_text(&["timestamp"]).map(|text| any_time("timestamp", &text)).transpose()?;
        let time = output.as_ref().and_then(|output| output.raw("time")).or_else(|| event.raw("working_time"));
        let facts = CallFacts {
            provider: provider("model", Some(named_provider), defaults)?,
            model: Some(model("output.model", Some(named_model), defaults)?),
            usage: usage.as_ref().map_or(Ok(Usage::default()), usage_of)?,
            latency_ms: seconds_as_ms(time),
            outcome: Some(if error.is_some() { Outcome::Error } else { Outcome::Ok }),
            error: error.as_deref().and_then(clipped_error),
            response_id: informative(response_id.as_deref()),
            record_id: informative(event.first_text(&["uuid"]).as_deref()),
            ..minimal_facts(CallKind::Llm, start("timestamp", stated, defaults)?, Format::Inspect)?
        };
        let own_id = event.first_text(&["uuid"]);
        let identifiers = Identifiers {
            provider: named_provider,
            model: named_model,
            response_id: response_id.as_deref(),
            request: own_id.as_deref().map(|id| (self.own_id, id)),
            content: &[self.own_id, text],
            ..Identifiers::default()
        };
        let call_ids = SPEC.call_ids(&identifiers, equal);
        let task = &self.evaluation.task;
        let agent = AgentRef::new(Format::Inspect, task, task).or_else(|| default_agent(Format::Inspect, defaults));
        let title = format!("{task}, sample {} epoch {}", self.id, self.epoch);
        let sample = TaskRef::new(Format::Inspect, &[self.own_id], &title, agent.as_ref());
        Ok(Record::new(location, call_ids, agent, sample, facts).into())
    }
}

fn usage_of(usage: &Fields<'_>) -> Result<Usage, RefusalReason> {
    let count = |name| usage.first_count(&[name]);
    let counts = Counts {
        input: count("input_tokens")?,
        output: count("output_tokens")?,
        cache_read: count("input_tokens_cache_read")?,
        cache_write_5min: count("input_tokens_cache_write")?,
        reasoning: count("reasoning_tokens")?,
        total: usage.count("total_tokens")?.filter(|total| *total > Quantity::ZERO),
        ..Counts::default()
    };
    counts.usage(Cached::ByTotal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, input_error, records, totals};
    use domain::{Meter, Name};
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn event(more: &str, id: &str) -> String {
        format!(
            r#"{{"event":"model","timestamp":"2025-05-12T20:27:44.081606-04:00","model":"openai/gpt-4o-mini",{more}"tools":7,
            "output":{{"model":"gpt-4o-mini-2024-07-18","time":0.796934625133872,"usage":{{"input_tokens":1568,"output_tokens":17,
            "total_tokens":1585,"input_tokens_cache_read":1024,"reasoning_tokens":0}}}},"call":{{"response":{{"id":"{id}"}}}}}}"#
        )
        .replace('\n', "")
    }

    const UNIQUE: &str = "chatcmpl-BWXmipTxD4cDLdyOstlMxEDCtd0dj";

    fn sample(id: u32, events: &[String]) -> String {
        format!(r#"{{"id":{id},"epoch":1,"uuid":"G7qmTyE6WB9wLq6GAv5w9{id}","events":[{}]}}"#, events.join(","))
    }

    const EVALUATION: &str = r#"{"eval_id":"VnKtvCqGnnegLQ7qSBFDzx","task":"browser"}"#;

    fn document(samples: &[String]) -> String {
        format!(r#"{{"version":2,"status":"success","eval":{EVALUATION},"samples":[{}]}}"#, samples.join(","))
    }

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn a_log_and_its_archive_have_the_same_calls() {
        let samples = [sample(1, &[event("", UNIQUE), event(r#""cache":"read","#, "x")]), sample(2, &[event("", "0")])];
        let header = format!(r#"{{"version":2,"eval":{EVALUATION}}}"#);
        let files = [
            ("header.json", header.as_str()),
            ("samples/1_epoch_1.json", &samples[0]),
            ("samples/2_epoch_1.json", &samples[1]),
        ];
        let found = records(Format::Inspect, document(&samples));
        assert_eq!(found, records(Format::Inspect, archive(&files)));
        let right = [(Meter::Input, 1088), (Meter::Output, 34), (Meter::CacheRead, 2048)];
        assert_eq!(totals(calls(&found).values()), right);
        let facts = &found[0].facts;
        let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!([&facts.provider, &facts.model].map(text), ["openai", "gpt-4o-mini-2024-07-18"]);
        assert_eq!(facts.latency_ms, Some(796));
        assert_eq!(found[0].task.as_ref().map(|task| task.title.as_str()), Some("browser, sample 1 epoch 1"));
    }

    #[test]
    fn damaged_and_foreign_archives_are_refused() {
        let error = |bytes: Vec<u8>| input_error(Format::Inspect, bytes).to_string();
        let whole = archive(&[("header.json", "{}")]);
        assert!(error(whole[..whole.len() - 30].to_vec()).starts_with("the archive cannot be read"));
        assert!(error(archive(&[("other.json", "{}")])).contains("header.json is missing"));
        assert!(error(b"PK".to_vec()).starts_with("the archive cannot be read"));
        assert!(error(b"{}".to_vec()).contains("eval is missing"));
        let bomb = "0".repeat(MAX_DOCUMENT_BYTES + 1);
        let bomb = archive(&[("header.json", "{}"), ("samples/1.json", &bomb)]);
        assert!(error(bomb).contains("samples/1.json exceeds"));
    }
}
