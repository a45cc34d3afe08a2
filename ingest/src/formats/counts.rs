//! Counts of tokens as providers state them, as disjoint meters.
//!
//! OpenAI counts cached tokens inside the prompt, Anthropic beside it. Tools that log calls of both keep either form; the
//! total that they state tells which.

use crate::error::RefusalReason;
use crate::formats::json::Fields;
use domain::{Meter, Quantity, Usage};

/// Counts of one call, as a record states them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) input: Quantity,
    pub(crate) output: Quantity,
    pub(crate) cache_read: Quantity,
    pub(crate) cache_write_5min: Quantity,
    pub(crate) cache_write_1hour: Quantity,
    pub(crate) reasoning: Quantity,
    pub(crate) audio_input: Quantity,
    pub(crate) audio_output: Quantity,
    pub(crate) image_input: Quantity,
    pub(crate) image_output: Quantity,
    pub(crate) searches: Quantity,
    /// The total that the record states.
    pub(crate) total: Option<Quantity>,
}

/// Where cached tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cached {
    /// Inside the input.
    Inside,
    /// Beside the input.
    Beside,
    /// As the stated total tells; inside the input if it does not tell, and they are not more than the input.
    ByTotal,
}

impl Counts {
    /// The usage by meter: the input without what the cache read or wrote, and the output with its reasoning.
    ///
    /// # Errors
    /// [`RefusalReason::Quantity`] if a sum is too large for a quantity.
    pub(crate) fn usage(self, cached: Cached) -> Result<Usage, RefusalReason> {
        let [input, output] = [self.input, self.output].map(Quantity::get);
        let written = self.cache_write_5min.get() + self.cache_write_1hour.get();
        let in_cache = self.cache_read.get() + written;
        let parts = self.reasoning.get() + self.audio_output.get() + self.image_output.get();
        let total = self.total.map(Quantity::get);
        let fits = in_cache <= input;
        let is_inside = match cached {
            Cached::Inside => fits,
            Cached::Beside => false,
            Cached::ByTotal => fits && !(in_cache > 0 && self.is_total_of_all(total, in_cache, parts)),
        };
        let input = if is_inside { input - in_cache } else { input };
        // Parts that are more than the whole, or that the total counts beside it, are not in it.
        let are_parts_beside = parts > output
            || cached == Cached::ByTotal && parts > 0 && total == Some(self.input.get() + output + in_cache + parts);
        let output = if are_parts_beside { output + parts } else { output };
        let checked = |number| Quantity::new(number).map_err(|cause| RefusalReason::Quantity { field: "usage", cause });
        let (input, output) = (checked(input)?, checked(output)?);
        let audio_input = self.audio_input.min(input);
        let not_audio = checked(input.get() - audio_input.get())?;
        Ok(Usage::from_iter([
            (Meter::Input, input),
            (Meter::Output, output),
            (Meter::CacheRead, self.cache_read),
            (Meter::CacheWrite5Min, self.cache_write_5min),
            (Meter::CacheWrite1Hour, self.cache_write_1hour),
            (Meter::Reasoning, self.reasoning),
            (Meter::AudioInput, audio_input),
            (Meter::AudioOutput, self.audio_output),
            (Meter::ImageInput, self.image_input.min(not_audio)),
            (Meter::ImageOutput, self.image_output),
            (Meter::Searches, self.searches),
        ]))
    }

    fn is_total_of_all(self, total: Option<u64>, in_cache: u64, parts: u64) -> bool {
        let all = self.input.get() + self.output.get() + in_cache;
        total == Some(all) || total == Some(all + parts)
    }

    /// Counts as OpenAI states them, in either of its two notations, with those that LiteLLM adds for other providers.
    pub(crate) fn openai(usage: &Fields<'_>) -> Result<Self, RefusalReason> {
        let input = details(usage, &["prompt_tokens_details", "input_tokens_details", "prompt_token_details"]);
        let output = details(usage, &["completion_tokens_details", "output_tokens_details"]);
        let part = |of: &Option<Fields<'_>>, name| {
            of.as_ref().map_or(Ok(Quantity::ZERO), |details| details.first_count(&[name]))
        };
        let cached = part(&input, "cached_tokens")?;
        Ok(Self {
            input: usage.first_count(&["prompt_tokens", "input_tokens"])?,
            output: usage.first_count(&["completion_tokens", "output_tokens"])?,
            cache_read: cached.max(usage.first_count(&[
                "cache_read_input_tokens",
                "prompt_cache_hit_tokens",
                "num_cached_tokens",
            ])?),
            cache_write_5min: usage.first_count(&["cache_creation_input_tokens"])?,
            reasoning: part(&output, "reasoning_tokens")?,
            audio_input: part(&input, "audio_tokens")?,
            audio_output: part(&output, "audio_tokens")?,
            total: usage.count("total_tokens")?,
            ..Self::default()
        })
    }

    /// Counts as Anthropic states them. What was written to the cache for a time that is not stated was written for five
    /// minutes.
    pub(crate) fn anthropic(usage: &Fields<'_>) -> Result<Self, RefusalReason> {
        let written = usage.first_count(&["cache_creation_input_tokens"])?;
        let divided = usage.object("cache_creation");
        let part = |name| divided.as_ref().map_or(Ok(Quantity::ZERO), |divided| divided.first_count(&[name]));
        let one_hour = part("ephemeral_1h_input_tokens")?;
        let rest = Quantity::new(written.get().saturating_sub(one_hour.get())).unwrap_or_default();
        let tools = usage.object("server_tool_use");
        Ok(Self {
            input: usage.first_count(&["input_tokens"])?,
            output: usage.first_count(&["output_tokens"])?,
            cache_read: usage.first_count(&["cache_read_input_tokens"])?,
            cache_write_5min: part("ephemeral_5m_input_tokens")?.max(rest),
            cache_write_1hour: one_hour,
            searches: tools.map_or(Ok(Quantity::ZERO), |tools| tools.first_count(&["web_search_requests"]))?,
            ..Self::default()
        })
    }
}

/// The first object of several fields.
fn details<'a>(usage: &Fields<'a>, names: &[&str]) -> Option<Fields<'a>> {
    names.iter().find_map(|name| usage.object(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str, cached: Cached) -> Vec<(Meter, u64)> {
        let counts = Counts::openai(&Fields::parse(json).unwrap()).unwrap();
        counts.usage(cached).unwrap().iter().map(|(meter, quantity)| (meter, quantity.get())).collect()
    }

    #[test]
    fn the_total_tells_where_cached_tokens_are_counted() {
        let inside = r#"{"input_tokens":100,"output_tokens":10,"total_tokens":110,"cache_read_input_tokens":40}"#;
        let beside = r#"{"input_tokens":100,"output_tokens":10,"total_tokens":150,"cache_read_input_tokens":40}"#;
        let more = r#"{"input_tokens":10,"output_tokens":10,"total_tokens":20,"cache_read_input_tokens":40}"#;
        let input = |json| usage(json, Cached::ByTotal)[0];
        assert_eq!([inside, beside, more].map(input), [60, 100, 10].map(|count| (Meter::Input, count)));
        assert_eq!(usage(beside, Cached::Inside)[0], (Meter::Input, 60));
    }

    #[test]
    fn parts_that_do_not_fit_are_beside_the_whole() {
        let json = r#"{"prompt_tokens":9,"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":30}}"#;
        assert_eq!(usage(json, Cached::Inside), [(Meter::Input, 9), (Meter::Output, 40), (Meter::Reasoning, 30)]);
    }
}
