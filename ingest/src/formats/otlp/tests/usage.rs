//! The usage that the attributes of a span state.

use super::{counted, export, span, usage, with};
use crate::format::Format::Otlp;
use crate::formats::testing::records;
use domain::{Meter, Name};
use serde_json::{Value, json};

#[test]
fn former_names_are_read_and_current_ones_preferred() {
    for (input, output) in [
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
    ] {
        assert_eq!(counted(json!({"gen_ai.request.model": "m", input: 10, output: 2})), [10, 2, 0, 0, 0]);
        assert_eq!(counted(with(usage(5, 1), json!({input: 10, output: 2}))), [5, 1, 0, 0, 0]);
    }
}

#[test]
fn cached_tokens_are_subtracted_from_an_input_that_includes_them() {
    let cached = |provider: &str, input: i64| {
        let more = json!({
            "gen_ai.provider.name": provider,
            "gen_ai.usage.cache_read_input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 30,
        });
        counted(with(usage(input, 2), more))
    };
    assert_eq!(cached("openai", 100), [10, 2, 60, 30, 0]);
    // What does not fit inside was beside.
    assert_eq!(cached("openai", 50), [50, 2, 60, 30, 0]);
    assert_eq!(cached("anthropic", 100), [10, 2, 60, 30, 0]);
    assert_eq!(cached("anthropic", 50), [50, 2, 60, 30, 0]);
    assert_eq!(cached("aws.bedrock", 50), [50, 2, 60, 30, 0]);
}

/// The names that SDKs give the same counts, which are 40 tokens read and 25 written of 300.
#[test]
fn the_cache_is_counted_under_every_name() {
    let anthropic =
        |more: Value| counted(with(usage(300, 10), with(json!({"gen_ai.provider.name": "anthropic"}), more)));
    for (read, written) in [
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_write_input_tokens"),
        ("gen_ai.usage.cache_read_tokens", "gen_ai.usage.cache_write_tokens"),
        ("gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_write_tokens"),
        ("llm.usage.cache_read_input_tokens", "llm.usage.cache_creation_input_tokens"),
    ] {
        assert_eq!(anthropic(json!({(read): 40, (written): 25})), [235, 10, 40, 25, 0], "{read}, {written}");
    }
    assert_eq!(counted(with(usage(300, 10), json!({"gen_ai.usage.details.cached_tokens": 40}))), [260, 10, 40, 0, 0]);
    let bedrock = json!({
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.usage.cache_read_input_tokens": 4000, "gen_ai.usage.cache_write_input_tokens": 2500,
    });
    assert_eq!(counted(with(usage(300, 10), bedrock)), [300, 10, 4000, 2500, 0]);
}

/// Every name in the table of meters is read, so that a new meter needs no line here.
#[test]
fn every_name_of_a_meter_is_read() {
    for &meter in Meter::ALL {
        for name in meter.attributes() {
            let whole = meter.part_of().map_or(json!({}), |whole| json!({(whole.attributes()[0]): 9}));
            let attributes = with(json!({"gen_ai.request.model": "m", (*name): 7}), whole);
            let found = records(Otlp, export(&[span('a', "", attributes)]))[0].facts.usage;
            assert_eq!(found.get(meter).get(), 7, "{name}");
        }
    }
}

#[test]
fn audio_that_was_cached_is_counted_as_cached() {
    let audio = |cached: i64| {
        let more =
            json!({"gen_ai.usage.details.input_audio_tokens": 80, "gen_ai.usage.cache_read.input_tokens": cached});
        let usage = records(Otlp, export(&[span('a', "", with(usage(100, 10), more))]))[0].facts.usage;
        [Meter::Input, Meter::CacheRead, Meter::AudioInput].map(|meter| usage.get(meter).get())
    };
    assert_eq!(audio(0), [100, 0, 80]);
    assert_eq!(audio(20), [80, 20, 80]);
    assert_eq!(audio(60), [40, 60, 40]);
}

#[test]
fn reasoning_is_part_of_the_output() {
    let reasoning = |count| counted(with(usage(5, 20), json!({"gen_ai.usage.reasoning_tokens": count})));
    assert_eq!(reasoning(15), [5, 20, 0, 0, 15]);
    assert_eq!(reasoning(50), [5, 70, 0, 0, 50]);
}

#[test]
fn providers_have_the_names_of_price_tables() {
    for (named, provider) in [("OpenAI", "openai"), ("aws.bedrock", "bedrock"), ("gcp.gemini", "gemini")] {
        let attributes = with(usage(1, 1), json!({"gen_ai.provider.name": named}));
        let found = records(Otlp, export(&[span('a', "", attributes)])).remove(0).facts.provider;
        assert_eq!(found.as_ref().map(Name::as_str), Some(provider));
    }
}
