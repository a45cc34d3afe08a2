//! The bodies of responses, by the notation in which they state their usage.

use super::unread;
use crate::error::RefusalReason;
use crate::formats::counts::{Cached, Counts};
use crate::formats::json::{self, Fields};
use crate::formats::values::any_time;
use chrono::{DateTime, Utc};
use domain::Quantity;

/// What a response states of its call.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) service_tier: Option<String>,
    /// The speed, of Anthropic.
    pub(super) speed: Option<String>,
    /// Where the call was served, of Anthropic.
    pub(super) region: Option<String>,
    /// The fields of the usage that state a quantity and are not read.
    pub(super) unread: Vec<String>,
    pub(super) counts: Counts,
    pub(super) cached: Option<Cached>,
}

/// What `inference_geo` holds if the provider does not say where the call was served.
const UNKNOWN_REGION: &str = "not_available";

/// The usage of a body in one notation; none if the body is of another one.
type Shape = fn(&Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason>;

/// The notations, in the order in which they are looked for.
const SHAPES: [Shape; 6] = [anthropic, gemini, bedrock_converse, openai, bedrock_metrics, bedrock_models];

/// What a body states; none if it states no usage.
pub(super) fn answer(body: &Fields<'_>) -> Result<Option<Answer>, RefusalReason> {
    // Events of the responses API hold the response.
    if let Some(response) = body.object("response").filter(|response| response.raw("usage").is_some()) {
        return answer(&response);
    }
    for shape in SHAPES {
        if let Some((counts, cached)) = shape(body)? {
            return Ok(Some(Answer { counts, cached: Some(cached), unread: unread::of_body(body), ..named(body)? }));
        }
    }
    Ok(None)
}

/// What a body names, without its usage.
pub(super) fn named(body: &Fields<'_>) -> Result<Answer, RefusalReason> {
    let text = |names: &[&str]| body.first_text(names).map(String::from);
    // Anthropic says there how the call was served.
    let usage = body.object("usage");
    let of_usage = |name: &str| usage.as_ref()?.first_text(&[name]).map(String::from);
    let created =
        body.first(&["created", "created_at"]).map(|created| any_time("created", created.get())).transpose()?;
    Ok(Answer {
        id: text(&["id", "responseId"]),
        model: text(&["model", "modelVersion"]),
        created,
        service_tier: text(&["service_tier"]).or_else(|| of_usage("service_tier")),
        speed: of_usage("speed"),
        region: of_usage("inference_geo").filter(|region| region != UNKNOWN_REGION),
        ..Answer::default()
    })
}

fn anthropic(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    if body.text("type").as_deref() != Some("message") {
        return Ok(None);
    }
    let Some(usage) = body.object("usage") else { return Ok(None) };
    Ok(Some((Counts::anthropic(&usage)?, Cached::Beside)))
}

/// Thoughts are counted beside the candidates, and what tools gave beside the prompt; cached content is inside the prompt.
fn gemini(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let Some(usage) = body.object("usageMetadata") else { return Ok(None) };
    let count = |name| usage.first_count(&[name]);
    let (thoughts, answer) = (count("thoughtsTokenCount")?, count("candidatesTokenCount")?);
    let prompt = sum(count("promptTokenCount")?, count("toolUsePromptTokenCount")?)?;
    let counts = Counts {
        input: prompt,
        output: sum(answer, thoughts)?,
        reasoning: thoughts,
        cache_read: count("cachedContentTokenCount")?,
        ..Counts::default()
    };
    Ok(Some((counts, Cached::Inside)))
}

fn sum(one: Quantity, other: Quantity) -> Result<Quantity, RefusalReason> {
    let sum = Quantity::new(one.get() + other.get());
    sum.map_err(|cause| RefusalReason::Quantity { field: "usageMetadata", cause })
}

fn bedrock_converse(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let Some(usage) = body.object("usage").filter(|usage| usage.raw("inputTokens").is_some()) else { return Ok(None) };
    let counts = Counts {
        input: usage.first_count(&["inputTokens"])?,
        output: usage.first_count(&["outputTokens"])?,
        cache_read: usage.first_count(&["cacheReadInputTokens", "cacheReadInputTokenCount"])?,
        cache_write_5min: usage.first_count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"])?,
        ..Counts::default()
    };
    Ok(Some((counts, Cached::Beside)))
}

fn openai(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let states = |usage: &Fields<'_>| usage.first(&["prompt_tokens", "input_tokens", "total_tokens"]).is_some();
    let Some(usage) = body.object("usage").filter(states) else { return Ok(None) };
    Ok(Some((Counts::openai(&usage)?, Cached::Inside)))
}

/// What Bedrock adds to the last event of a stream, whichever model answered.
fn bedrock_metrics(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let Some(metrics) = body.object("amazon-bedrock-invocationMetrics") else { return Ok(None) };
    let counts = Counts {
        input: metrics.first_count(&["inputTokenCount"])?,
        output: metrics.first_count(&["outputTokenCount"])?,
        cache_read: metrics.first_count(&["cacheReadInputTokenCount"])?,
        cache_write_5min: metrics.first_count(&["cacheWriteInputTokenCount"])?,
        ..Counts::default()
    };
    Ok(Some((counts, Cached::Beside)))
}

/// The notations of Titan and of Llama.
fn bedrock_models(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let counts = if let Some(input) = body.count("inputTextTokenCount")? {
        let mut output = Quantity::ZERO;
        for result in body.items("results").unwrap_or_default().into_iter().filter_map(json::object) {
            output = sum(output, result.first_count(&["tokenCount"])?)?;
        }
        // A stream has the count of all of its text in its last event.
        Counts { input, output: output.max(body.first_count(&["totalOutputTextTokenCount"])?), ..Counts::default() }
    } else if let Some(input) = body.count("prompt_token_count")? {
        Counts { input, output: body.first_count(&["generation_token_count"])?, ..Counts::default() }
    } else {
        return Ok(None);
    };
    Ok(Some((counts, Cached::Beside)))
}
