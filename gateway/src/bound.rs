//! The most that a call may use.

use crate::config::ModelBounds;
use crate::request::CallRequest;
use domain::call::CallKind;
use domain::reservation::{Alternatives, Estimate};
use domain::{Meter, Quantity, Usage};

/// What providers add to a prompt, such as instructions for tools, in tokens.
const ADDED_TOKENS: u64 = 1024;

/// The most that a call may use, and the fewest output tokens that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) usage: Usage,
    /// None if less output than asked for would not do.
    pub(crate) min_output: Option<u64>,
    /// The most of meters that count the same tokens.
    alternatives: Usage,
}

impl Bound {
    /// The bound of a request. Each token of text takes at least a byte of its body; other content is bounded by the longest
    /// prompt that the model takes. `min_output` is what the client says would do for each choice; `default_min_output` is for
    /// requests without a limit.
    pub(crate) fn of(
        request: &CallRequest,
        bounds: &ModelBounds,
        min_output: Option<u64>,
        default_min_output: u64,
    ) -> Self {
        let scan = &request.scan;
        let input = match scan.has_references {
            true => bounds.max_input_tokens,
            false => (request.bytes + ADDED_TOKENS).min(bounds.max_input_tokens),
        };
        let generates = !request.endpoint.output_fields().is_empty();
        let of_choice = if generates { request.output.unwrap_or(bounds.output_tokens) } else { 0 };
        let of_choice = of_choice.saturating_add(request.beyond_limit);
        let output = of_choice.saturating_mul(request.choices);
        let written = |is_written| if is_written { input } else { 0 };
        let usage = [
            (Meter::Input, input),
            (Meter::Output, output),
            // What is written to the cache is not input, and may be either.
            (Meter::CacheWrite5Min, written(scan.writes_cache && !scan.writes_long_cache)),
            (Meter::CacheWrite1Hour, written(scan.writes_cache && scan.writes_long_cache)),
            (Meter::AudioInput, written(scan.has_audio)),
            (Meter::AudioOutput, if scan.asks_for_audio { output } else { 0 }),
            (Meter::Searches, request.searches),
        ];
        let alternatives = [
            (Meter::CacheRead, input),
            (Meter::Reasoning, output),
            (Meter::AudioInput, if scan.has_references { input } else { 0 }),
        ];
        let quantity =
            |(meter, number): (Meter, u64)| (meter, Quantity::new(number.min(Quantity::MAX)).unwrap_or_default());
        let wanted = min_output.or_else(|| request.output.is_none().then_some(default_min_output));
        // A limit that thinking takes as a whole is refused by the provider.
        let least = if request.thinking > 0 { request.thinking.saturating_add(1) } else { 1 };
        let of_choice = |min: u64| min.max(least).saturating_add(request.beyond_limit);
        let min_output = wanted.map(|min| of_choice(min).saturating_mul(request.choices)).filter(|min| *min < output);
        let [usage, alternatives] =
            [&usage[..], &alternatives[..]].map(|meters| meters.iter().copied().map(quantity).collect::<Usage>());
        Self { usage, min_output, alternatives }
    }

    /// What is reserved for the request.
    pub(crate) fn estimate(&self, request: &CallRequest) -> Estimate {
        Estimate {
            kind: CallKind::Llm,
            usage: self.usage,
            min_output: self.min_output,
            service_tier: request.service_tier.clone(),
            speed: request.speed.clone(),
            region: request.region.clone(),
            // Not all providers heed what a request says of them.
            alternatives: Alternatives { usage: self.alternatives, unnamed: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChatOutputField;
    use crate::endpoint::Endpoint;

    fn bound(endpoint: Endpoint, body: &str, min_output: Option<u64>) -> Bound {
        let request = CallRequest::read(endpoint, body.as_bytes(), ChatOutputField::default()).unwrap();
        let bounds = ModelBounds { max_input_tokens: 100_000, ..ModelBounds::unknown() };
        Bound::of(&request, &bounds, min_output, 256)
    }

    fn usage(endpoint: Endpoint, body: &str) -> [u64; 2] {
        let usage = bound(endpoint, body, None).usage;
        [Meter::Input, Meter::Output].map(|meter| usage.get(meter).get())
    }

    #[test]
    fn text_is_bounded_by_its_bytes_and_other_content_by_the_model() {
        let body = r#"{"model":"m","max_tokens":10}"#;
        assert_eq!(usage(Endpoint::ChatCompletions, body), [body.len() as u64 + ADDED_TOKENS, 10]);
        let image = r#"{"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#;
        assert_eq!(usage(Endpoint::ChatCompletions, image), [100_000, 4096]);
        assert_eq!(usage(Endpoint::ChatCompletions, r#"{"model":"m","n":3}"#)[1], 3 * 4096);
        assert_eq!(usage(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#)[1], 0);
        let long = format!(r#"{{"model":"m","input":"{}"}}"#, "a".repeat(200_000));
        assert_eq!(usage(Endpoint::Embeddings, &long)[0], 100_000);
    }

    #[test]
    fn what_is_written_to_the_cache_is_bounded_as_input_and_as_written() {
        let body = r#"{"model":"m","max_tokens":1,"system":[{"cache_control":{"type":"ephemeral"}}]}"#;
        let usage = bound(Endpoint::Messages, body, None).usage;
        assert_eq!(usage.get(Meter::CacheWrite5Min), usage.get(Meter::Input));
        assert_eq!(usage.get(Meter::CacheWrite1Hour).get(), 0);
    }

    #[test]
    fn less_output_does_where_the_request_has_no_limit_or_says_so() {
        let min = |endpoint, body, min| bound(endpoint, body, min).min_output;
        assert_eq!(min(Endpoint::ChatCompletions, r#"{"model":"m"}"#, None), Some(256));
        assert_eq!(min(Endpoint::ChatCompletions, r#"{"model":"m","max_tokens":900}"#, None), None);
        assert_eq!(min(Endpoint::ChatCompletions, r#"{"model":"m","max_tokens":900,"n":2}"#, Some(50)), Some(100));
        assert_eq!(min(Endpoint::ChatCompletions, r#"{"model":"m","max_tokens":40}"#, Some(50)), None);
        let thinking = r#"{"model":"m","max_tokens":900,"thinking":{"type":"enabled","budget_tokens":700}}"#;
        assert_eq!(min(Endpoint::Messages, thinking, Some(50)), Some(701));
        let largest = r#"{"model":"m","max_tokens":900,"thinking":{"budget_tokens":18446744073709551615}}"#;
        assert_eq!(min(Endpoint::Messages, largest, Some(50)), None, "the provider refuses it");
    }

    #[test]
    fn what_is_predicted_is_output_beyond_the_limit_of_each_choice() {
        let predicted = r#"{"type":"content","content":"a b c"}"#;
        let body = format!(r#"{{"model":"m","max_tokens":10,"n":2,"prediction":{predicted}}}"#);
        let bound = bound(Endpoint::ChatCompletions, &body, Some(5));
        assert_eq!(bound.usage.get(Meter::Output).get(), 2 * (10 + predicted.len() as u64));
        assert_eq!(bound.min_output, Some(2 * (5 + predicted.len() as u64)));
    }

    #[test]
    fn thinking_that_may_take_more_than_the_limit_is_output_beyond_it() {
        let output = |budget: u64| {
            let body = format!(r#"{{"model":"m","max_tokens":900,"thinking":{{"budget_tokens":{budget}}}}}"#);
            bound(Endpoint::Messages, &body, None).usage.get(Meter::Output).get()
        };
        assert_eq!([output(899), output(900), output(5000)], [900, 1800, 5900]);
    }

    #[test]
    fn the_price_may_depend_on_where_the_call_is_to_be_served() {
        let body = br#"{"model":"m","max_tokens":1,"inference_geo":"us","service_tier":"flex"}"#;
        let request = CallRequest::read(Endpoint::Messages, body, ChatOutputField::default()).unwrap();
        let bounds = ModelBounds { max_input_tokens: 100_000, ..ModelBounds::unknown() };
        let estimate = Bound::of(&request, &bounds, None, 256).estimate(&request);
        let name = |text: &str| Some(domain::Name::new(text).unwrap());
        assert_eq!((estimate.region, estimate.service_tier), (name("us"), name("flex")));
        assert!(estimate.alternatives.unnamed);
        let alternative = |meter| estimate.alternatives.usage.get(meter).get();
        assert_eq!(alternative(Meter::CacheRead), estimate.usage.get(Meter::Input).get());
        assert_eq!((alternative(Meter::Reasoning), alternative(Meter::AudioInput)), (1, 0));
    }
}
