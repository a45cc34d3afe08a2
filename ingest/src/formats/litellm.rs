//! Spend logs of LiteLLM's proxy: rows of its table `LiteLLM_SpendLogs`, as a JSON list or one per line. The payload that its
//! callbacks send (`StandardLoggingPayload`) is another notation of a row.
//!
//! LiteLLM counts cached tokens inside the prompt for all providers, and states them in `metadata.usage_object`. The id of a
//! row is that of the response if the provider gave one, else one that LiteLLM makes unique. A row that LiteLLM served from
//! its own cache called no provider, and is no call. The spend that LiteLLM computed is kept beside the charge.

use super::counts::{Cached, Counts};
use super::document::list_or_line_records;
use super::json::{self, Fields};
use super::lines::{Lines, ParsedLine};
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{any_time, cost_of, default_agent, informative, minimal_facts, model, ms_between, provider, start};
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::record::{Location, Record};
use chrono::{DateTime, Utc};
use domain::call::{CallFacts, CallKind, CostSource, Outcome, Tags};
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(crate) const SPEC: Spec = Spec {
    format: Format::LiteLlm,
    about: "Spend logs of LiteLLM's proxy, or payloads of its callbacks: as a JSON list, or one per line",
    extensions: &["json", "jsonl", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Request],
    recognises: |sketch| {
        sketch.has_all(&["request_id", "call_type", "spend"]) || sketch.has_all(&["id", "call_type", "response_cost"])
    },
    open: |lines: Lines, defaults: Defaults| {
        list_or_line_records(lines, move |location, row| parse(location, row, &defaults))
    },
};

fn parse(location: Location, text: &str, defaults: &Defaults) -> Result<ParsedLine, RefusalReason> {
    let line = Fields::parse(text)?;
    // The arguments of a callback hold the payload.
    let row = line.object("standard_logging_object").unwrap_or(line);
    let is_payload = row.raw("call_type").is_some();
    let id = row.text("request_id").or_else(|| row.text("id").filter(|_| is_payload));
    let Some(id) = id else { return Ok(ParsedLine::OtherFormat) };
    if is_true(row.raw("cache_hit")) {
        return Ok(ParsedLine::NotACall);
    }
    // PostgreSQL's columns of JSON are exported as objects, or as text that holds them.
    let held = row.raw("metadata").and_then(json::text);
    let metadata = held.as_deref().and_then(|text| Fields::parse(text).ok()).or_else(|| row.object("metadata"));
    let named_provider = row.first_text(&["custom_llm_provider"]);
    let named_model = row.first_text(&["model", "model_group"]);
    let named_model = named_model.as_deref().map(|named| without_provider(named, named_provider.as_deref()));
    let [started, ended, first_token] = [
        time("startTime", row.first(&["startTime", "start_time"]))?,
        time("endTime", row.first(&["endTime", "end_time"]))?,
        time("completionStartTime", row.first(&["completionStartTime", "completion_start_time"]))?,
    ];
    let usage_object = metadata.as_ref().and_then(|metadata| metadata.object("usage_object"));
    let meta = |name| metadata.as_ref().and_then(|metadata| metadata.first_text(&[name]));
    let (outcome, error) = outcome(&row, metadata.as_ref());
    let (reported_cost, ignored) = cost_of("spend", row.first(&["spend", "response_cost"]), Some(CostSource::Gateway));
    let facts = CallFacts {
        provider: provider("custom_llm_provider", named_provider.as_deref(), defaults)?,
        model: Some(model("model", named_model, defaults)?),
        usage: Counts::openai(usage_object.as_ref().unwrap_or(&row))?.usage(Cached::Inside)?,
        reported_cost,
        latency_ms: ms_between(started, ended),
        first_token_ms: ms_between(started, first_token.filter(|first| Some(*first) < ended)),
        conversation: informative(row.first_text(&["session_id", "trace_id"]).as_deref()),
        user: informative(row.first_text(&["end_user", "user"]).or_else(|| meta("user_api_key_user_id")).as_deref()),
        team: informative(team(&row, meta).as_deref()),
        key: informative(meta("user_api_key_alias").or_else(|| key_hash(&row, meta)).as_deref()),
        tags: tags(&row),
        outcome: Some(outcome),
        error,
        response_id: informative(Some(&id)),
        record_id: informative(Some(&id)),
        ..minimal_facts(CallKind::Llm, start("startTime", started, defaults)?, Format::LiteLlm)?
    };
    let identifiers = Identifiers {
        provider: named_provider.as_deref().unwrap_or_default(),
        model: named_model.unwrap_or_default(),
        response_id: Some(&id),
        request: Some(("spend-logs", &id)),
        content: &[text],
        ..Identifiers::default()
    };
    let call_ids = SPEC.call_ids(&identifiers, &mut Occurrences::new(1));
    Ok(Record::new(location, call_ids, default_agent(Format::LiteLlm, defaults), None, facts).ignoring(ignored).into())
}

fn time(field: &'static str, value: Option<&RawValue>) -> Result<Option<DateTime<Utc>>, RefusalReason> {
    let text = value.map(|value| json::text(value).map_or_else(|| value.get().to_owned(), |text| text.into_owned()));
    text.filter(|text| !text.is_empty()).map(|text| any_time(field, &text)).transpose()
}

/// Whether a value is true, or text that says so as LiteLLM writes it.
fn is_true(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| matches!(value.get(), "true" | "\"True\"" | "\"true\""))
}

/// The model without the provider that LiteLLM writes before it, such as `azure/gpt-4o`.
fn without_provider<'a>(model: &'a str, provider: Option<&str>) -> &'a str {
    let rest = provider.and_then(|provider| model.strip_prefix(provider)).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(model)
}

fn team<'a>(row: &Fields<'a>, meta: impl Fn(&'static str) -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    meta("user_api_key_team_alias").or_else(|| row.first_text(&["team_id"])).or_else(|| meta("user_api_key_team_id"))
}

/// The hash of the key that the call was made with. Old versions wrote the key itself, which is a secret.
fn key_hash<'a>(row: &Fields<'a>, meta: impl Fn(&'static str) -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    let key = row.text("api_key").or_else(|| meta("user_api_key_hash"));
    key.filter(|key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn outcome(row: &Fields<'_>, metadata: Option<&Fields<'_>>) -> (Outcome, Option<domain::Body>) {
    let failed = |fields: &Fields<'_>| fields.text("status").as_deref() == Some("failure");
    if !failed(row) && !metadata.is_some_and(failed) {
        return (Outcome::Ok, None);
    }
    let of_row = row.object("error_information");
    let error = of_row.or_else(|| metadata.and_then(|metadata| metadata.object("error_information")));
    let message = error.and_then(|error| error.first_text(&["error_class", "error_code"]).map(String::from));
    (Outcome::Error, message.as_deref().and_then(crate::text::clipped_error))
}

/// The tags of the request: `key:value`, or a word, which is a tag with the value `true`. Tags that are no valid names are
/// left out, and so are those beyond the limit of a call.
fn tags(row: &Fields<'_>) -> Option<Tags> {
    let held = row.raw("request_tags").and_then(json::text);
    let list = held.as_deref().and_then(|text| json::items(text).ok()).or_else(|| row.items("request_tags"))?;
    let mut found: Vec<(String, String)> = Vec::new();
    for tag in list.into_iter().filter_map(json::text) {
        let (key, value) = tag.split_once(':').unwrap_or((&tag, "true"));
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        let is_valid = Tags::new([(key.clone(), value.clone())]).is_ok();
        if is_valid && found.len() < Tags::MAX && found.iter().all(|(other, _)| *other != key) {
            found.push((key, value));
        }
    }
    Tags::new(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, records, refusals, totals};
    use domain::{Meter, Name};

    fn row(id: &str, more: &str) -> String {
        format!(
            r#"{{"request_id":"{id}","call_type":"acompletion","api_key":"{key}","spend":0.0123,{more}
            "prompt_tokens":1200,"completion_tokens":80,"total_tokens":1280,"startTime":"2025-05-01T10:00:00.100Z",
            "endTime":"2025-05-01T10:00:02.350Z","completionStartTime":"2025-05-01T10:00:00.600Z",
            "model":"azure/gpt-4o","custom_llm_provider":"azure","user":"u1","team_id":"t1","session_id":"s1",
            "metadata":{{"user_api_key_alias":"ci","usage_object":{{"prompt_tokens":1200,"completion_tokens":80,
            "total_tokens":1280,"prompt_tokens_details":{{"cached_tokens":1000}}}}}},
            "request_tags":["env:prod","nightly"],"messages":{{}},"cache_key":7}}"#,
            key = "0".repeat(64)
        )
        .replace('\n', "")
    }

    #[test]
    fn a_row_is_a_call_with_its_owners() {
        for text in [row("chatcmpl-8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f", ""), format!("[{}]", row("r", ""))] {
            let found = records(Format::LiteLlm, text);
            let facts = &found[0].facts;
            let right = [(Meter::Input, 200), (Meter::Output, 80), (Meter::CacheRead, 1000)];
            assert_eq!(totals(calls(&found).values()), right);
            let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
            let owners = [&facts.provider, &facts.model, &facts.key, &facts.team, &facts.user, &facts.conversation];
            assert_eq!(owners.map(text), ["azure", "gpt-4o", "ci", "t1", "u1", "s1"]);
            assert_eq!((facts.latency_ms, facts.first_token_ms), (Some(2250), Some(500)));
            let cost = facts.reported_cost.unwrap();
            assert_eq!((cost.amount.to_string().as_str(), cost.source), ("0.0123", Some(CostSource::Gateway)));
            let tags: Vec<_> =
                facts.tags.iter().flat_map(Tags::iter).map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(tags, ["env=prod", "nightly=true"]);
        }
    }

    #[test]
    fn a_row_that_the_proxy_served_from_its_cache_is_no_call() {
        assert_eq!(records(Format::LiteLlm, row("r", r#""cache_hit":"True","#)), []);
        assert_eq!(records(Format::LiteLlm, row("r", r#""cache_hit":"False","#)).len(), 1);
    }

    #[test]
    fn a_row_is_identified_by_its_id_and_that_of_the_response() {
        let ids = |text: String| records(Format::LiteLlm, text).remove(0).call_ids;
        let unique = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
        assert_eq!(ids(row(unique, "")).iter().count(), 2);
        let response = domain::call::CallKey::of_response("openai", "gpt-4o", unique).unwrap().call_id();
        assert!(ids(row(unique, "")).iter().any(|id| id == response), "another source has the same response");
        assert_eq!(ids(row("r1", "")), ids(row("r1", r#""status":"failure","#)));
        assert_ne!(ids(row("r1", "")), ids(row("r2", "")));
    }

    /// What LiteLLM's callbacks send, as its documents show it.
    #[test]
    fn a_payload_of_a_callback_is_the_call_of_its_row() {
        let unique = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
        let payload = format!(
            r#"{{"id":"{unique}","trace_id":"s1","call_type":"acompletion","response_cost":0.0123,"status":"success",
            "custom_llm_provider":"azure","total_tokens":1280,"prompt_tokens":1200,"completion_tokens":80,
            "startTime":1746093600.1,"endTime":1746093602.35,"completionStartTime":1746093600.6,"model":"azure/gpt-4o",
            "metadata":{{"user_api_key_hash":"{key}","user_api_key_alias":"ci","user_api_key_team_id":"t1",
            "user_api_key_user_id":"u1","usage_object":{{"prompt_tokens":1200,"completion_tokens":80,
            "prompt_tokens_details":{{"cached_tokens":1000}}}}}},"cache_hit":false,"request_tags":["env:prod"],
            "messages":[],"response":{{}}}}"#,
            key = "0".repeat(64)
        )
        .replace('\n', "");
        let of_row = &records(Format::LiteLlm, row(unique, ""))[0];
        for text in [payload.clone(), format!("[{payload}]"), format!("{{\"standard_logging_object\":{payload}}}")] {
            let found = records(Format::LiteLlm, text);
            assert_eq!(found[0].call_ids, of_row.call_ids);
            let (facts, row) = (&found[0].facts, &of_row.facts);
            assert_eq!((&facts.usage, &facts.model, facts.started_at), (&row.usage, &row.model, row.started_at));
            assert_eq!((&facts.key, &facts.team, &facts.user), (&row.key, &row.team, &row.user));
            assert_eq!((facts.reported_cost, facts.latency_ms), (row.reported_cost, row.latency_ms));
        }
        let failed = payload.replace("\"success\"", "\"failure\",\"error_information\":{\"error_class\":\"Timeout\"}");
        let facts = &records(Format::LiteLlm, failed)[0].facts;
        assert_eq!(
            (facts.outcome, facts.error.as_ref().map(domain::Body::as_str)),
            (Some(Outcome::Error), Some("Timeout"))
        );
    }

    #[test]
    fn a_secret_is_no_name_of_a_key() {
        let text = row("r", "").replace(&"0".repeat(64), "sk-1234").replace("user_api_key_alias", "other");
        assert_eq!(records(Format::LiteLlm, text)[0].facts.key, None);
    }

    #[test]
    fn metadata_may_be_text_and_fields_that_are_not_needed_of_any_form() {
        let inner = r#"{"user_api_key_alias":"ci","usage_object":{"prompt_tokens":9,"completion_tokens":1}}"#;
        let text = format!(
            r#"{{"request_id":"r","spend":"0.5","startTime":1746093600,"model":"m","endTime":null,"api_key":7,"user":[],
            "request_tags":"[\"a:b\"]","metadata":{}}}"#,
            serde_json::to_string(inner).unwrap()
        )
        .replace('\n', "");
        let found = records(Format::LiteLlm, text);
        assert_eq!(found[0].facts.usage.get(Meter::Input).get(), 9);
        assert!(found[0].facts.tags.is_some() && found[0].facts.user.is_none());
        let bad = refusals(Format::LiteLlm, row("r", "").replace("2025-05-01T10:00:00.100Z", "soon"));
        assert!(bad[0].starts_with("line 1: startTime is \"soon\""), "{bad:?}");
    }
}
