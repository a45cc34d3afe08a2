//! Files of spans: what is read of them, by subject, and what the tests share.

mod charged;
mod forms;
mod identity;
mod usage;

use crate::format::Format::Otlp;
use crate::formats::testing::records;
use domain::Meter;
use serde_json::{Value, json};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// A span whose id is one digit repeated; attributes are integers or text.
fn span(id: char, parent: &str, attributes: Value) -> Value {
    let attribute = |(key, value): (&String, &Value)| {
        let value = if value.is_i64() { json!({"intValue": value.to_string()}) } else { json!({"stringValue": value}) };
        json!({"key": key, "value": value})
    };
    let attributes: Vec<Value> = attributes.as_object().unwrap().iter().map(attribute).collect();
    json!({
        "traceId": TRACE, "spanId": id.to_string().repeat(16), "parentSpanId": parent.repeat(16), "name": "chat m",
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000002500999999",
        "attributes": attributes,
    })
}

fn usage(input: i64, output: i64) -> Value {
    json!({
        "gen_ai.provider.name": "openai", "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
    })
}

fn with(mut attributes: Value, more: Value) -> Value {
    attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    attributes
}

fn export(spans: &[Value]) -> String {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string()
}

/// Input, output, cache read, cache write (5 minutes) and reasoning of one span with these attributes.
#[track_caller]
fn counted(attributes: Value) -> [u64; 5] {
    let usage = records(Otlp, export(&[span('a', "", attributes)]))[0].facts.usage;
    let meters = [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min, Meter::Reasoning];
    assert!(usage.iter().all(|(meter, _)| meters.contains(&meter)), "{usage}");
    meters.map(|meter| usage.get(meter).get())
}
