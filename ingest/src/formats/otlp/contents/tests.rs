use super::*;
use crate::formats::otlp::request::{Encoding, Kept, decode_logs, decode_traces};
use domain::span_contents::StoredContents;
use serde_json::{Value, json};

/// What a text is and what it says.
type Found = (ContentSource, Option<String>, String, String, bool);

fn found(decoded: &crate::formats::otlp::request::Decoded) -> Vec<Found> {
    let contents = decoded.exported.spans.iter().filter_map(|span| span.contents.as_ref());
    let stored = contents.flat_map(|contents| StoredContents::parse(contents.json()).unwrap().contents);
    let shown = |content: SpanContent| {
        let is_cut = content.is_cut();
        (content.source, content.event, content.name, content.text, is_cut)
    };
    stored.map(shown).collect()
}

fn body(attributes: &Value, events: &Value) -> Vec<u8> {
    let span =
        json!({ "traceId": "5".repeat(32), "spanId": "7".repeat(16), "events": events, "attributes": attributes });
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string().into_bytes()
}

fn of_json(attributes: &Value, events: &Value) -> Vec<Found> {
    found(&decode_traces(&body(attributes, events), Encoding::Json, Kept::Contents).unwrap())
}

fn text(key: &str, text: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": text } })
}

fn attribute(name: &str, text: &str) -> Found {
    (ContentSource::Attribute, None, name.to_owned(), text.to_owned(), false)
}

fn of_event(event: &str, name: &str, text: &str) -> Found {
    (ContentSource::SpanEvent, Some(event.to_owned()), name.to_owned(), text.to_owned(), false)
}

#[test]
fn texts_of_attributes_and_events_are_read_from_json() {
    let parts = json!({ "arrayValue": { "values": [{ "kvlistValue": { "values": [
        { "key": "role", "value": { "stringValue": "user" } }, { "key": "n", "value": { "intValue": "3" } },
        { "key": "x", "value": {} }, { "key": "on", "value": { "boolValue": true } },
    ] } }] } });
    let attributes = json!([
        text("gen_ai.request.model", "m"), text("gen_ai.prompt.0.content", "hi\n\"there\""),
        { "key": "gen_ai.input.messages", "value": parts }, text("db.query.text", "no"), text("gen_ai.completion", ""),
    ]);
    let events = json!([
        { "name": "gen_ai.user.message", "timeUnixNano": "5", "attributes": [text("content", "a"), text("gen_ai.system", "s")] },
        { "name": "exception", "attributes": [text("exception.message", "no"), text("input.value", "b")] },
        { "name": "gen_ai.content.prompt", "attributes": [text("gen_ai.prompt", "c")] }, 5, null,
    ]);
    let expected = [
        attribute("gen_ai.prompt.0.content", "hi\n\"there\""),
        attribute("gen_ai.input.messages", r#"[{"n":3,"on":true,"role":"user","x":null}]"#),
        of_event("gen_ai.user.message", "content", "a"),
        of_event("exception", "input.value", "b"),
        of_event("gen_ai.content.prompt", "gen_ai.prompt", "c"),
    ];
    assert_eq!(of_json(&attributes, &events), expected);
    let object = json!({ "input.value": "d", "output.value": { "e": 1 }, "other": "f" });
    assert_eq!(of_json(&object, &json!(null)), [attribute("input.value", "d"), attribute("output.value", "{\"e\":1}")]);
}

#[test]
fn no_text_is_read_where_none_is_kept() {
    let body = body(&json!([text("input.value", "secret")]), &json!([]));
    for kept in [Kept::Nothing, Kept::Spans] {
        assert_eq!(found(&decode_traces(&body, Encoding::Json, kept).unwrap()), []);
    }
    let decoded = decode_traces(&body, Encoding::Json, Kept::Contents).unwrap();
    assert_eq!(found(&decoded), [attribute("input.value", "secret")]);
    assert!(!format!("{decoded:?}").contains("secret"));
}

/// A field of protobuf with bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut encoded);
    prost::encoding::encode_varint(bytes.len() as u64, &mut encoded);
    [encoded, bytes.to_vec()].concat()
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::Varint, &mut encoded);
    prost::encoding::encode_varint(value, &mut encoded);
    encoded
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

fn of_protobuf(fields: &[Vec<u8>]) -> Vec<Found> {
    let span = [field(1, &[5; 16]), field(2, &[7; 8]), fields.concat()].concat();
    let body = field(1, &field(2, &field(2, &span)));
    found(&decode_traces(&body, Encoding::Protobuf, Kept::Contents).unwrap())
}

#[test]
fn texts_of_attributes_and_events_are_read_from_protobuf() {
    let text = |text: &str| field(1, text.as_bytes());
    let object =
        field(6, &[field(1, &pair("role", &text("us\"er"))), field(1, &pair("n", &varint(3, u64::MAX)))].concat());
    let parts =
        field(5, &[field(1, &object), field(1, &varint(2, 1)), field(1, &[]), field(1, &field(7, b"abc"))].concat());
    let double = [vec![4 << 3 | 1], f64::NAN.to_le_bytes().to_vec()].concat();
    let event =
        [field(2, b"gen_ai.choice"), field(3, &pair("message", &text("yes"))), field(3, &pair("index", &varint(3, 0)))];
    let fields = [
        field(9, &pair("gen_ai.input.messages", &parts)),
        field(9, &pair("db.query.text", &text("no"))),
        field(9, &pair("gen_ai.prompt.0.role", &text("user"))),
        field(9, &pair("ai.value", &double)),
        field(11, &event.concat()),
    ];
    let expected = [
        attribute("gen_ai.input.messages", r#"[{"role":"us\"er","n":-1},true,null,"YWJj"]"#),
        attribute("gen_ai.prompt.0.role", "user"),
        attribute("ai.value", "\"NaN\""),
        of_event("gen_ai.choice", "message", "yes"),
        of_event("gen_ai.choice", "index", "0"),
    ];
    assert_eq!(of_protobuf(&fields), expected);
}

#[test]
fn long_and_deep_values_are_bounded() {
    let (long, cut) = ("é".repeat(MAX_CONTENT_BYTES), "é".repeat(MAX_CONTENT_BYTES / 2));
    let encoded = field(9, &pair("input.value", &field(1, long.as_bytes())));
    let of_both = [of_json(&json!([text("input.value", &long)]), &json!([])), of_protobuf(&[encoded])];
    for found in of_both {
        let [(_, _, _, text, true)] = &found[..] else { panic!("{} texts", found.len()) };
        assert!(*text == cut, "{} bytes", text.len());
    }
    let deep = (0..200).fold(field(1, b"x"), |inner, _| field(5, &field(1, &inner)));
    let found = of_protobuf(&[field(9, &pair("input.value", &deep))]);
    assert!(found[0].3.contains("deeper than 64"), "{found:?}");
    let deep = (0..200).fold(json!({ "stringValue": "x" }), |inner, _| json!({ "arrayValue": { "values": [inner] } }));
    // What skips values has no limit of depth but that of the reader.
    let found = of_json(&json!([{ "key": "input.value", "value": deep }]), &json!([]));
    assert_eq!(found.len(), 1, "{found:?}");
    let wide = json!({ "arrayValue": { "values": vec![json!({ "intValue": "1" }); 100_000] } });
    let found = of_json(&json!([{ "key": "input.value", "value": wide }]), &json!([]));
    assert!(found[0].4 && found[0].3.starts_with("{\"arrayValue\""), "{}", found.len());
}

#[test]
fn a_text_in_a_list_is_cut_as_it_is_written_and_its_whole_length_is_known() {
    let mut written = Text::default();
    written.write_json(&"\u{1}".repeat(MAX_CONTENT_BYTES));
    // Each is written as `\u0001`, between quotation marks.
    assert_eq!(written.total_bytes, 6 * MAX_CONTENT_BYTES as u64 + 2);
    assert!(
        written.text.len() <= MAX_CONTENT_BYTES && written.text.starts_with("\"\\u0001\\u0001"),
        "{:.20}",
        written.text
    );
    let texts = [&b"a\xff\"\xc3\xa9"[..], b"\xc3"].map(|bytes| field(1, &field(1, bytes)));
    let found = of_protobuf(&[field(9, &pair("input.value", &field(5, &texts.concat())))]);
    assert_eq!(found, [attribute("input.value", "[\"a\u{fffd}\\\"é\",\"\u{fffd}\"]")]);
}

/// A body with a byte that is no UTF-8 in place of `@`.
fn not_utf_8(body: &Value) -> Vec<u8> {
    let bytes = body.to_string().into_bytes();
    bytes.into_iter().map(|byte| if byte == b'@' { 0xff } else { byte }).collect()
}

#[test]
fn whether_json_is_accepted_does_not_depend_on_what_is_kept() {
    let span = json!({ "traceId": "5".repeat(32), "spanId": "7".repeat(16), "events": [{ "name": "x@" }] });
    let spans = not_utf_8(&json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }));
    let record = json!({ "body": { "kvlistValue": "x@" } });
    let records = not_utf_8(&json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }));
    for kept in [Kept::Nothing, Kept::Spans, Kept::Contents] {
        let of_spans = decode_traces(&spans, Encoding::Json, kept).map(|_| ());
        let of_records = decode_logs(&records, Encoding::Json, kept).map(|_| ());
        for error in [of_spans, of_records].map(|read| read.unwrap_err().to_string()) {
            assert!(error.starts_with("the body is not the JSON of OTLP: invalid utf-8"), "{kept:?}: {error}");
        }
    }
}

/// The names of the events of the texts of a record.
fn events_of(body: &[u8], encoding: Encoding) -> Vec<Option<String>> {
    let decoded = decode_logs(body, encoding, Kept::Contents).unwrap();
    let [record] = &decoded.exported.records[..] else { panic!("{} records", decoded.exported.records.len()) };
    let stored = StoredContents::parse(record.contents.json()).unwrap();
    assert!(!format!("{decoded:?} {stored:?}").contains("launch"), "{stored:?}");
    stored.contents.into_iter().map(|content| content.event).collect()
}

#[test]
fn the_body_of_a_record_is_the_name_of_an_event_only_if_there_is_such_an_event() {
    let of_body = |said: &str| {
        let record = json!({
            "traceId": "5".repeat(32), "spanId": "7".repeat(16), "body": { "stringValue": said },
            "attributes": [text("input.value", "a")],
        });
        let json = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }).to_string();
        let fields = [
            field(9, &[5; 16]),
            field(10, &[7; 8]),
            field(5, &field(1, said.as_bytes())),
            field(6, &pair("input.value", &field(1, b"a"))),
        ];
        let protobuf = field(1, &field(2, &field(2, &fields.concat())));
        [events_of(json.as_bytes(), Encoding::Json), events_of(&protobuf, Encoding::Protobuf)]
    };
    assert_eq!(of_body("the-launch-code"), [vec![None], vec![None]]);
    // The body is a text of that event, too.
    let named = vec![Some("gen_ai.user.message".to_owned()); 2];
    assert_eq!(of_body("gen_ai.user.message"), [named.clone(), named]);
}
