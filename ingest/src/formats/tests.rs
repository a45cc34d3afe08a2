//! What holds for every format, shown with the samples.

use super::read_records;
use super::testing::*;
use crate::error::RecordError;
use crate::format::{Defaults, Format};
use crate::prices::builtin;
use crate::record::Record;
use chrono::DateTime;
use domain::call::{Call, CallCommand, CallIds, CallKind, Reporters};
use domain::price_book::{PriceBook, PriceBookCommand, PriceSource};
use domain::tag_keys::TagKeys;
use domain::{Aggregate, EventCodec, ImportId, Meter, Money, Name, TaskId, Usage};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SAMPLES: [(Format, &[u8]); 4] = [
    (Format::AzureLlm, include_bytes!("../../../samples/azure-llm.csv")),
    (Format::Autogpt, include_bytes!("../../../samples/autogpt.jsonl")),
    (Format::ClaudeCode, include_bytes!("../../../samples/claude-code.jsonl")),
    (Format::Otlp, include_bytes!("../../../samples/otlp.json")),
];

/// Another program computed the sums in `samples/README.md`.
#[test]
fn the_samples_have_the_documented_totals() {
    let llm = |format| {
        let sample = SAMPLES.into_iter().find(|(other, _)| *other == format).unwrap().1;
        let mut records = records(format, sample);
        records.retain(|record| record.facts.kind == CallKind::Llm);
        let calls = calls(&records);
        (records.len(), calls.len(), totals(calls.values()))
    };
    let sums = |counts: [u64; 5]| -> Vec<(Meter, u64)> {
        let meters = [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min, Meter::Reasoning];
        meters.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    };
    assert_eq!(llm(Format::AzureLlm), (60, 60, sums([179_439, 10_824, 0, 0, 0])));
    assert_eq!(llm(Format::Autogpt), (37, 37, sums([127_736, 4_906, 0, 0, 0])));
    assert_eq!(llm(Format::ClaudeCode), (19, 13, sums([91, 3_701, 182_612, 32_417, 0])));
    assert_eq!(llm(Format::Otlp), (22, 22, sums([46_515, 4_951, 7_424, 1_280, 418])));
}

/// The mean length of the payload of `call.recorded`, in bytes, at the shipped prices, as an import writes it. All that is read of
/// a log and sent to Kafka grows with it.
#[test]
fn the_events_of_calls_are_small() {
    let book = PriceBookCommand::Set {
        prices: builtin().unwrap().prices,
        source: PriceSource::named(Name::new("test").unwrap()),
        at: DateTime::UNIX_EPOCH,
    };
    let events = PriceBook::default().decide(book).unwrap();
    let prices = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
    let import_id = ImportId(uuid::Uuid::from_u128(7));
    for ((format, sample), max_mean_bytes) in SAMPLES.into_iter().zip([450, 650, 950, 850]) {
        let mut calls = BTreeSet::new();
        let mut records = records(format, sample);
        records.retain(|record| record.facts.kind == CallKind::Llm && calls.insert(record.call_ids.clone()));
        let bytes = |record: &Record| {
            let command = CallCommand::Report {
                facts: record.facts.clone(),
                prices: prices.clone(),
                tag_keys: TagKeys::default(),
                reported_by: Reporters::of(Some(import_id)),
            };
            let recorded = Call::default().decide(command).unwrap().remove(0);
            (Call::ABRIDGED.unwrap().abridge)(recorded, import_id.0).encode().unwrap().len()
        };
        let mean = records.iter().map(bytes).sum::<usize>() / records.len();
        assert!(mean <= max_mean_bytes, "{format:?}: {mean} bytes, more than {max_mean_bytes}");
    }
}

#[test]
fn the_samples_name_their_agents_tasks_tools_and_costs() {
    let of = |at: usize| records(SAMPLES[at].0, SAMPLES[at].1);
    let agents = |records: &[Record]| -> BTreeSet<String> {
        records.iter().filter_map(|record| record.agent.as_ref()).map(|agent| agent.name.to_string()).collect()
    };
    let tasks = |records: &[Record]| -> BTreeSet<TaskId> {
        records.iter().filter_map(|record| record.task.as_ref()).map(|task| task.id).collect()
    };
    let (azure, autogpt, claude_code, otlp) = (of(0), of(1), of(2), of(3));
    assert_eq!(agents(&azure), ["azure-llm".to_owned()].into());
    assert_eq!(tasks(&azure), BTreeSet::new());
    let runs = ["auto-gpt 2023-10-02_09-14-05", "auto-gpt 2023-10-02_11-40-52"];
    assert_eq!(agents(&autogpt), runs.map(str::to_owned).into());
    assert_eq!(tasks(&autogpt).len(), 9);
    let reported = autogpt.iter().filter_map(|record| record.facts.reported_cost);
    let reported = reported.fold(Money::ZERO, |sum, cost| sum.checked_add(cost.amount).unwrap());
    assert_eq!(reported.to_string(), "0.402832");
    assert_eq!(agents(&claude_code), ["claude-code 7d3f0c52".to_owned()].into());
    assert_eq!(tasks(&claude_code).len(), 1);
    let names = ["order-helper", "refund-clerk", "triage", "writer"];
    assert_eq!(agents(&otlp), names.map(str::to_owned).into());
    assert_eq!(tasks(&otlp).len(), 4);
    let tools: Vec<_> = otlp.iter().filter(|record| record.facts.kind == CallKind::Tool).collect();
    assert_eq!(tools.len(), 16);
    assert!(tools.iter().all(|record| record.facts.usage == Usage::default()));
    assert_eq!(tools.iter().filter(|record| record.facts.error.is_some()).count(), 1);
}

#[test]
fn every_record_carries_the_ids_of_its_agent_and_task() {
    for (format, sample) in SAMPLES {
        for record in records(format, sample) {
            assert_eq!(record.facts.agent_id, record.agent.as_ref().map(|agent| agent.id));
            assert_eq!(record.facts.task_id, record.task.as_ref().map(|task| task.id));
            assert_eq!(record.facts.source.as_str(), format.as_str());
        }
    }
}

#[test]
fn a_file_read_twice_gives_the_same_records() {
    for (format, sample) in SAMPLES {
        assert_eq!(records(format, sample), records(format, sample));
    }
}

/// A default provider or model may be wrong the first time.
#[test]
fn defaults_never_change_the_id_of_a_call() {
    let named = |text| Name::new(text).ok();
    for (format, sample) in SAMPLES {
        let ids = |defaults: Defaults| -> Vec<CallIds> {
            let records = read_records(format, defaults, Box::new(sample)).unwrap();
            records.flat_map(into_records).map(|record| record.unwrap().call_ids).collect()
        };
        let plain = ids(defaults());
        for other in [
            Defaults { provider: named("bedrock"), ..defaults() },
            Defaults { model: named("another"), ..defaults() },
            Defaults { agent: named("another"), ..defaults() },
        ] {
            assert_eq!(ids(other), plain, "{format:?}");
        }
    }
}

/// A small document of each format without a sample.
const DOCUMENTS: [(Format, &str); 10] = [
    (
        Format::Codex,
        "{\"timestamp\":\"2025-10-01T12:00:00Z\",\"type\":\"session_meta\",\"payload\":{\"id\":\"s\"}}\n\
         {\"timestamp\":\"2025-10-01T12:00:01Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":\
         {\"total_token_usage\":{\"input_tokens\":9,\"output_tokens\":1}}}}",
    ),
    (Format::Csv, "time,input,output\n2025-05-01T10:00:00Z,1,\"2\"\n1746093601,5,7\n"),
    (Format::Jsonl, "[{\"time\":\"2025-05-01T10:00:00Z\",\"input\":1},{\"time\":1746093601,\"output\":2}]"),
    (
        Format::Inspect,
        "{\"version\":2,\"eval\":{\"task\":\"t\"},\"samples\":[{\"id\":1,\"events\":[{\"event\":\"model\",\"model\":\"a/b\",\
         \"timestamp\":\"2025-05-12T20:27:44Z\",\"output\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}]}]}",
    ),
    (
        Format::Jaeger,
        "{\"data\":[{\"spans\":[{\"traceID\":\"a1\",\"spanID\":\"b2\",\"startTime\":1771237534578946,\"duration\":5,\"tags\":\
         [{\"key\":\"gen_ai.usage.input_tokens\",\"value\":1},{\"key\":\"gen_ai.request.model\",\"value\":\"m\"}]}]}]}",
    ),
    (
        Format::Langfuse,
        "{\"trace\":{\"id\":\"t\"},\"observations\":[{\"id\":\"a\",\"type\":\"GENERATION\",\"model\":\"m\",\"startTime\":\
         \"2025-06-11T14:01:32Z\",\"usageDetails\":{\"input\":1,\"output\":2,\"total\":3},\"totalCost\":0.1}]}",
    ),
    (
        Format::LiteLlm,
        "[{\"request_id\":\"r\",\"call_type\":\"c\",\"spend\":0.1,\"model\":\"m\",\"startTime\":\"2025-05-01T10:00:00Z\",\
         \"prompt_tokens\":1,\"completion_tokens\":2,\"metadata\":\"{}\",\"request_tags\":[\"a:b\"]}]",
    ),
    (
        Format::OpenHands,
        "[{\"id\":1,\"source\":\"agent\",\"timestamp\":\"x\",\"tool_call_metadata\":{\"model_response\":{\"id\":\"i\",\
         \"created\":1738046713,\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}}}]",
    ),
    (
        Format::Responses,
        "interactions:\n- request: {method: POST, uri: 'https://api.openai.com/v1/responses'}\n  response:\n    body: {string: \
         '{\"id\":\"x\",\"created_at\":1709819153,\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}'}\n",
    ),
    (
        Format::SweAgent,
        "{\"trajectory\":[],\"info\":{\"model_stats\":{\"instance_cost\":0.1,\"tokens_sent\":1,\"tokens_received\":2}}}",
    ),
];

#[test]
fn the_documents_are_read_and_defaults_never_change_the_ids_of_their_calls() {
    let named = |text| Name::new(text).ok();
    for (format, text) in DOCUMENTS {
        let ids = |defaults: Defaults| -> Vec<CallIds> {
            let records = read_records(format, defaults, Box::new(text.as_bytes())).unwrap();
            let records = records.flat_map(into_records);
            records.map(|record| record.unwrap_or_else(|error| panic!("{format:?}: {error}")).call_ids).collect()
        };
        let plain = ids(defaults());
        assert!(!plain.is_empty(), "{format:?}");
        let later = chrono::DateTime::from_timestamp(1_800_000_000, 0);
        for other in [
            Defaults { provider: named("bedrock"), ..defaults() },
            Defaults { model: named("another"), ..defaults() },
            Defaults { agent: named("another"), ..defaults() },
            Defaults { started_at: later, ..defaults() },
        ] {
            assert_eq!(ids(other), plain, "{format:?}");
        }
    }
}

#[test]
fn a_record_that_names_no_provider_has_the_one_that_an_option_names_or_none() {
    let unnamed = [SAMPLES[0], SAMPLES[1], SAMPLES[2]].map(|(format, sample)| (format, sample));
    let of_formats = [Format::Csv, Format::Jsonl, Format::OpenHands];
    let documents = DOCUMENTS.iter().filter(|(format, _)| of_formats.contains(format));
    let documents = documents.map(|(format, text)| (*format, text.as_bytes()));
    for (format, content) in unnamed.into_iter().chain(documents) {
        let bedrock = Name::new("bedrock").ok();
        for provider in [None, bedrock] {
            let defaults = Defaults { provider: provider.clone(), ..defaults() };
            let found = read_records(format, defaults, Box::new(content)).unwrap().flat_map(into_records);
            let providers: BTreeSet<_> = found.map(|record| record.unwrap().facts.provider).collect();
            assert_eq!(providers, BTreeSet::from([provider]), "{format:?}");
        }
    }
}

/// Ids are in the logs of users: a changed derivation would import every call again.
#[test]
fn the_ids_of_calls_never_change() {
    let autogpt =
        "{\"id\":\"chatcmpl-0\",\"created\":1695554458,\"model\":\"m\",\"usage\":{\"prompt_tokens\":1}}\n".repeat(2);
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_owned() + &"2023-11-16 18:17:03,1,2\n".repeat(2);
    let equal = [(Format::Autogpt, autogpt.as_bytes()), (Format::AzureLlm, azure.as_bytes())];
    let documents = DOCUMENTS.iter().map(|(format, text)| (*format, text.as_bytes()));
    let digest = |(format, text): (Format, &[u8])| {
        let of_record = |record: &Record| record.call_ids.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
        let ids: Vec<String> = records(format, text).iter().map(of_record).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        format!("{} {} {}", format.as_str(), ids.len(), domain::derived_id(&ids))
    };
    let digests: Vec<String> = SAMPLES.into_iter().chain(equal).chain(documents).map(digest).collect();
    assert_eq!(
        digests,
        [
            "azure-llm 60 76b7196b-18b8-5104-bd25-7ab36acc822e",
            "autogpt 37 d80de6b0-7c57-5419-96b1-3cca6f7712fb",
            "claude-code 19 5256d977-6a91-5ced-a4d9-073d185a4770",
            "otlp 38 cdec1387-7c3a-5b50-9dbd-9182210790ba",
            "autogpt 2 e5d05724-0f1e-5e75-b642-a39579276b49",
            "azure-llm 2 a1a0ce6d-eafb-5a94-9f56-6d1729b5c6d1",
            "codex 1 8acc353f-f60d-5af4-b113-5c4717216b21",
            "csv 2 4812c026-e6f1-565e-9e8b-774f4b77b5f9",
            "jsonl 2 4f9f4a85-344c-5565-80ed-a1cff82cb1cf",
            "inspect 1 f2fcb7ab-a730-5cda-8bb2-8d45c761ec1f",
            "jaeger 1 49de9bb4-b4d7-5add-83b4-54801a424f6b",
            "langfuse 1 4e4cca28-c745-53ca-8d66-1824505245bb",
            "litellm 1 9e650741-ea48-5756-8db1-79c138cd7b76",
            "openhands 1 dff9a471-0b33-56c4-a8cb-851a84287ea1",
            "responses 1 aa5553bf-efa3-5078-80a0-dbf78296b2ce",
            "swe-agent 1 1d9d5539-80dc-593f-8d26-eea7b27ad296",
        ]
    );
}

fn document() -> impl Strategy<Value = (Format, Vec<u8>)> {
    (0..DOCUMENTS.len()).prop_map(|at| (DOCUMENTS[at].0, DOCUMENTS[at].1.as_bytes().to_vec()))
}

fn sample() -> impl Strategy<Value = (Format, Vec<u8>)> {
    (0..SAMPLES.len()).prop_map(|at| (SAMPLES[at].0, SAMPLES[at].1.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for format in Format::ALL {
            read(*format, &bytes);
        }
    }

    #[test]
    fn arbitrary_lines_never_panic((format, _) in sample(), lines in proptest::collection::vec(".{0,80}", 0..8)) {
        read(format, format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{}", lines.join("\n")));
        read(format, lines.join("\n"));
    }

    /// Samples with a piece removed and bytes overwritten: the rest is read or refused, and nothing follows an error
    /// of the input.
    #[test]
    fn damaged_samples_never_panic(
        (format, mut bytes) in prop_oneof![sample(), document()],
        cut in any::<prop::sample::Index>(),
        cut_bytes in 0_usize..200,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let start = cut.index(bytes.len());
        bytes.drain(start..bytes.len().min(start + cut_bytes));
        // A short file can be cut whole.
        let kept = bytes.len();
        for (at, byte) in changes.into_iter().filter(|_| kept > 0) {
            bytes[at.index(kept)] = byte;
        }
        let items = read(format, bytes);
        let ended_at = items.iter().position(|item| matches!(item, Err(RecordError::Input(_))));
        prop_assert!(ended_at.is_none_or(|at| at + 1 == items.len()));
    }

    /// The same call has the same id in any file.
    #[test]
    fn ids_do_not_depend_on_preceding_records(skipped in 0_usize..30) {
        for (format, sample) in &SAMPLES[1..3] {
            let lines: Vec<&[u8]> = sample.split_inclusive(|byte| *byte == b'\n').skip(skipped).collect();
            let all: Vec<CallIds> = records(*format, sample).into_iter().map(|record| record.call_ids).collect();
            let some: Vec<_> = records(*format, lines.concat()).into_iter().map(|record| record.call_ids).collect();
            prop_assert!(all.ends_with(&some));
        }
    }
}
