//! The texts of a span in JSON.

use super::{BODY, Collected, Event, Owner, Text, is_content_event};
use crate::formats::otlp::attributes::AttributeValue;
use domain::span_contents::{ContentSource, MAX_CONTENT_BYTES, SpanContents};
use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// The longest JSON of a value that is no text, in bytes, that is shown without the names of OTLP's types. Longer ones, which
/// would take much memory, are shown as they came.
const MAX_CONVERTED_BYTES: usize = 4 * MAX_CONTENT_BYTES;

/// Collects the texts of a span, of which the parts may come in any order.
#[derive(Debug, Default)]
pub(in crate::formats::otlp) struct JsonContents(Collected);

impl JsonContents {
    /// Adds those of the attributes of the span.
    pub(in crate::formats::otlp) fn add_attributes(&mut self, attributes: &RawValue) {
        of_attributes(&mut self.0, Owner::Span, attributes);
    }

    /// Adds those of the events of the span.
    pub(in crate::formats::otlp) fn add_events(&mut self, events: &RawValue) {
        each_element(events, |event| self.add_event(event));
    }

    fn add_event(&mut self, event: &RawValue) {
        if !event.get().starts_with('{') {
            return;
        }
        let Ok(JsonEvent { time_unix_nano, name: Some(name), attributes: Some(attributes) }) =
            serde_json::from_str(event.get())
        else {
            return;
        };
        let time_ns = time_unix_nano.and_then(|time| time.whole()).filter(|ns| *ns > 0);
        let event = Event { source: ContentSource::SpanEvent, name: &name, time_ns };
        of_attributes(&mut self.0, Owner::Event(event), attributes);
    }

    pub(in crate::formats::otlp) fn finish(self) -> Option<SpanContents> {
        self.0.finish()
    }
}

/// The texts of a record of a log.
pub(in crate::formats::otlp) fn of_record(
    event: Event<'_>,
    body: Option<&RawValue>,
    attributes: Option<&RawValue>,
) -> Option<SpanContents> {
    let mut collected = Collected::default();
    if let Some(body) = body.filter(|_| is_content_event(event.name)) {
        collected.push(Owner::Event(event), BODY, text(body));
    }
    if let Some(attributes) = attributes {
        of_attributes(&mut collected, Owner::Event(event), attributes);
    }
    collected.finish()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonEvent<'a> {
    time_unix_nano: Option<AttributeValue>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// Reads the elements of a list, of which one at a time is held, however many it has. What is no list has none.
fn each_element<'de>(list: &'de RawValue, read: impl FnMut(&'de RawValue)) {
    struct Elements<F>(F);
    impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element::<&'de RawValue>()? {
                (self.0)(element);
            }
            Ok(())
        }
    }
    // An error quotes what is no list, however long it is.
    if list.get().starts_with('[') {
        serde_json::Deserializer::from_str(list.get()).deserialize_seq(Elements(read)).unwrap_or_default();
    }
}

/// Reads the members of an object, likewise.
fn each_member<'de>(object: &'de RawValue, read: impl FnMut(&str, &'de RawValue)) {
    struct Members<F>(F);
    impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
            while let Some((key, value)) = object.next_entry::<String, &'de RawValue>()? {
                (self.0)(&key, value);
            }
            Ok(())
        }
    }
    if object.get().starts_with('{') {
        serde_json::Deserializer::from_str(object.get()).deserialize_map(Members(read)).unwrap_or_default();
    }
}

/// The texts in a list of attributes, or in an object of them, as some exporters write it. What is neither is no attribute, and
/// is refused where the span is read.
fn of_attributes(collected: &mut Collected, owner: Owner<'_>, attributes: &RawValue) {
    each_member(attributes, |key, value| {
        if owner.has_content(key) {
            collected.push(owner, key, plain_text(value));
        }
    });
    each_element(attributes, |attribute| {
        if !attribute.get().starts_with('{') {
            return;
        }
        let Ok(Attribute { key: Some(key), value: Some(value) }) = serde_json::from_str(attribute.get()) else {
            return;
        };
        if owner.has_content(&key) {
            collected.push(owner, &key, text(value));
        }
    });
}

/// A value in OTLP's JSON as text: a text as it is, another value as JSON.
fn text(value: &RawValue) -> Text {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OfText<'a> {
        #[serde(borrow)]
        string_value: Cow<'a, str>,
    }
    if let Ok(OfText { string_value }) = serde_json::from_str(value.get()) {
        return Text::of(&string_value);
    }
    if value.get().len() > MAX_CONVERTED_BYTES {
        return Text::of(value.get());
    }
    match serde_json::from_str(value.get()).map(plain) {
        Ok(Value::Null) => Text::default(),
        Ok(value) => Text::of(&value.to_string()),
        // It is too deep to be read.
        Err(_) => Text::of(value.get()),
    }
}

/// A value in plain JSON as text.
fn plain_text(value: &RawValue) -> Text {
    match serde_json::from_str::<Cow<'_, str>>(value.get()) {
        Ok(text) => Text::of(&text),
        Err(_) if value.get() == "null" => Text::default(),
        Err(_) => Text::of(value.get()),
    }
}

/// A value without the names of OTLP's types. What has none of them stays as it is.
fn plain(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    let values = |list: &mut Value| match list.get_mut("values").map(Value::take) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    for name in ["stringValue", "boolValue", "doubleValue", "bytesValue"] {
        if let Some(value) = fields.remove(name) {
            return value;
        }
    }
    // 64-bit integers are texts.
    if let Some(value) = fields.remove("intValue") {
        return match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => number.into(),
            None => value,
        };
    }
    if let Some(mut list) = fields.remove("arrayValue") {
        return values(&mut list).into_iter().map(plain).collect();
    }
    if let Some(mut list) = fields.remove("kvlistValue") {
        let pair = |mut pair: Value| {
            let key = pair.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = pair.get_mut("value").map(Value::take);
            (key, value.map_or(Value::Null, plain))
        };
        return Value::Object(values(&mut list).into_iter().map(pair).collect::<Map<_, _>>());
    }
    if fields.is_empty() { Value::Null } else { Value::Object(fields) }
}
