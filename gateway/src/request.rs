//! Requests: what of one the gateway reads, and the two things that it adds.

use crate::config::{ChatOutputField, MAX_TOKENS};
use crate::endpoint::Endpoint;
use crate::scan::Scan;
use bytes::Bytes;
use domain::{Name, TextError};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// The most choices of a request, as providers limit them.
const MAX_CHOICES: u64 = 128;
/// The searches that are assumed if a request lets the provider search and states no number.
const DEFAULT_SEARCHES: u64 = 16;

/// The fields that a bound or a change of a request depends on. Under a name that differs in case only, some servers read them too.
const READ_FIELDS: [&str; 18] = [
    "background",
    "fallbacks",
    "inference_geo",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "model",
    "models",
    "n",
    "prediction",
    "prompt",
    "service_tier",
    "speed",
    "stream",
    "stream_options",
    "thinking",
    "tools",
    "web_search_options",
];

/// The fields in which a request names models that some servers answer it with instead. It is reserved, and charged, for one.
const OTHER_MODELS: [&str; 2] = ["fallbacks", "models"];

/// What the gateway reads of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: Name,
    /// Whether the response is to be streamed.
    pub(crate) is_streamed: bool,
    /// The limit of the output of each choice; none if the request has none.
    pub(crate) output: Option<u64>,
    /// Whether the request has a limit of its output that its upstream heeds, or needs none.
    pub(crate) has_limit: bool,
    /// The number of choices.
    pub(crate) choices: u64,
    /// The most output tokens of each choice beyond its limit: what the request predicts and turns out otherwise, and thinking between
    /// uses of tools, which may take more than the limit.
    pub(crate) beyond_limit: u64,
    /// The output tokens that the request sets aside for thinking, of which its limit must have more.
    pub(crate) thinking: u64,
    /// Whether the usage of a streamed chat is asked for.
    pub(crate) asks_for_usage: bool,
    pub(crate) service_tier: Option<Name>,
    pub(crate) speed: Option<Name>,
    /// Where the call is to be served, of Anthropic.
    pub(crate) region: Option<Name>,
    /// The searches that the provider may make for the call.
    pub(crate) searches: u64,
    pub(crate) bytes: u64,
    pub(crate) scan: Scan,
}

/// Why a request is not passed on.
#[derive(Debug, Error)]
pub(crate) enum BadRequest {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A field occurs twice, so that the provider may read another one than the gateway.
    #[error("the field {0} occurs twice")]
    Twice(String),
    /// A field that the gateway reads is spelt otherwise, so that the provider may read it and the gateway does not.
    #[error("the field {0} is spelt in small letters")]
    Case(&'static str),
    /// There is no model.
    #[error("the request needs a model")]
    NoModel,
    /// The model cannot be a name.
    #[error("the model cannot be a name: {0}")]
    Model(TextError),
    /// A field has another form than the API has.
    #[error("the field {field} must be {form}")]
    Form { field: &'static str, form: &'static str },
    /// A number is too large.
    #[error("the field {field} is {found}; the limit is {limit}")]
    TooMany { field: &'static str, found: u64, limit: u64 },
    /// The request names other models, which may cost more.
    #[error("the field {0} names models beside that of the request, for which the call is reserved: name one model")]
    OtherModels(&'static str),
    /// The request asks for what cannot be metered.
    #[error("the gateway does not pass on {0}, whose usage it does not see")]
    Unmetered(&'static str),
}

/// The fields of a body, in their order.
struct Body<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object).map(Body)
    }
}

/// A name as servers read it that do not heed the case of names.
fn folded(name: &str) -> String {
    // Both, for letters of which only one has the other case, such as the sign of Kelvin.
    name.to_uppercase().to_lowercase()
}

impl<'a> Body<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, BadRequest> {
        let fields: Self = serde_json::from_slice(body)?;
        let mut names = BTreeSet::new();
        for (name, _) in &fields.0 {
            let folded = folded(name);
            if let Some(read) = READ_FIELDS.into_iter().find(|read| *read == folded && read != name) {
                return Err(BadRequest::Case(read));
            }
            if !names.insert(folded) {
                return Err(BadRequest::Twice(name.chars().take(64).collect()));
            }
        }
        Ok(fields)
    }

    /// The value of a field, unless it is absent or null.
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, value)| known == name && value.get() != "null").map(|(_, value)| *value)
    }

    fn read<T: Deserialize<'a>>(&self, field: &'static str, form: &'static str) -> Result<Option<T>, BadRequest> {
        let read =
            |value: &'a RawValue| serde_json::from_str(value.get()).map_err(|_| BadRequest::Form { field, form });
        self.raw(field).map(read).transpose()
    }

    fn count(&self, field: &'static str, limit: u64) -> Result<Option<u64>, BadRequest> {
        match self.read::<u64>(field, "a whole number")? {
            Some(found) if found > limit => Err(BadRequest::TooMany { field, found, limit }),
            Some(0) => Err(BadRequest::Form { field, form: "1 or more" }),
            found => Ok(found),
        }
    }

    /// A name that a price may depend on; none if the provider chooses it.
    fn choice(&self, field: &'static str) -> Result<Option<Name>, BadRequest> {
        let chosen = self.read::<String>(field, "text")?.filter(|text| !matches!(text.as_str(), "auto" | "default"));
        chosen.map(|text| Name::new(text).map_err(|_| BadRequest::Form { field, form: "a name" })).transpose()
    }

    /// Whether the usage of a streamed chat is asked for. The options are an object, since a field may be added to them.
    fn asks_for_usage(&self) -> Result<bool, BadRequest> {
        let Some(options) = self.raw("stream_options") else { return Ok(false) };
        if !options.get().starts_with('{') {
            return Err(BadRequest::Form { field: "stream_options", form: "an object" });
        }
        let options = Body::parse(options.get().as_bytes())?;
        Ok(options.read("include_usage", "true or false")?.unwrap_or(false))
    }

    /// Sets a field: in its place, or at the end.
    fn set(fields: &mut Vec<(String, Box<RawValue>)>, name: &str, value: Box<RawValue>) {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => fields.push((name.to_owned(), value)),
        }
    }
}

#[derive(Deserialize)]
struct Thinking {
    budget_tokens: Option<u64>,
}

/// A tool of a request.
#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    max_uses: Option<u64>,
}

impl Tool {
    /// The searches that the provider may make with it.
    fn searches(&self) -> u64 {
        let is_search = self.kind.as_ref().is_some_and(|kind| kind.starts_with("web_search"));
        if is_search { self.max_uses.unwrap_or(DEFAULT_SEARCHES) } else { 0 }
    }
}

/// The fields of a request by which its upstream limits the output.
const fn heeded_fields(endpoint: Endpoint, chat_field: ChatOutputField) -> &'static [&'static str] {
    let is_older = matches!((endpoint, chat_field), (Endpoint::ChatCompletions, ChatOutputField::MaxTokens));
    if is_older { &["max_tokens"] } else { endpoint.output_fields() }
}

impl CallRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`BadRequest`] if it cannot be passed on.
    pub(crate) fn read(endpoint: Endpoint, body: &[u8], chat_field: ChatOutputField) -> Result<Self, BadRequest> {
        let fields = Body::parse(body)?;
        let model = fields.read::<String>("model", "text")?.ok_or(BadRequest::NoModel)?;
        if let Some(field) = OTHER_MODELS.into_iter().find(|field| fields.raw(field).is_some()) {
            return Err(BadRequest::OtherModels(field));
        }
        if endpoint == Endpoint::Responses {
            let is_background = fields.read::<bool>("background", "true or false")?.unwrap_or(false);
            if is_background {
                return Err(BadRequest::Unmetered("responses in the background"));
            }
        }
        let limits = endpoint.output_fields().iter().map(|&field| fields.count(field, MAX_TOKENS));
        let output = limits.collect::<Result<Vec<_>, _>>()?.into_iter().max().flatten();
        let choices = match endpoint {
            Endpoint::ChatCompletions => fields.count("n", MAX_CHOICES)?.unwrap_or(1),
            Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages | Endpoint::CountTokens => 1,
        };
        let thinking: Option<Thinking> = match endpoint {
            Endpoint::Messages => fields.read("thinking", "an object")?,
            Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Embeddings | Endpoint::CountTokens => None,
        };
        let thinking = thinking.and_then(|thinking| thinking.budget_tokens).unwrap_or(0);
        let interleaved = thinking * u64::from(output.is_some_and(|limit| thinking >= limit));
        let asks_for_usage = match endpoint {
            Endpoint::ChatCompletions => fields.asks_for_usage()?,
            Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages | Endpoint::CountTokens => false,
        };
        let heeded = heeded_fields(endpoint, chat_field);
        let predicted = match endpoint {
            // A token takes at least a byte.
            Endpoint::ChatCompletions => fields.raw("prediction").map_or(0, |prediction| prediction.get().len() as u64),
            Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages | Endpoint::CountTokens => 0,
        };
        let tools: Vec<Tool> = fields.read("tools", "a list of tools")?.unwrap_or_default();
        let of_chat = if fields.raw("web_search_options").is_some() { DEFAULT_SEARCHES } else { 0 };
        let searches = tools.iter().map(Tool::searches).fold(of_chat, u64::saturating_add);
        let mut scan = Scan::of(body)?;
        // A prompt that is kept at the provider.
        scan.has_references |= endpoint == Endpoint::Responses && fields.raw("prompt").is_some();
        Ok(Self {
            endpoint,
            model: Name::new(model).map_err(BadRequest::Model)?,
            is_streamed: fields.read::<bool>("stream", "true or false")?.unwrap_or(false),
            output,
            has_limit: heeded.is_empty() || heeded.iter().any(|field| fields.raw(field).is_some()),
            choices,
            beyond_limit: predicted.saturating_add(interleaved),
            thinking,
            asks_for_usage,
            service_tier: fields.choice("service_tier")?,
            speed: fields.choice("speed")?,
            region: fields.choice("inference_geo")?,
            searches,
            bytes: body.len() as u64,
            scan,
        })
    }
}

/// What the gateway changes of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Additions {
    /// Ask for the usage of a streamed chat.
    pub(crate) usage: bool,
    /// Limit the output of each choice to this.
    pub(crate) output: Option<u64>,
}

impl Additions {
    /// The body with the additions; the bytes as they are if there are none.
    ///
    /// # Errors
    /// If the body is not JSON.
    pub(crate) fn apply(
        self,
        endpoint: Endpoint,
        body: &Bytes,
        chat_field: ChatOutputField,
    ) -> Result<Bytes, BadRequest> {
        if self == Self::default() {
            return Ok(body.clone());
        }
        let fields = Body::parse(body)?;
        let mut changed: Vec<_> = fields.0.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        if self.usage {
            let mut options = match fields.raw("stream_options") {
                Some(options) => serde_json::from_str::<Body<'_>>(options.get())?.0,
                None => Vec::new(),
            };
            options.retain(|(name, _)| name != "include_usage");
            let mut options: Vec<_> = options.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            Body::set(&mut options, "include_usage", to_raw_value(&true)?);
            Body::set(&mut changed, "stream_options", RawValue::from_string(text_of(&options)?)?);
        }
        if let Some(limit) = self.output {
            let stated: Vec<_> =
                endpoint.output_fields().iter().copied().filter(|name| fields.raw(name).is_some()).collect();
            let added = match endpoint {
                Endpoint::ChatCompletions => Some(chat_field.name()),
                Endpoint::Responses | Endpoint::Embeddings | Endpoint::Messages | Endpoint::CountTokens => {
                    endpoint.output_fields().first().copied()
                }
            };
            // One that the upstream does not heed is no limit.
            let heeded = heeded_fields(endpoint, chat_field);
            let added = added.filter(|_| !stated.iter().any(|name| heeded.contains(name)));
            for name in stated.into_iter().chain(added) {
                Body::set(&mut changed, name, to_raw_value(&limit)?);
            }
        }
        Ok(text_of(&changed)?.into())
    }
}

/// Fields as an object. Their values are written as they were.
fn text_of(fields: &[(String, Box<RawValue>)]) -> Result<String, serde_json::Error> {
    let mut text = String::from("{");
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, body: &str) -> Result<CallRequest, BadRequest> {
        CallRequest::read(endpoint, body.as_bytes(), ChatOutputField::MaxCompletionTokens)
    }

    fn apply(endpoint: Endpoint, body: &str, additions: Additions) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let applied = additions.apply(endpoint, &body, ChatOutputField::MaxCompletionTokens).unwrap();
        String::from_utf8(applied.to_vec()).unwrap()
    }

    #[test]
    fn limits_and_choices_are_read() {
        let chat = |body: &str| read(Endpoint::ChatCompletions, body).unwrap();
        assert_eq!(chat(r#"{"model":"m"}"#).output, None);
        assert_eq!(chat(r#"{"model":"m","max_tokens":5,"max_completion_tokens":7,"n":3}"#).output, Some(7));
        assert_eq!(chat(r#"{"model":"m","max_tokens":null,"n":3}"#).choices, 3);
        let message = read(
            Endpoint::Messages,
            r#"{"model":"m","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":3000}}"#,
        );
        let message = message.unwrap();
        assert_eq!((message.output, message.thinking), (Some(4000), 3000));
        assert_eq!(read(Endpoint::Responses, r#"{"model":"m","max_output_tokens":9}"#).unwrap().output, Some(9));
        assert!(chat(r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#).asks_for_usage);
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"model":"m","max_tokens":1,"max_tokens":1000}"#,
            r#"{"model":"m","max_tokens":1,"max_token\u0073":1000}"#,
            r#"{"model":"m","max_tokens":1,"Max_Tokens":1000}"#,
            r#"{"model":"m","MAX_TOKENS":1000}"#,
            // The sign of Kelvin, which is a small k to servers in Go.
            r#"{"model":"m","max_to\u212aens":1000}"#,
            r#"{"model":"m","temperature":1,"TEMPERATURE":2}"#,
            r#"{"model":"m","tools":{}}"#,
            r#"{"model":"m","tools":[{"type":"web_search","max_uses":3.5}]}"#,
            r#"{"model":"m","max_tokens":-1}"#,
            r#"{"model":"m","max_tokens":0}"#,
            r#"{"model":"m","max_tokens":"1"}"#,
            r#"{"model":"m","max_tokens":1.5}"#,
            r#"{"model":"m","max_tokens":1000000001}"#,
            r#"{"model":"m","n":129}"#,
            r#"{"model":"m","stream":true,"stream_options":[false]}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"Include_Usage":false}}"#,
            r#"{"model":"m","stream":"yes"}"#,
            r#"{"model":""}"#,
            r#"{"model":7}"#,
            r#"{"messages":[]}"#,
        ] {
            assert!(read(Endpoint::ChatCompletions, body).is_err(), "{body}");
        }
        for field in OTHER_MODELS {
            let others = read(Endpoint::ChatCompletions, &format!(r#"{{"model":"m","{field}":["dear"]}}"#));
            assert!(matches!(others, Err(BadRequest::OtherModels(named)) if named == field));
            assert!(read(Endpoint::ChatCompletions, &format!(r#"{{"model":"m","{field}":null}}"#)).is_ok());
        }
        let background = read(Endpoint::Responses, r#"{"model":"m","background":true}"#);
        assert!(matches!(background, Err(BadRequest::Unmetered(_))));
    }

    #[test]
    fn searches_are_those_of_each_tool_that_searches() {
        let searches = |body: &str| read(Endpoint::Messages, body).unwrap().searches;
        assert_eq!(searches(r#"{"model":"m","tools":[{"type":"web_search","max_uses":3}]}"#), 3);
        assert_eq!(searches(r#"{"model":"m","tools":[{"type":"web_search_preview"}]}"#), DEFAULT_SEARCHES);
        assert_eq!(searches(r#"{"model":"m","tools":[{"type":"function","max_uses":3}]}"#), 0);
        // The uses of another tool do not limit searches.
        let both =
            r#"{"model":"m","tools":[{"type":"web_search_20250305"},{"type":"web_fetch_20250910","max_uses":1}]}"#;
        assert_eq!(searches(both), DEFAULT_SEARCHES);
        assert_eq!(searches(r#"{"model":"m","web_search_options":{}}"#), DEFAULT_SEARCHES);
    }

    #[test]
    fn a_limit_that_the_upstream_does_not_heed_is_none() {
        let body = r#"{"max_completion_tokens":99,"model":"m"}"#;
        let read = |field| CallRequest::read(Endpoint::ChatCompletions, body.as_bytes(), field).unwrap();
        assert!(read(ChatOutputField::MaxCompletionTokens).has_limit);
        assert!(!read(ChatOutputField::MaxTokens).has_limit);
        let limited = Additions { output: Some(10), usage: false };
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let applied = limited.apply(Endpoint::ChatCompletions, &bytes, ChatOutputField::MaxTokens).unwrap();
        assert_eq!(applied, r#"{"max_completion_tokens":10,"model":"m","max_tokens":10}"#);
        // Both of them are refused by providers that know both.
        let older = r#"{"max_tokens":99,"model":"m"}"#;
        assert_eq!(apply(Endpoint::ChatCompletions, older, limited), r#"{"max_tokens":10,"model":"m"}"#);
    }

    #[test]
    fn bodies_are_passed_on_as_they_are_but_for_the_additions() {
        let body = r#"{ "model" : "m", "temperature": 1.0e0, "messages":[ {"content":"\u00e9"} ] }"#;
        assert_eq!(apply(Endpoint::ChatCompletions, body, Additions::default()), body);
        let limited = Additions { output: Some(10), usage: false };
        assert_eq!(
            apply(Endpoint::ChatCompletions, body, limited),
            r#"{"model":"m","temperature":1.0e0,"messages":[ {"content":"\u00e9"} ],"max_completion_tokens":10}"#
        );
        assert_eq!(
            apply(Endpoint::ChatCompletions, r#"{"max_tokens":99,"model":"m"}"#, limited),
            r#"{"max_tokens":10,"model":"m"}"#
        );
        assert_eq!(apply(Endpoint::Responses, "{}", limited), r#"{"max_output_tokens":10}"#);
        let usage = Additions { usage: true, output: None };
        let options = r#"{"stream_options":{"a":1,"include_usage":false},"model":"m"}"#;
        assert_eq!(
            apply(Endpoint::ChatCompletions, options, usage),
            r#"{"stream_options":{"a":1,"include_usage":true},"model":"m"}"#
        );
        assert_eq!(
            apply(Endpoint::ChatCompletions, r#"{"stream_options":null}"#, usage),
            r#"{"stream_options":{"include_usage":true}}"#
        );
    }
}
