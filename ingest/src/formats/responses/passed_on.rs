//! Responses of calls that were passed on to a provider, read as they arrive: the same readers as those of recorded responses.

use super::SPEC;
use super::exchange::{Exchange, Reader};
use super::shapes::{self, Answer};
use super::stream::EventStream;
use crate::error::RefusalReason;
use crate::format::Defaults;
use crate::formats::json::Fields;
use crate::record::{Location, Record};
use chrono::{DateTime, Utc};
use domain::Name;
use domain::call::{CallFacts, CallIds};

/// What is known of a call that was passed on, beside its response.
#[derive(Debug, Clone)]
pub struct PassedOn {
    /// The provider.
    pub provider: Name,
    /// The model that the request names, by which the call is counted and charged.
    pub model: Name,
    /// The id that the provider gave the request, in a header of the response.
    pub request_id: Option<String>,
    /// When the call was passed on.
    pub started_at: DateTime<Utc>,
    /// What identifies the call if its response has no id that the provider makes unique: no other call has it.
    pub key: String,
}

/// What a response states of its call.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered {
    /// The ids of the call.
    pub call_ids: CallIds,
    /// The facts.
    pub facts: CallFacts,
    /// Whether the usage of the facts is that of the whole call, as the provider states it.
    pub has_usage: bool,
    /// What of the usage was not understood, and was not counted.
    pub ignored: Option<String>,
}

/// The events of a response that is streamed, read so far.
#[derive(Default)]
pub struct StreamedResponse {
    stream: EventStream,
    /// Whether an event says that the response is at its end.
    has_ended: bool,
    /// Whether an event is an error.
    has_failed: bool,
    refused: Option<RefusalReason>,
}

impl StreamedResponse {
    /// Reads the data of an event: JSON, or `[DONE]`.
    pub fn add(&mut self, data: &str) {
        let data = data.trim();
        if data == "[DONE]" {
            self.has_ended = true;
        }
        if !data.starts_with('{') {
            return;
        }
        let added = self.stream.add(data).and_then(|()| Fields::parse(data));
        match added {
            Ok(event) => {
                self.has_ended |= is_last(&event);
                let is_failure = matches!(event.text("type").as_deref(), Some("response.failed" | "error"));
                self.has_failed |= is_failure || event.raw("error").is_some();
            }
            Err(reason) => self.refused = self.refused.take().or(Some(reason)),
        }
    }

    /// Whether an event was an error of the provider.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }
}

/// Whether an event of a stream states the usage of the whole response. Anthropic's first event states a usage too, which grows.
fn is_last(event: &Fields<'_>) -> bool {
    match event.text("type").as_deref() {
        Some("message_delta") => event.raw("usage").is_some(),
        Some("message_stop" | "response.completed" | "response.incomplete" | "response.failed") => true,
        Some(_) => false,
        // A chunk of a chat with the usage and no choices.
        None => event.raw("usage").is_some() && event.items("choices").is_some_and(|choices| choices.is_empty()),
    }
}

impl PassedOn {
    /// What a body states. One without usage, such as that of an error, names at most the response.
    ///
    /// # Errors
    /// [`RefusalReason`] if the body is not JSON, or states what is no quantity.
    pub fn read_body(&self, body: &str) -> Result<Metered, RefusalReason> {
        let fields = Fields::parse(body.trim())?;
        match shapes::answer(&fields)? {
            Some(answer) => self.metered(answer, true),
            None => self.metered(shapes::named(&fields)?, false),
        }
    }

    /// What a stream states. Its usage counts if the stream states that of the whole response.
    ///
    /// # Errors
    /// [`RefusalReason`] if an event is not JSON, or states what is no quantity.
    pub fn read_stream(&self, streamed: StreamedResponse) -> Result<Metered, RefusalReason> {
        if let Some(reason) = streamed.refused {
            return Err(reason);
        }
        let (answer, has_usage) = streamed.stream.into_parts();
        self.metered(answer, has_usage && streamed.has_ended)
    }

    /// What is known of a call without a response.
    ///
    /// # Errors
    /// As [`PassedOn::read_body`].
    pub fn without_response(&self) -> Result<Metered, RefusalReason> {
        self.metered(Answer::default(), false)
    }

    fn metered(&self, answer: Answer, has_usage: bool) -> Result<Metered, RefusalReason> {
        let mut reader = Reader::new(&SPEC, Defaults::default());
        let exchange = Exchange {
            provider: Some(self.provider.as_str()),
            model: Some(self.model.as_str().to_owned()),
            request_id: self.request_id.clone(),
            content: vec![self.key.as_str()],
            ..Exchange::default()
        };
        // Clocks of providers differ from that of the server, by which it was reserved.
        let answer = Answer { created: Some(self.started_at), ..answer };
        let Record { call_ids, facts, ignored, .. } = reader.record(Location::Item(1), answer, exchange)?;
        Ok(Metered { call_ids, facts, has_usage, ignored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Meter;

    fn passed_on() -> PassedOn {
        PassedOn {
            provider: Name::new("openai").unwrap(),
            model: Name::new("gpt-5-mini").unwrap(),
            request_id: None,
            started_at: "2026-03-10T10:00:00Z".parse().unwrap(),
            key: "one".to_owned(),
        }
    }

    fn streamed(events: &[&str]) -> Metered {
        let mut stream = StreamedResponse::default();
        events.iter().for_each(|event| stream.add(event));
        passed_on().read_stream(stream).unwrap()
    }

    #[test]
    fn a_body_states_the_usage_and_the_request_the_model() {
        let body = r#"{"id":"chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW","object":"chat.completion","created":1700000000,"model":"gpt-5-mini-2025-08-07",
            "usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}"#;
        let metered = passed_on().read_body(body).unwrap();
        let facts = &metered.facts;
        assert_eq!(facts.model.as_ref().unwrap().as_str(), "gpt-5-mini");
        assert_eq!(
            [Meter::Input, Meter::CacheRead, Meter::Output].map(|meter| facts.usage.get(meter).get()),
            [10, 2, 3]
        );
        assert!(metered.has_usage);
        assert_eq!(facts.started_at, passed_on().started_at);
        // The same response is the same call, as in a record of it.
        let other = PassedOn { key: "two".to_owned(), ..passed_on() }.read_body(body).unwrap();
        assert_eq!(other.call_ids, metered.call_ids);
    }

    #[test]
    fn responses_without_a_unique_id_are_calls_of_their_own() {
        let body = r#"{"object":"list","model":"e","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        let ids = |key: &str| PassedOn { key: key.to_owned(), ..passed_on() }.read_body(body).unwrap().call_ids;
        assert_ne!(ids("one"), ids("two"));
        assert_eq!(ids("one"), ids("one"));
    }

    #[test]
    fn a_stream_has_a_usage_once_it_states_that_of_the_whole_response() {
        let chunk = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#;
        let usage = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":7}}"#;
        assert!(!streamed(&[chunk]).has_usage && !streamed(&[chunk, "[DONE]"]).has_usage);
        assert!(streamed(&[chunk, usage]).has_usage);
        // Usage that grows with each chunk is that of the whole response at its end.
        let growing = r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#;
        assert!(!streamed(&[growing]).has_usage && streamed(&[growing, "[DONE]"]).has_usage);
        let start = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","model":"m","usage":{"input_tokens":9,"output_tokens":1}}}"#;
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}"#;
        assert!(!streamed(&[start]).has_usage);
        let whole = streamed(&[start, delta]);
        assert!(whole.has_usage);
        assert_eq!((whole.facts.usage.get(Meter::Input).get(), whole.facts.usage.get(Meter::Output).get()), (9, 20));
        let completed =
            r#"{"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":3,"output_tokens":4}}}"#;
        assert!(streamed(&[completed]).has_usage);
    }

    #[test]
    fn an_error_in_a_stream_is_one_in_the_form_of_each_api() {
        let has_failed = |event: &str| {
            let mut stream = StreamedResponse::default();
            stream.add(event);
            stream.has_failed()
        };
        assert!(has_failed(r#"{"error":{"message":"busy"}}"#));
        assert!(has_failed(r#"{"type":"error","error":{"type":"overloaded_error"}}"#));
        // The API of responses has no object for it.
        assert!(has_failed(r#"{"type":"error","code":"server_error","message":"busy","param":null}"#));
        assert!(has_failed(r#"{"type":"response.failed","response":{"id":"resp_1"}}"#));
        assert!(!has_failed(r#"{"id":"c","choices":[],"error":null}"#));
    }

    #[test]
    fn what_is_no_quantity_is_an_error_and_no_count() {
        let body = r#"{"usage":{"prompt_tokens":-1,"completion_tokens":3}}"#;
        assert!(passed_on().read_body(body).is_err());
        let mut stream = StreamedResponse::default();
        stream.add(r#"{"choices":[],"usage":{"prompt_tokens":"many"}}"#);
        assert!(passed_on().read_stream(stream).is_err());
        assert!(!passed_on().without_response().unwrap().has_usage);
    }
}
