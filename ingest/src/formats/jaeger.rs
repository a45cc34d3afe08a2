//! Traces as Jaeger exports them (`{"data": [{"spans": …, "processes": …}]}`), rewritten as OTLP JSON and read as such: the spans
//! of an OpenTelemetry SDK are the same spans, and the calls in them the same calls, whichever way they were exported.
//! Records have the source `otlp`.

use super::document::read_text;
use super::json::{self, Fields};
use super::lines::Lines;
use super::otlp;
use super::reader::Records;
use super::spec::{KeyKind, Spec};
use crate::error::InputError;
use crate::format::{Defaults, Format};
use crate::text::clip;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::Cursor;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Jaeger,
    about: "Traces of OpenTelemetry SDKs as Jaeger exports them: JSON, read as otlp",
    extensions: &["json", "json.gz"],
    identity: &[KeyKind::Response, KeyKind::Span, KeyKind::ProviderRequest],
    recognises: |sketch| sketch.has("data[].spans") && sketch.has("data[].traceID"),
    open,
};

/// The maximum length of a text that is handed on, in bytes: what the reader of OTLP keeps of one.
const MAX_TEXT_BYTES: usize = 1024;

fn open(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let text = read_text(lines)?;
    let document: Fields<'_> = serde_json::from_str(&text).map_err(InputError::json)?;
    let not_of_format = InputError::NotOfFormat { format: SPEC.format.as_str(), expected: "data" };
    let traces = document.items("data").ok_or(not_of_format)?;
    let mut resources = Vec::new();
    for trace in traces.into_iter().filter_map(json::object) {
        let processes = trace.object("processes");
        for span in trace.items("spans").unwrap_or_default().into_iter().filter_map(json::object) {
            resources.push(resource(&span, processes.as_ref()));
        }
    }
    let otlp = json!({ "resourceSpans": resources }).to_string();
    Ok(otlp::open(Lines::new(Box::new(Cursor::new(otlp))), defaults))
}

/// A span with its process, as the only span of a resource.
fn resource(span: &Fields<'_>, processes: Option<&Fields<'_>>) -> Value {
    let process = span.text("processID").and_then(|id| processes?.object(&id));
    let service = process.and_then(|process| process.text("serviceName").map(String::from));
    let service = service.map(|name| json!({ "key": "service.name", "value": { "stringValue": name } }));
    json!({
        "resource": { "attributes": Vec::from_iter(service) },
        "scopeSpans": [{ "spans": [otlp_span(span)] }],
    })
}

fn otlp_span(span: &Fields<'_>) -> Value {
    let mut otlp = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            otlp.insert(name.to_owned(), value.into());
        }
    };
    let trace_id = span.text("traceID").map(|id| padded(&id, 32));
    set("traceId", trace_id.clone());
    set("spanId", span.text("spanID").map(|id| padded(&id, 16)));
    set("parentSpanId", parent(span, trace_id.as_deref()));
    set("name", span.text("operationName").map(String::from));
    let number = |name| span.raw(name).and_then(|raw| crate::text::json_decimal(raw.get()));
    let nanoseconds =
        |microseconds: Decimal| Some(microseconds.checked_mul(Decimal::ONE_THOUSAND)?.to_i64()?.to_string());
    let start = number("startTime");
    let end = start.zip(number("duration")).and_then(|(start, duration)| start.checked_add(duration));
    set("startTimeUnixNano", start.and_then(nanoseconds));
    set("endTimeUnixNano", end.and_then(nanoseconds));
    let tags: Vec<_> = span.items("tags").unwrap_or_default().into_iter().filter_map(json::object).collect();
    if tags.iter().any(is_error) {
        let description = |tag: &Fields<'_>| tag.text("key").as_deref() == Some("otel.status_description");
        let message = tags.iter().find(|tag| description(tag)).and_then(|tag| tag.text("value").map(String::from));
        otlp.insert(
            "status".to_owned(),
            json!({ "code": 2, "message": message.unwrap_or_else(|| "error".to_owned()) }),
        );
    }
    otlp.insert("attributes".to_owned(), tags.iter().filter_map(attribute).collect());
    Value::Object(otlp)
}

/// An id with the zeros at its start, which Jaeger may leave out.
fn padded(id: &str, digits: usize) -> String {
    format!("{id:0>digits$}")
}

/// The span of the same trace that the span is a child of.
fn parent(span: &Fields<'_>, trace_id: Option<&str>) -> Option<String> {
    let references = span.items("references")?;
    references.into_iter().filter_map(json::object).find_map(|reference| {
        let same_trace = reference.text("traceID").is_none_or(|id| Some(padded(&id, 32).as_str()) == trace_id);
        let is_child = reference.text("refType").as_deref() == Some("CHILD_OF");
        (same_trace && is_child).then(|| reference.text("spanID").map(|id| padded(&id, 16)))?
    })
}

fn is_error(tag: &Fields<'_>) -> bool {
    let value = tag.raw("value").map(RawValue::get);
    match tag.text("key").as_deref() {
        Some("error") => matches!(value, Some("true" | "\"true\"")),
        Some("otel.status_code") => value == Some("\"ERROR\""),
        _ => false,
    }
}

fn attribute(tag: &Fields<'_>) -> Option<Value> {
    let (key, value) = (tag.text("key")?, tag.raw("value")?);
    let value = match json::text(value) {
        Some(text) => json!({ "stringValue": clip(&text, MAX_TEXT_BYTES) }),
        None => match serde_json::from_str::<Value>(value.get()).ok()? {
            Value::Bool(value) => json!({ "boolValue": value }),
            Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => return None,
        },
    };
    Some(json!({ "key": key, "value": value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, input_error, records, totals};
    use domain::Meter;

    const TRACE: &str = r#"{"data":[{"traceID":"f07651916cd43dd8448eb211c80319c","spans":[
        {"traceID":"f07651916cd43dd8448eb211c80319c","spanID":"7ad6b7169203331","operationName":"call_llm","references":[],
         "startTime":1771237534578946,"duration":4163849,"processID":"p1",
         "tags":[{"key":"gen_ai.usage.input_tokens","type":"int64","value":1820},{"key":"gen_ai.usage.output_tokens","value":13},
                 {"key":"gen_ai.request.model","value":"gpt-4.1-mini"},{"key":"error","value":true}]},
        {"traceID":"f07651916cd43dd8448eb211c80319c","spanID":"c728e555894414d","operationName":"openai.chat",
         "references":[{"refType":"CHILD_OF","traceID":"f07651916cd43dd8448eb211c80319c","spanID":"7ad6b7169203331"}],
         "startTime":1771237534579946,"duration":1000000,"processID":"p1","logs":7,
         "tags":[{"key":"gen_ai.usage.prompt_tokens","type":"int64","value":1820},{"key":"gen_ai.usage.completion_tokens","value":13},
                 {"key":"gen_ai.response.model","value":"gpt-4.1-mini"},{"key":"gen_ai.system","value":"openai"}]}],
        "processes":{"p1":{"serviceName":"helm_agent","tags":[]}}}]}"#;

    #[test]
    fn the_spans_are_read_as_those_of_otlp() {
        let found = records(Format::Jaeger, TRACE);
        assert_eq!(totals(calls(&found).values()), [(Meter::Input, 1820), (Meter::Output, 13)], "leaf spans only");
        let facts = &found[0].facts;
        assert_eq!(facts.latency_ms, Some(1000));
        assert_eq!(
            facts.span.map(|span| span.trace_id.to_string()).as_deref(),
            Some("0f07651916cd43dd8448eb211c80319c")
        );
        assert_eq!(found[0].agent.as_ref().map(|agent| agent.name.as_str()), Some("helm_agent"));
        assert_eq!(facts.source.as_str(), "otlp");
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        assert!(input_error(Format::Jaeger, "{}").to_string().contains("data is missing"));
        assert!(matches!(input_error(Format::Jaeger, "[1"), InputError::Json(_)));
    }
}
