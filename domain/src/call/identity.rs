//! The identity of calls: which records are of one call.
//!
//! Two records are of one call if they have a key in common, or if other records tie their keys together; never because they
//! look alike. A record has the strongest of these keys that it can have, and those of the others that are certain too:
//!
//! 1. the id that the provider gave the response, if it has a form that providers make unique, with the family of the
//!    provider and the model;
//! 2. its trace and span;
//! 3. the id that the provider gave the request, if it has a form that providers make unique;
//! 4. its session, with its request and the id of its response, or with the first message of its turn;
//! 5. its content, and the number of equal records before it in its input.

use crate::call::values::{CallKind, CallSpan};
use crate::ids::{CallId, derived_id};
use crate::provider::{family, provider_name};
use std::collections::BTreeSet;
use uuid::{Uuid, Variant};

/// What identifies a call. Records with an equal key are of one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(Vec<String>);

/// A form of ids that providers make unique.
struct IdForm {
    prefix: &'static str,
    /// The family of providers that makes the ids, whichever provider served the call; none if several do.
    made_by: Option<&'static str>,
    /// Whether every id with the prefix is unique. Otherwise only those with enough random characters are: others count
    /// from 0.
    is_always_unique: bool,
}

const ID_FORMS: [IdForm; 8] = [
    IdForm { prefix: "msg_", made_by: Some("anthropic"), is_always_unique: true },
    IdForm { prefix: "compl_", made_by: Some("anthropic"), is_always_unique: true },
    IdForm { prefix: "run_", made_by: Some("openai"), is_always_unique: false },
    IdForm { prefix: "gen-", made_by: Some("openrouter"), is_always_unique: false },
    IdForm { prefix: "chatcmpl-", made_by: None, is_always_unique: false },
    IdForm { prefix: "chat-", made_by: None, is_always_unique: false },
    IdForm { prefix: "cmpl-", made_by: None, is_always_unique: false },
    IdForm { prefix: "resp_", made_by: None, is_always_unique: false },
];

/// The forms of ids of requests that providers make unique: `req_011C…` of Anthropic, `req_vrtx_011C…` of Anthropic's models at
/// Google, and `req_` with 32 hexadecimal digits of OpenAI. No two providers make one id.
const REQUEST_FORMS: [IdForm; 1] = [IdForm { prefix: "req_", made_by: None, is_always_unique: false }];

/// The minimum number of characters of a random part of an id that has letters and digits. Counters are shorter, or digits
/// with or without a word before them.
const MIN_MIXED: usize = 8;
/// The minimum number of characters of a random part of an id that has letters only.
const MIN_LETTERS: usize = 20;
/// The minimum number of characters of a random id without a prefix, and the minimum share of those that are of another kind
/// than the one before: capital letter, small letter, or digit. Of random ones three in five are, of words and numbers few.
const MIN_TOKEN: usize = 20;
const MIN_CHANGES_PERCENT: usize = 40;
/// The number of hexadecimal digits of a random id without a prefix, and the minimum number of different ones.
const HEX_DIGITS: usize = 32;
const MIN_DIFFERENT_DIGITS: usize = 8;

impl CallKey {
    /// The key of a response; none if the form of its id does not make it unique. A provider or model that the record does
    /// not name is empty. Some clients give the id of the request as that of the response: then it is the key of the request.
    #[must_use]
    pub fn of_response(provider: &str, model: &str, response_id: &str) -> Option<Self> {
        if let Some(of_request) = Self::of_provider_request(response_id) {
            return Some(of_request);
        }
        let family = issuer(response_id)?.map_or_else(|| family(provider), str::to_owned);
        Some(Self::new(&["response", &family, model, response_id]))
    }

    /// As [`of_response`](Self::of_response), for a record that names no provider: none as well if several make ids of the
    /// form.
    #[must_use]
    pub fn of_issuer(model: &str, response_id: &str) -> Option<Self> {
        issuer(response_id)??;
        Self::of_response("", model, response_id)
    }

    /// The key of a request by the id that its provider gave it; none if the form of the id does not make it unique. A request has
    /// one response, so that neither the provider nor the model is a part of the key: clients name the models that they ask for.
    #[must_use]
    pub fn of_provider_request(request_id: &str) -> Option<Self> {
        unique_form(&REQUEST_FORMS, request_id)?;
        Some(Self::new(&["provider-request", request_id]))
    }

    /// The key of a call that a span describes. A span may describe both a call to a model and one to a tool.
    #[must_use]
    pub fn of_span(kind: CallKind, span: &CallSpan) -> Self {
        let kind = match kind {
            CallKind::Llm => "span",
            CallKind::Tool => "tool",
        };
        Self::new(&[kind, &span.trace_id.to_string(), &span.span_id.to_string()])
    }

    /// The key of a request of a session, by ids that may count from 0 in each session; none if the id of the session or of the
    /// request is empty.
    #[must_use]
    pub fn of_request(source: &str, session: &str, request_id: &str, response_id: &str) -> Option<Self> {
        let is_known = [session, request_id].iter().all(|id| !id.trim().is_empty());
        is_known.then(|| Self::new(&["request", source, session, request_id, response_id]))
    }

    /// Whether it is the key of a request of a session.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        self.0.first().is_some_and(|kind| kind == "request")
    }

    /// The key of a turn of a session; none if the id of its first message is empty.
    #[must_use]
    pub fn of_turn(source: &str, session: &str, first_message: &str) -> Option<Self> {
        (!first_message.is_empty()).then(|| Self::new(&["turn", source, session, first_message]))
    }

    /// The key that a client gives a call of a provider. A provider that is not known is empty.
    #[must_use]
    pub fn of_client(provider: &str, key: &str) -> Self {
        Self::new(&["client", &provider_name(provider), key])
    }

    /// The key of a record without ids: its source, its content, and the number of equal records before it.
    #[must_use]
    pub fn of_content(source: &str, content: &[&str], occurrence: u64) -> Self {
        Self::new(&[&["content", source, &occurrence.to_string()], content].concat())
    }

    /// The id of the call, which is derived from the key: the same key always gives the same id.
    #[must_use]
    pub fn call_id(&self) -> CallId {
        let parts: Vec<&str> = std::iter::once("call").chain(self.0.iter().map(String::as_str)).collect();
        derived_id(&parts).into()
    }

    fn new(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }
}

/// The ids that one record gives its call, at least one: one for each of its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallIds {
    highest: CallId,
    /// The others, all of them lower.
    lower: BTreeSet<CallId>,
}

impl CallIds {
    /// Several ids; none if there are none.
    #[must_use]
    pub fn of(ids: impl IntoIterator<Item = CallId>) -> Option<Self> {
        let mut ids = ids.into_iter();
        let first = ids.next()?;
        Some(ids.fold(first.into(), Self::with))
    }

    /// Adds an id.
    #[must_use]
    pub fn with(mut self, id: CallId) -> Self {
        self.lower.insert(id.min(self.highest));
        self.highest = self.highest.max(id);
        self.lower.remove(&self.highest);
        self
    }

    /// The ids, the lowest one first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = CallId> {
        self.lower.iter().copied().chain([self.highest])
    }

    /// The highest id. If there are several, the call is recorded under a lower one, and this one is voided.
    #[must_use]
    pub fn highest(&self) -> CallId {
        self.highest
    }

    /// The id, if there is only one.
    #[must_use]
    pub fn single(&self) -> Option<CallId> {
        self.lower.is_empty().then_some(self.highest)
    }
}

impl From<CallId> for CallIds {
    fn from(id: CallId) -> Self {
        Self { highest: id, lower: BTreeSet::new() }
    }
}

/// The family that makes ids of the form of an id, if only one does; none if the form does not make the id unique.
fn issuer(response_id: &str) -> Option<Option<&'static str>> {
    if !ID_FORMS.iter().any(|form| response_id.starts_with(form.prefix)) {
        let is_unique = is_uuid(response_id) || is_random_hex(response_id) || is_random_token(response_id);
        return is_unique.then_some(None);
    }
    unique_form(&ID_FORMS, response_id).map(|form| form.made_by)
}

/// The form of an id, if it makes the id unique.
fn unique_form<'f>(forms: &'f [IdForm], id: &str) -> Option<&'f IdForm> {
    let form = forms.iter().find(|form| id.starts_with(form.prefix))?;
    let random = &id[form.prefix.len()..];
    let is_unique = if form.is_always_unique { is_id(random) } else { is_random(random) };
    is_unique.then_some(form)
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether an id, without its prefix, has a part that is random. The parts are judged one by one: words and counters do not
/// become random by standing together.
fn is_random(text: &str) -> bool {
    is_id(text) && (is_uuid(text) || text.split(['-', '_']).any(is_random_part))
}

fn is_random_part(part: &str) -> bool {
    let after_letters = part.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    let has_letter = part.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_numbered_word = after_letters.bytes().all(|byte| byte.is_ascii_digit());
    if is_mixed(part) { part.len() >= MIN_MIXED && !is_numbered_word } else { has_letter && part.len() >= MIN_LETTERS }
}

/// Whether the text is a random number in hexadecimal digits, as Mistral's ids are.
fn is_random_hex(text: &str) -> bool {
    let is_hex = text.len() == HEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && text.bytes().collect::<BTreeSet<_>>().len() >= MIN_DIFFERENT_DIGITS && is_mixed(text)
}

/// Whether the text is random in letters of both cases and digits, as Gemini's ids are.
fn is_random_token(text: &str) -> bool {
    let kind = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_lowercase(), byte.is_ascii_digit());
    let kinds: Vec<_> = text.bytes().map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let has_all =
        text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_long = text.len() >= MIN_TOKEN && is_id(text) && is_mixed(text) && has_all;
    is_long && changes * 100 >= text.len() * MIN_CHANGES_PERCENT
}

/// Whether there are letters and digits.
fn is_mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_alphabetic()) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether the text is a UUID of a version that makes it unique, rather than one that someone numbered.
fn is_uuid(text: &str) -> bool {
    let is_of_version = |id: Uuid| id.get_variant() == Variant::RFC4122 && id.get_version().is_some();
    Uuid::try_parse(text).is_ok_and(|id| is_of_version(id) && !id.is_nil() && !id.is_max())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(provider: &str, model: &str, response_id: &str) -> Option<CallId> {
        CallKey::of_response(provider, model, response_id).map(|key| key.call_id())
    }

    #[test]
    fn ids_of_a_unique_form_are_keys() {
        for unique in [
            "msg_9",
            "msg_01XFDUDYJgAACzvnptvVoYEL",
            "msg_bdrk_01HqJ5cWpmPBLUHHYM1dVYqK",
            "chatcmpl-Abc123uniq",
            "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW",
            "chatcmpl-abcdefghijklmnopqrstuvwxyzabc",
            "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
            "gen-1718000000-aB3dE5gH7jK9mN1pQ3sT",
            "cmpl-e5cc70bb28c444948073e77776eb30ef",
            "chatcmpl-8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f",
            "chatcmpl-12345678-1234-4234-8234-123456789012",
            "8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f",
            "compl_01EjfrPvPEsRDRUKD6VoBxtK",
            "run_qI4jt699qmkHzp0Rbs30AseB",
            "chat-4db07f02ecae49cbafe1d359db1650df",
            "d5f2a3c4b6e7f8091a2b3c4d5e6f7a8b",
            "Dq5vaO6uHM2zqtsPk6CyqQE",
        ] {
            assert!(id("p", "m", unique).is_some(), "{unique}");
            assert_eq!(id("p", "m", unique), id("p", "m", unique));
            assert_ne!(id("p", "m", unique), id("p", "other", unique), "a model does not answer for another one");
        }
    }

    #[test]
    fn ids_of_other_forms_are_no_keys() {
        for other in [
            "",
            "0",
            "373",
            "msg_",
            "msg_\u{e9}",
            "msg_a b",
            "ocrelay",
            "chatcmpl-",
            "chatcmpl-0",
            "chatcmpl-373",
            "chatcmpl-1773136800000000000",
            "chatcmpl-response",
            "chatcmpl-request-1",
            "chatcmpl-request0001",
            "resp_1",
            "resp_response-1",
            "gen-1",
            "gen-task-0001",
            "gen-1718000000-1",
            "response-1",
            "{}",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "000000000000000000000000000000a1",
            "12345678901234567890123456789012",
            "run_1",
            "chat-1",
            "Request0001ForTenantAlphaBeta",
            "request-0001-of-tenant-0002",
            "REQUEST-2024-01-01T00-00-00",
            "00000000-0000-0000-0000-000000000007",
        ] {
            assert_eq!(id("openai", "m", other), None, "{other:?}");
        }
    }

    #[test]
    fn ids_of_requests_that_providers_make_unique_are_keys_of_any_model() {
        for unique in [
            "req_011CStqPRADRX9fx9ReRNWHf",
            "req_vrtx_011CSkYcMEvHeYsmhawbaJbD",
            "req_002091b85b4bbb0b66c5a8a8d4c7a3f1",
        ] {
            let key = CallKey::of_provider_request(unique);
            assert!(key.is_some(), "{unique}");
            for (provider, model) in [("anthropic", "m"), ("", ""), ("vertex_ai", "other")] {
                assert_eq!(CallKey::of_response(provider, model, unique), key, "{unique} as the id of a response");
            }
            assert!(!key.is_some_and(|key| key.is_of_request()), "{unique}: it is of no session");
        }
        for other in
            ["", "req_", "req_1", "req_request-1", "req_0000000000000001", "req-011CStqPRADRX9fx9ReRNWHf", "msg_9"]
        {
            assert_eq!(CallKey::of_provider_request(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_call_that_a_provider_sells_on_has_the_id_that_its_family_made() {
        let completion = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
        assert_eq!(id("openai", "gpt-4o", completion), id("azure", "gpt-4o", completion));
        assert_ne!(id("openai", "gpt-4o", completion), id("groq", "gpt-4o", completion));
        // Records name a provider in different ways.
        for named in ["OpenAI", "azure.ai.openai", "az.ai.inference"] {
            assert_eq!(id(named, "gpt-4o", completion), id("openai", "gpt-4o", completion), "{named}");
        }
        assert_eq!(CallKey::of_client("Azure_OpenAI", "k"), CallKey::of_client("azure", "k"));
        // One issuer only has ids of this form.
        for provider in ["bedrock", "", "anthropic"] {
            assert_eq!(id(provider, "m", "msg_9"), id("vertex_ai", "m", "msg_9"));
        }
    }

    #[test]
    fn keys_of_different_kinds_differ() {
        let span = CallSpan {
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            span_id: "b7ad6b7169203331".parse().unwrap(),
            parent_span_id: None,
        };
        assert_ne!(CallKey::of_span(CallKind::Llm, &span), CallKey::of_span(CallKind::Tool, &span));
        assert_eq!(CallKey::of_turn("claude-code", "s", ""), None);
        assert_ne!(CallKey::of_turn("claude-code", "s", "u"), CallKey::of_turn("claude-code", "t", "u"));
        assert_ne!(CallKey::of_content("csv", &["1", "2"], 0), CallKey::of_content("csv", &["1", "2"], 1));
        assert_ne!(CallKey::of_content("csv", &["1", "2"], 0), CallKey::of_content("csv", &["12"], 0));
    }

    /// Ids are in the logs of users: a changed derivation would import every call again.
    #[test]
    fn ids_never_change() {
        assert_eq!(id("openai", "m", "msg_9").unwrap().to_string(), "744731a4-8431-5ef6-83cf-95e779783f4b");
    }
}
