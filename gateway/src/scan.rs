//! What the body of a request has beside text: content whose tokens its bytes do not bound, and tools of the provider.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Names of fields with content that is not in the body, or is an image or a file, or that make more of the text that is. Audio of an
/// earlier answer is named by its id.
const REFERENCES: [&str; 21] = [
    "audio",
    "audio_url",
    "cached_content",
    "cachedcontent",
    "chat_template",
    "container",
    "container_id",
    "conversation",
    "file_data",
    "file_id",
    "file_url",
    "image_url",
    "input_audio",
    "mcp_servers",
    "plugins",
    "previous_response_id",
    "search_parameters",
    "server_url",
    "vector_store_ids",
    "video_url",
    "web_search_options",
];

/// The types of what is text, and is in the body: parts of messages, items, functions of the client, choices and formats, and
/// those of JSON Schema. All others, also those that are not known yet, are content that is not in the body or is no text, or tools
/// of the provider, whose results become part of the prompt.
const TEXT_TYPES: [&str; 41] = [
    "adaptive",
    "allowed_tools",
    "any",
    "approximate",
    "array",
    "auto",
    "boolean",
    "content",
    "custom",
    "custom_tool_call",
    "custom_tool_call_output",
    "disabled",
    "enabled",
    "ephemeral",
    "function",
    "function_call",
    "function_call_output",
    "grammar",
    "input_text",
    "integer",
    "json_object",
    "json_schema",
    "message",
    "none",
    "null",
    "number",
    "object",
    "output_text",
    "reasoning",
    "reasoning_text",
    "redacted_thinking",
    "refusal",
    "search_result",
    "string",
    "summary_text",
    "text",
    "thinking",
    "tool",
    "tool_result",
    "tool_use",
    "url_citation",
];

/// The start of the types of edits that leave out a part of the prompt.
const CLEARED: &str = "clear_";

/// What a body has beside text. It may say more than there is, where a tool names its parameters so: a bound is larger then.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Whether the bytes of the body do not bound the tokens of the prompt.
    pub(crate) has_references: bool,
    /// Whether a part of the prompt is to be written to the cache.
    pub(crate) writes_cache: bool,
    /// Whether it is to be written for an hour.
    pub(crate) writes_long_cache: bool,
    /// Whether the prompt has audio.
    pub(crate) has_audio: bool,
    /// Whether the output has audio.
    pub(crate) asks_for_audio: bool,
}

impl Scan {
    /// Scans a body.
    ///
    /// # Errors
    /// If it is not JSON.
    pub(crate) fn of(body: &[u8]) -> Result<Self, serde_json::Error> {
        let mut scan = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        Walk { scan: &mut scan, key: None, depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(scan)
    }

    // Some servers do not heed the case of names.
    fn note_key(&mut self, key: &str) {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        self.has_references |= REFERENCES.into_iter().any(is);
        self.writes_cache |= is("cache_control");
        self.has_audio |= ["audio", "audio_url", "input_audio"].into_iter().any(is);
    }

    fn note_text(&mut self, key: &str, text: &str) {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let is_text = || TEXT_TYPES.contains(&text) || text.starts_with(CLEARED);
        self.has_references |= is("type") && !is_text();
        self.writes_long_cache |= is("ttl") && text == "1h";
        self.asks_for_audio |= is("modalities") && text == "audio";
    }
}

/// Whether a value is text, whatever its fields are named: what a tool was called with, a schema, and what the client notes of the
/// request. Input at the top is the prompt.
fn is_opaque(depth: usize, key: &str) -> bool {
    match depth {
        0 => key == "metadata",
        _ => matches!(key, "input" | "input_schema" | "parameters" | "schema"),
    }
}

/// Visits a value, under the key that it has or is listed under.
struct Walk<'s, 'k> {
    scan: &'s mut Scan,
    key: Option<&'k str>,
    /// The number of objects and lists around it.
    depth: usize,
}

impl Walk<'_, '_> {
    fn note(&mut self) {
        if let Some(key) = self.key {
            self.scan.note_key(key);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.note();
        Ok(())
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.note();
        Ok(())
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.note();
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.note();
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.note();
        if let Some(key) = self.key {
            self.scan.note_text(key, text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.note();
        let (key, depth) = (self.key, self.depth + 1);
        while items.next_element_seed(Walk { scan: &mut *self.scan, key, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        self.note();
        while let Some(key) = fields.next_key::<Cow<'de, str>>()? {
            if is_opaque(self.depth, &key) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            fields.next_value_seed(Walk { scan: &mut *self.scan, key: Some(&key), depth: self.depth + 1 })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(body: &str) -> Scan {
        Scan::of(body.as_bytes()).unwrap()
    }

    #[test]
    fn text_and_functions_have_no_references() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"image_url: \"file_id\""}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"previous_response_id":null}"#,
            r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","id":"t","name":"n","input":{}},{"type":"tool_result"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"type":"image","file_id":"a"}}]}]}"#,
            r#"{"model":"m","metadata":{"type":"nightly","file_id":"a"},"tool_choice":{"type":"auto"}}"#,
            r#"{"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}}"#,
            r#"{"tools":[{"name":"f","input_schema":{"type":"object","properties":{"file_id":{"type":"string"}}}}]}"#,
        ] {
            assert_eq!(scan(body), Scan::default(), "{body}");
        }
    }

    #[test]
    fn what_is_not_in_the_body_or_no_text_is_found_at_any_depth() {
        for body in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"AA=="}}]}]}"#,
            r#"{"previous_response_id":"resp_1"}"#,
            r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
            r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#,
            r#"{"mcp_servers":[{"name":"a"}]}"#,
            r#"{"input":[{"type":"image_url","image_url":"https://x/y.png"}]}"#,
            r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
            r#"{"tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#,
            r#"{"messages":[{"content":[{"Type":"image","source":{"Image_URL":"x"}}]}]}"#,
            r#"{"chat_template":"{% for i in range(9999) %}a{% endfor %}"}"#,
            r#"{"extra_body":{"google":{"cached_content":"cachedContents/1"}}}"#,
            // What is not known is not assumed to be text.
            r#"{"tools":[{"type":"advisor_20260301"}]}"#,
            r#"{"input":[{"type":"compaction","encrypted_content":"A"}]}"#,
        ] {
            assert!(scan(body).has_references, "{body}");
        }
    }

    #[test]
    fn caches_and_audio_are_found() {
        let cached = scan(r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#);
        assert!(cached.writes_cache && cached.writes_long_cache && !cached.has_references);
        assert!(scan(r#"{"modalities":["text","audio"]}"#).asks_for_audio);
        assert!(scan(r#"{"content":[{"type":"input_audio","input_audio":{"data":"A"}}]}"#).has_audio);
        assert!(scan(r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#).has_audio);
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for body in ["", "{", r#"{"a":1} x"#, &"[".repeat(1_000)] {
            assert!(Scan::of(body.as_bytes()).is_err());
        }
    }
}
