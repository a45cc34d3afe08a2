//! Layouts of files, what is refused, and limits.

use super::super::collector::SpanCollector;
use super::super::json::{Level, document_error};
use super::{TRACE, export, span, usage, with};
use crate::error::{InputError, RecordError};
use crate::format::Defaults;
use crate::format::Format::Otlp;
use crate::formats::testing::{input_error, into_records, read, records, refusals};
use crate::formats::{MAX_LINE_BYTES, read_records};
use domain::Name;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use std::io::{self, Cursor, Read};

#[test]
fn times_in_another_unit_are_refused_rather_than_read_as_1970() {
    for (unit, time) in
        [("milliseconds", "1700000000000"), ("microseconds", "1700000000000000"), ("seconds", "1700000000")]
    {
        let mut late = span('a', "", usage(1, 1));
        late["startTimeUnixNano"] = json!(time);
        let refused = refusals(Otlp, export(&[late]));
        assert_eq!(refused.len(), 1, "{unit}");
        assert!(refused[0].contains("1970") && refused[0].contains("another unit"), "{unit}: {refused:?}");
    }
}

#[test]
fn invisible_names_are_refused_and_equivalent_ones_are_equal() {
    let model = |text: &str| export(&[span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": text})))]);
    for bad in ["\u{200b}", "\u{feff}m", "m\u{202e}4"] {
        let refused = refusals(Otlp, model(bad));
        assert!(refused.len() == 1 && refused[0].contains("gen_ai.response.model"), "{bad:?}: {refused:?}");
    }
    assert_eq!(
        records(Otlp, model("mode\u{301}le"))[0].facts.model,
        records(Otlp, model("mod\u{e9}le"))[0].facts.model
    );
}

#[test]
fn a_trace_may_be_spread_over_lines_and_repeated() {
    let lines = [
        export(&[span('a', "", usage(10, 2))]),
        String::new(),
        export(&[span('b', "a", usage(10, 2))]),
        export(&[span('a', "", usage(10, 2))]),
    ];
    assert_eq!(records(Otlp, lines.join("\n")).len(), 1);
}

#[test]
fn all_layouts_of_a_file_give_the_same_calls() {
    let spans = [span('a', "", usage(10, 2)), span('b', "a", usage(10, 2))];
    let lists = |outer: &str, inner: &str| json!({outer: [{inner: [{"scope": {"name": "s"}, "spans": spans}], "resource": null}]});
    let plain = lists("resourceSpans", "scopeSpans");
    let forms = [
        plain.to_string(),
        serde_json::to_string_pretty(&plain).unwrap(),
        format!("\n\n{}\n{}\n", plain, lists("batches", "scopeSpans")),
        serde_json::to_string_pretty(&lists("batches", "instrumentationLibrarySpans")).unwrap(),
        json!({"trace": plain}).to_string(),
        json!([plain, {}]).to_string(),
        format!("{:#}\n{:#}", plain, json!({})),
        format!("\u{feff}{plain}\r\n"),
    ];
    let ids = |form: &String| records(Otlp, form).into_iter().map(|record| record.call_ids).collect::<Vec<_>>();
    assert_eq!(ids(&forms[0]).len(), 1);
    for form in &forms {
        assert_eq!(ids(form), ids(&forms[0]), "{form}");
    }
}

#[test]
fn ids_are_hex_or_base64_and_numbers_may_be_numbers() {
    let hex = span('a', "", usage(10, 2));
    let mut base64 = hex.clone();
    base64["traceId"] = json!("W47/95gDgQPSabYzgT/GDA==");
    base64["spanId"] = json!("qqqqqqqqqqo=");
    base64["startTimeUnixNano"] = json!(1_700_000_000_000_000_000_i64);
    base64["attributes"][0] = json!({"key": "gen_ai.usage.input_tokens", "value": {"doubleValue": 10.0}});
    let mut upper = hex.clone();
    upper["traceId"] = json!(TRACE.to_uppercase());
    let [first, second, third] = [hex, base64, upper].map(|span| records(Otlp, export(&[span])).remove(0).call_ids);
    assert_eq!((&first, &first), (&second, &third));
}

#[test]
fn each_bad_span_is_refused_with_its_reason() {
    let change = |field: &str, value: Value| {
        let mut span = span('a', "", usage(1, 1));
        span[field] = value;
        span
    };
    for (span, message) in [
        (change("traceId", json!("xyz")), "traceId is \"xyz\", which is not an id"),
        (change("traceId", Value::Null), "traceId is missing"),
        (change("spanId", json!("0000000000000000")), "spanId is missing"),
        (change("spanId", json!(17)), "spanId is \"17\", which is not an id"),
        (change("parentSpanId", json!("+aaaaaaaaaaaaaaa")), "parentSpanId is \"+aaaaaaaaaaaaaaa\", which is not"),
        (change("startTimeUnixNano", json!("soon")), "startTimeUnixNano is \"soon\", which is not a time"),
        (change("startTimeUnixNano", json!("0")), "startTimeUnixNano is \"0\", which is not a time"),
        (span('a', "", usage(-1, 1)), "gen_ai.usage.input_tokens: -1 is negative"),
        (
            span('a', "", with(usage(1, 1), json!({"gen_ai.usage.output_tokens": "many"}))),
            "gen_ai.usage.output_tokens is \"many\", which is not a whole number",
        ),
        (
            span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": "x".repeat(300)}))),
            "gen_ai.response.model: the text has 300 bytes",
        ),
        (span('a', "", json!({"gen_ai.operation.name": "execute_tool"})), "gen_ai.tool.name is missing"),
    ] {
        let found = refusals(Otlp, export(&[span]));
        let expected = format!("span 1: {message}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?} instead of {expected}");
    }
}

#[test]
fn a_span_without_model_needs_a_default_model() {
    let spans = export(&[span('a', "", json!({"gen_ai.usage.input_tokens": 1}))]);
    assert_eq!(records(Otlp, &spans)[0].facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
    let input = Box::new(Cursor::new(spans));
    let mut found = read_records(Otlp, Defaults::default(), input).unwrap();
    let refused = into_records(found.next().unwrap()).remove(0).unwrap_err();
    assert_eq!(refused.to_string(), "span 1: gen_ai.response.model is missing");
}

#[test]
fn a_malformed_line_is_refused_whole_and_the_next_is_read() {
    let good = |id| export(&[span(id, "", usage(10, 2))]);
    let cut = &good('b')[..good('b').len() - 4];
    let items = read(Otlp, [&good('a'), cut, "nonsense", r#"{"resourceLogs":[]}"#, &good('c')].join("\n"));
    let shown: Vec<String> =
        items.iter().map(|item| item.as_ref().map_or_else(ToString::to_string, |r| r.location.to_string())).collect();
    assert_eq!(shown.len(), 5);
    assert!(shown[0].starts_with("line 2: not the JSON of this format: EOF"), "{shown:?}");
    assert!(shown[1].starts_with("line 3: not the JSON of this format: expected"), "{shown:?}");
    assert_eq!(shown[2], "line 4: the object holds \"resourceLogs\" instead of resourceSpans or batches");
    assert_eq!(shown[3..], ["span 1", "span 3"]);
    let first = format!("{}\n{}", &good('a')[..50], good('c'));
    assert_eq!(read(Otlp, first).len(), 2, "the first line is truncated inside a string");
}

#[test]
fn what_is_no_export_of_traces() {
    for (file, key) in [(r#"{"data":[{"spans":[]}]}"#, "data"), ("{\n\"resourceLogs\": []}", "resourceLogs")] {
        let InputError::NotTraces { found } = input_error(Otlp, file) else { panic!("{file}") };
        assert_eq!(found, key);
    }
    for file in ["TIMESTAMP,a\n", "{\n", "{\"resourceSpans\": [\n", "{\n}\n}", "[[\n[", "<html>"] {
        assert!(matches!(input_error(Otlp, file), InputError::Json(_)), "{file}");
    }
}

#[test]
fn strings_and_nesting_of_a_document_are_bounded() {
    let long = || io::repeat(b'x').take(MAX_LINE_BYTES as u64 + 1);
    let read = |input: Box<dyn Read + Send>| read_records(Otlp, Defaults::default(), input).unwrap().next();
    let found = read(Box::new(Cursor::new("{\n\"x\": \"").chain(long())));
    assert!(matches!(found, Some(Err(RecordError::Input(InputError::StringTooLong { .. })))), "{found:?}");
    let found = read(Box::new(Cursor::new("{\n\"x\": ").chain(io::repeat(b'[').take(10_000_000))));
    assert!(matches!(found, Some(Err(RecordError::Input(InputError::TooDeep { .. })))), "{found:?}");
}

#[test]
fn a_first_line_beyond_the_limit_is_read_as_a_document() {
    let spans = export(&[span('a', "", usage(10, 2))]);
    let blanks = io::repeat(b' ').take(MAX_LINE_BYTES as u64);
    let input = blanks.chain(Cursor::new(format!("{spans}\n{spans}")));
    let found: Vec<_> = read_records(Otlp, Defaults::default(), Box::new(input)).unwrap().collect();
    assert!(matches!(&found[..], [Ok(_)]), "{found:?}");
}

/// The name and the status of a span may be as long as an attribute. An invalid time is held clipped.
#[test]
fn the_memory_of_names_and_errors_counts_against_the_limit() {
    let long = "x".repeat(1024);
    let mut named = span('a', "", usage(1, 1));
    named["name"] = json!(long);
    named["endTimeUnixNano"] = json!("never");
    named["status"] = json!({"code": 2, "message": long});
    let held = |span: &Value| {
        let mut collector = SpanCollector::new(1_000_000);
        let json = export(std::slice::from_ref(span));
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
        collector.held_bytes()
    };
    assert!(held(&named) > held(&span('a', "", usage(1, 1))) + 2 * 1000 + 4);
}

/// An empty object is three bytes of text, and a megabyte of them compresses to a kilobyte.
#[test]
fn empty_objects_take_no_memory() {
    for (start, end) in [
        (r#"{"resourceSpans":["#, "{}]}"),
        (r#"{"resourceSpans":[{"scopeSpans":["#, "{}]}]}"),
        (r#"{"resourceSpans":[{"resource":{"attributes":["#, "{}]}}]}"),
        ("[", "{}]"),
    ] {
        let json = format!("{start}{}{end}", "{},".repeat(10_000));
        let mut collector = SpanCollector::new(1_000);
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
        assert_eq!(collector.held_bytes(), 0, "{start}");
    }
    let resources = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]}},"#;
    let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, resources.repeat(1_000));
    let mut collector = SpanCollector::new(1_000);
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
    assert!(matches!(document_error(error, &mut collector), InputError::TooManySpans { .. }));
}

#[test]
fn spans_beyond_the_memory_limit_end_the_input() {
    let mut collector = SpanCollector::new(3_000);
    let spans: Vec<Value> = ('a'..='f').map(|id| span(id, "", json!({}))).collect();
    let json = export(&[&spans[..], &spans[..], &[span('1', "", usage(1, 1)), span('2', "", usage(1, 1))]].concat());
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
    let error = document_error(error, &mut collector);
    assert!(matches!(error, InputError::TooManySpans { span: 13.., limit_bytes: 3_000 }), "{error:?}");
}
