//! The fields of a response's usage that are not read: what a provider counts, and Apex does not understand, is named.

use crate::formats::json::{self, Fields};
use crate::text::{clip, json_decimal};
use serde_json::value::RawValue;

/// The objects in which responses state their usage.
const HOLDERS: [&str; 3] = ["usage", "usageMetadata", "amazon-bedrock-invocationMetrics"];

/// The fields that are read, and those that say again what others do, or are no quantities that are charged for.
const KNOWN: [&str; 57] = [
    // OpenAI, and what is compatible
    "usage.prompt_tokens",
    "usage.input_tokens",
    "usage.completion_tokens",
    "usage.output_tokens",
    "usage.total_tokens",
    "usage.prompt_cache_hit_tokens",
    "usage.prompt_cache_miss_tokens",
    "usage.num_cached_tokens",
    "usage.prompt_tokens_details.cached_tokens",
    "usage.prompt_tokens_details.audio_tokens",
    "usage.prompt_tokens_details.text_tokens",
    "usage.input_tokens_details.cached_tokens",
    "usage.input_tokens_details.audio_tokens",
    "usage.input_tokens_details.text_tokens",
    "usage.prompt_token_details.cached_tokens",
    "usage.prompt_token_details.audio_tokens",
    "usage.prompt_token_details.text_tokens",
    "usage.completion_tokens_details.reasoning_tokens",
    "usage.completion_tokens_details.audio_tokens",
    "usage.completion_tokens_details.text_tokens",
    "usage.completion_tokens_details.accepted_prediction_tokens",
    "usage.completion_tokens_details.rejected_prediction_tokens",
    "usage.output_tokens_details.reasoning_tokens",
    "usage.output_tokens_details.audio_tokens",
    "usage.output_tokens_details.text_tokens",
    "usage.queue_time",
    "usage.prompt_time",
    "usage.completion_time",
    "usage.total_time",
    // OpenRouter, and Perplexity, which divides the cost
    "usage.cost",
    "usage.cost.total_cost",
    "usage.cost.input_tokens_cost",
    "usage.cost.output_tokens_cost",
    "usage.cost.request_cost",
    // Anthropic; a fetch of a page costs no more than its tokens
    "usage.cache_read_input_tokens",
    "usage.cache_creation_input_tokens",
    "usage.cache_creation.ephemeral_5m_input_tokens",
    "usage.cache_creation.ephemeral_1h_input_tokens",
    "usage.server_tool_use.web_search_requests",
    "usage.server_tool_use.web_fetch_requests",
    // Bedrock
    "usage.inputTokens",
    "usage.outputTokens",
    "usage.totalTokens",
    "usage.cacheReadInputTokens",
    "usage.cacheReadInputTokenCount",
    "usage.cacheWriteInputTokens",
    "usage.cacheWriteInputTokenCount",
    "amazon-bedrock-invocationMetrics.inputTokenCount",
    "amazon-bedrock-invocationMetrics.outputTokenCount",
    "amazon-bedrock-invocationMetrics.cacheReadInputTokenCount",
    "amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount",
    // Gemini
    "usageMetadata.promptTokenCount",
    "usageMetadata.candidatesTokenCount",
    "usageMetadata.totalTokenCount",
    "usageMetadata.thoughtsTokenCount",
    "usageMetadata.cachedContentTokenCount",
    "usageMetadata.toolUsePromptTokenCount",
];

/// What Gemini divides its counts by, besides text.
pub(super) const AUDIO: &str = "AUDIO";
pub(super) const IMAGE: &str = "IMAGE";

/// The fields of Bedrock that are durations.
const DURATIONS: [&str; 2] = ["invocationLatency", "firstByteLatency"];

/// The most fields of a response that are named.
const MAX_NAMED: usize = 8;
/// The longest name of a field that is named, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// How deep objects of usage are read.
const MAX_DEPTH: usize = 3;

/// The fields of the usage of a body that state a quantity and are not read.
pub(super) fn of_body(body: &Fields<'_>) -> Vec<String> {
    let mut unread = Vec::new();
    for holder in HOLDERS {
        if let Some(usage) = body.object(holder) {
            add(holder, &usage, 0, &mut unread);
        }
    }
    unread
}

/// As [`of_body`], of the usage alone.
pub(super) fn of_usage(usage: &Fields<'_>) -> Vec<String> {
    let mut unread = Vec::new();
    add("usage", usage, 0, &mut unread);
    unread
}

fn add(path: &str, fields: &Fields<'_>, depth: usize, unread: &mut Vec<String>) {
    for (name, value) in fields.iter() {
        let name = format!("{path}.{}", clip(name, MAX_NAME_BYTES));
        if unread.len() >= MAX_NAMED
            || KNOWN.contains(&name.as_str()) && !value.get().starts_with('{')
            || DURATIONS.iter().any(|known| name.ends_with(known))
        {
            continue;
        }
        let inner = if depth < MAX_DEPTH { json::object(value) } else { None };
        match inner {
            Some(inner) => add(&name, &inner, depth + 1, unread),
            None if value.get().starts_with('[') => add_modalities(&name, value, unread),
            None if json_decimal(value.get()).is_some_and(|number| !number.is_zero()) => unread.push(name),
            None => {}
        }
    }
}

/// Gemini divides its counts by what was counted: text is what the count is charged as, and audio and images have meters, but not
/// those that were cached. Cached images are charged as cached text is.
fn is_charged(list: &str, modality: &str) -> bool {
    match modality {
        "TEXT" | IMAGE => true,
        AUDIO => !list.ends_with("cacheTokensDetails"),
        _ => false,
    }
}

fn add_modalities(name: &str, list: &RawValue, unread: &mut Vec<String>) {
    for item in json::items(list.get()).unwrap_or_default().into_iter().filter_map(json::object) {
        let modality = item.text("modality").unwrap_or_default();
        let is_counted =
            item.raw("tokenCount").and_then(|count| json_decimal(count.get())).is_some_and(|count| !count.is_zero());
        if is_counted && !is_charged(name, &modality) && unread.len() < MAX_NAMED {
            unread.push(format!("{name} {}", clip(&modality, MAX_NAME_BYTES)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_and_not_read_is_named() {
        let unread = |body: &str| of_body(&Fields::parse(body).unwrap());
        for (body, right) in [
            (
                r#"{"usage":{"prompt_tokens":1,"total_tokens":2,"new_tokens":0,"details":{"x":0,"y":null},"tier":"a"}}"#,
                vec![],
            ),
            (r#"{"usage":{"prompt_tokens":1,"new_tokens":3}}"#, vec!["usage.new_tokens"]),
            (
                r#"{"usage":{"prompt_tokens_details":{"cached_tokens":1,"image_tokens":2}}}"#,
                vec!["usage.prompt_tokens_details.image_tokens"],
            ),
            (
                r#"{"usage":{"server_tool_use":{"web_search_requests":1,"code_executions":2}}}"#,
                vec!["usage.server_tool_use.code_executions"],
            ),
            (
                r#"{"usage":{"cost":0.01,"cost_details":{"upstream_inference_cost":0.02}}}"#,
                vec!["usage.cost_details.upstream_inference_cost"],
            ),
            (r#"{"usage":{"cost":{"total_cost":0.01,"other_cost":0.02}}}"#, vec!["usage.cost.other_cost"]),
            (
                r#"{"usageMetadata":{"promptTokensDetails":[{"modality":"TEXT","tokenCount":9},{"modality":"VIDEO","tokenCount":7},
                    {"modality":"IMAGE","tokenCount":3},{"modality":"AUDIO","tokenCount":2}]}}"#,
                vec!["usageMetadata.promptTokensDetails VIDEO"],
            ),
            (
                r#"{"usageMetadata":{"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":7},{"modality":"IMAGE","tokenCount":1}]}}"#,
                vec!["usageMetadata.cacheTokensDetails AUDIO"],
            ),
            (
                r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":1,"invocationLatency":900,"other":1}}"#,
                vec!["amazon-bedrock-invocationMetrics.other"],
            ),
            (r#"{"usage":[1],"other":{"tokens":1}}"#, vec![]),
        ] {
            assert_eq!(unread(body), right, "{body}");
        }
        let deep = format!("{}1{}", r#"{"usage":"#.repeat(1_000), "}".repeat(1_000));
        assert!(Fields::parse(&deep).is_err() || unread(&deep).len() <= MAX_NAMED);
        let many: Vec<_> = (0..100).map(|number| format!(r#""n{number}":1"#)).collect();
        assert_eq!(unread(&format!(r#"{{"usage":{{{}}}}}"#, many.join(","))).len(), MAX_NAMED);
    }
}
