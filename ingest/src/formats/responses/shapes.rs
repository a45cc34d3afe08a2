//! The bodies of responses, by the notation in which they state their usage.

use super::unread::{self, AUDIO, IMAGE};
use crate::error::RefusalReason;
use crate::formats::counts::{Cached, Counts};
use crate::formats::json::{self, Fields};
use crate::formats::values::{any_time, cost_of};
use chrono::{DateTime, Utc};
use domain::Quantity;
use domain::call::{CostSource, ReportedCost};

/// The cost that a response states, as OpenRouter and Perplexity do, or why it cannot be read.
pub(super) type Cost = (Option<ReportedCost>, Option<String>);

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
    pub(super) cost: Cost,
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
        cost: usage.as_ref().map(cost).unwrap_or_default(),
        region: of_usage("inference_geo").filter(|region| region != UNKNOWN_REGION),
        ..Answer::default()
    })
}

/// The cost in US dollars, as a number or, of Perplexity, as an object with the total.
pub(super) fn cost(usage: &Fields<'_>) -> Cost {
    match usage.object("cost") {
        Some(parts) => cost_of("usage.cost.total_cost", parts.raw("total_cost"), Some(CostSource::Provider)),
        None => cost_of("usage.cost", usage.raw("cost"), Some(CostSource::Provider)),
    }
}

fn anthropic(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    if body.text("type").as_deref() != Some("message") {
        return Ok(None);
    }
    let Some(usage) = body.object("usage") else { return Ok(None) };
    Ok(Some((Counts::anthropic(&usage)?, Cached::Beside)))
}

/// Thoughts are counted beside the candidates, and what tools gave beside the prompt; cached content is inside the prompt, and so
/// is what of it is audio or images. Cached audio is charged as other cached content.
fn gemini(body: &Fields<'_>) -> Result<Option<(Counts, Cached)>, RefusalReason> {
    let Some(usage) = body.object("usageMetadata") else { return Ok(None) };
    let count = |name| usage.first_count(&[name]);
    let (thoughts, answer) = (count("thoughtsTokenCount")?, count("candidatesTokenCount")?);
    let prompt = sum(count("promptTokenCount")?, count("toolUsePromptTokenCount")?)?;
    let of_prompt = |modality| {
        let [prompt, tools, cached] = ["promptTokensDetails", "toolUsePromptTokensDetails", "cacheTokensDetails"]
            .map(|list| of_modality(&usage, list, modality));
        let not_cached = sum(prompt?, tools?)?.get().saturating_sub(cached?.get());
        Quantity::new(not_cached).map_err(|cause| RefusalReason::Quantity { field: "usageMetadata", cause })
    };
    let of_answer = |modality| of_modality(&usage, "candidatesTokensDetails", modality);
    let counts = Counts {
        input: prompt,
        audio_input: of_prompt(AUDIO)?,
        image_input: of_prompt(IMAGE)?,
        audio_output: of_answer(AUDIO)?,
        image_output: of_answer(IMAGE)?,
        output: sum(answer, thoughts)?,
        reasoning: thoughts,
        cache_read: count("cachedContentTokenCount")?,
        ..Counts::default()
    };
    Ok(Some((counts, Cached::Inside)))
}

/// What a list of Gemini, by which it divides a count, has of a modality.
fn of_modality(usage: &Fields<'_>, list: &str, modality: &str) -> Result<Quantity, RefusalReason> {
    let mut counted = Quantity::ZERO;
    for item in usage.items(list).unwrap_or_default().into_iter().filter_map(json::object) {
        if item.text("modality").as_deref() == Some(modality) {
            counted = sum(counted, item.first_count(&["tokenCount"])?)?;
        }
    }
    Ok(counted)
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
