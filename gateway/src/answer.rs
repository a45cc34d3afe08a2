//! What the gateway answers: what the provider answered, or an error in the form of the provider's API.

use crate::endpoint::Api;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::reservation::{FollowUp, Refusal, RefusalReason};
use reqwest::StatusCode;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::sync::mpsc;

/// The header with the id of the reservation of a call.
pub(crate) const RESERVATION: HeaderName = HeaderName::from_static("x-apex-reservation");
const BUDGET: HeaderName = HeaderName::from_static("x-apex-budget");
const BUDGET_LEFT: HeaderName = HeaderName::from_static("x-apex-budget-left");
const BUDGET_RENEWS: HeaderName = HeaderName::from_static("x-apex-budget-renews-at");
/// The header with a cheaper model that would fit into the budget.
const CHEAPER: HeaderName = HeaderName::from_static("x-apex-cheaper-model");
/// The header with the request for approval that the refusal opened.
const APPROVAL: HeaderName = HeaderName::from_static("x-apex-approval");
/// By it SDKs decide whether to send a request again by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How long SDKs wait by themselves before they send a request again, at most.
const MAX_SDK_WAIT: TimeDelta = TimeDelta::seconds(60);
/// When to retry what is refused for a moment only, in seconds.
const MOMENT_S: u64 = 1;
/// A period that ends later than this does not renew for its clients: a budget of all time.
const MAX_RENEWAL: TimeDelta = TimeDelta::days(400);

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of a response.
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// Its parts, as they arrive. An error ends it before its end.
    Streamed(mpsc::Receiver<Result<Bytes, Broken>>),
}

/// A response that the upstream broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the upstream broke the response off")]
pub struct Broken;

/// Why the gateway answers itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    /// A name of the problem for programs, in snake case.
    code: &'static str,
    message: String,
    retry_after_s: Option<u64>,
    refusal: Option<Box<Refusal>>,
}

impl Problem {
    /// A problem with a status.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None, refusal: None }
    }

    /// A problem that ends by itself, after some seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// A credential or a permission of a principal that does not do, or what else the API of Apex answers.
    #[must_use]
    pub fn of_api(status: StatusCode, code: &str, message: String) -> Self {
        let code = match code {
            "UNAUTHENTICATED" => "invalid_api_key",
            "FORBIDDEN" => "permission_denied",
            "UNAVAILABLE" => "unavailable",
            _ => "invalid_request",
        };
        Self::new(status, code, message)
    }

    /// What is beyond a number of calls or bytes at the same time.
    #[must_use]
    pub fn busy() -> Self {
        let message =
            "the gateway has too many open calls; retry, or raise max_calls or max_open_bytes of its settings";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).retry_after(MOMENT_S)
    }

    pub(crate) fn unavailable() -> Self {
        let message = "the database of Apex cannot be reached, so that budgets cannot be checked; retry";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_after(MOMENT_S)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    pub(crate) fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_failed", message)
    }

    pub(crate) fn timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "the upstream did not answer in time")
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the call failed in the gateway")
    }

    /// A budget that refuses: 429 if it renews, else 402.
    pub(crate) fn refused(refusal: Refusal, now: DateTime<Utc>) -> Self {
        let renews_in = refusal.renews_at.map(|at| at - now).filter(|wait| *wait <= MAX_RENEWAL);
        let budget = refusal.budget_id;
        let (status, code, message) = match &refusal.reason {
            RefusalReason::Exceeded => {
                let left = refusal.left.map_or_else(|| "nothing".to_owned(), String::from);
                let renews = match (renews_in, refusal.renews_at) {
                    (Some(_), Some(at)) => format!("; it renews at {}", at.to_rfc3339()),
                    _ => String::new(),
                };
                let follow_up = refusal.follow_up.as_ref().map(told).unwrap_or_default();
                let message = format!(
                    "the call may use more than is left of the budget {budget}, which is {left}{renews}{follow_up}"
                );
                let status =
                    if renews_in.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::PAYMENT_REQUIRED };
                (status, "budget_exceeded", message)
            }
            RefusalReason::Counting => {
                let message =
                    format!("the budget {budget} is new, and what it was charged before is being counted; retry");
                (StatusCode::TOO_MANY_REQUESTS, "budget_counting", message)
            }
            RefusalReason::Unpriced => {
                let message = format!("the model has no price, and the budget {budget} limits money: set one");
                (StatusCode::PAYMENT_REQUIRED, "budget_unpriced", message)
            }
            RefusalReason::Undeclared { dimension } => {
                let message = format!(
                    "the budget {budget} needs to know the {dimension} of the call: declare it in a header, or use a credential \
                     that fixes it"
                );
                (StatusCode::BAD_REQUEST, "budget_undeclared", message)
            }
        };
        let retry_after_s = match &refusal.reason {
            RefusalReason::Counting => Some(MOMENT_S),
            RefusalReason::Exceeded => renews_in.map(|wait| u64::try_from(wait.num_seconds()).unwrap_or(0) + 1),
            RefusalReason::Unpriced | RefusalReason::Undeclared { .. } => None,
        };
        Self { status, code, message, retry_after_s, refusal: Some(Box::new(refusal)) }
    }

    fn follow_up(&self) -> Option<&FollowUp> {
        self.refusal.as_ref().and_then(|refusal| refusal.follow_up.as_ref())
    }

    /// A cheaper model, which would fit into the budget that refuses.
    fn cheaper(&self) -> Option<&str> {
        match self.follow_up()? {
            FollowUp::Degrade { model, .. } => Some(model.as_str()),
            FollowUp::Approval { .. } | FollowUp::PauseAgent { .. } => None,
        }
    }

    /// The request for approval that the refusal opened.
    fn approval(&self) -> Option<String> {
        match self.follow_up()? {
            FollowUp::Approval { approval_id, .. } => Some(approval_id.to_string()),
            FollowUp::Degrade { .. } | FollowUp::PauseAgent { .. } => None,
        }
    }

    /// The name of the problem.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// The response in the form of an API.
    #[must_use]
    pub fn answer(&self, api: Api) -> Answer {
        let mut error = Map::new();
        error.insert("type".to_owned(), self.kind(api).into());
        error.insert("message".to_owned(), format!("Apex: {}", self.message).into());
        if let Some(refusal) = &self.refusal {
            error.insert("budget".to_owned(), json!(refusal));
        }
        if let Some(model) = self.cheaper() {
            error.insert("cheaper_model".to_owned(), model.into());
        }
        let body = match api {
            Api::OpenAi => {
                error.insert("param".to_owned(), Value::Null);
                error.insert("code".to_owned(), self.code.into());
                json!({ "error": error })
            }
            Api::Anthropic => {
                error.insert("code".to_owned(), self.code.into());
                json!({ "type": "error", "error": error })
            }
        };
        Answer { status: self.status, headers: self.headers(), body: AnswerBody::Whole(body.to_string().into()) }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(refusal) = &self.refusal {
            let is_soon =
                self.retry_after_s.is_some_and(|seconds| seconds <= MAX_SDK_WAIT.num_seconds().unsigned_abs());
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(if is_soon { "true" } else { "false" }));
            let values = [
                (BUDGET, Some(refusal.budget_id.to_string())),
                (BUDGET_LEFT, refusal.left.map(String::from)),
                (BUDGET_RENEWS, refusal.renews_at.map(|at| at.to_rfc3339())),
                (CHEAPER, self.cheaper().map(str::to_owned)),
                (APPROVAL, self.approval()),
            ];
            for (name, value) in values {
                if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                    headers.insert(name, value);
                }
            }
        }
        headers
    }

    /// The type of the error, as the API names it.
    fn kind(&self, api: Api) -> &'static str {
        match (api, self.status.as_u16()) {
            (Api::OpenAi, 402) => "insufficient_quota",
            (Api::OpenAi, 429) if self.refusal.is_some() => "insufficient_quota",
            (Api::OpenAi, 429) => "rate_limit_exceeded",
            (Api::OpenAi, 400..=499) => "invalid_request_error",
            (Api::OpenAi, _) => "server_error",
            (Api::Anthropic, 401) => "authentication_error",
            (Api::Anthropic, 402) => "billing_error",
            (Api::Anthropic, 403) => "permission_error",
            (Api::Anthropic, 404) => "not_found_error",
            (Api::Anthropic, 413) => "request_too_large",
            (Api::Anthropic, 429) => "rate_limit_error",
            (Api::Anthropic, 400..=499) => "invalid_request_error",
            (Api::Anthropic, 503) => "overloaded_error",
            (Api::Anthropic, 504) => "timeout_error",
            (Api::Anthropic, _) => "api_error",
        }
    }
}

/// What follows a refusal, as the end of a sentence.
fn told(follow_up: &FollowUp) -> String {
    match follow_up {
        FollowUp::Degrade { model, .. } => format!("; a call of {model} would fit"),
        FollowUp::Approval { approval_id, expires_at } => {
            format!("; an operator is asked to raise it until {}: approval {approval_id}", expires_at.to_rfc3339())
        }
        FollowUp::PauseAgent { agent_id } => format!("; the agent {agent_id} is paused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::BudgetId;
    use domain::budget::Amount;
    use uuid::Uuid;

    fn body(answer: &Answer) -> Value {
        match &answer.body {
            AnswerBody::Whole(body) => serde_json::from_slice(body).unwrap(),
            AnswerBody::Streamed(_) => panic!("a stream"),
        }
    }

    fn exceeded(renews_at: &str) -> Problem {
        let refusal = Refusal {
            reason: RefusalReason::Exceeded,
            budget_id: BudgetId(Uuid::nil()),
            left: Some(Amount::units(3)),
            renews_at: Some(renews_at.parse().unwrap()),
            follow_up: None,
        };
        Problem::refused(refusal, "2026-03-10T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_refusal_says_what_follows() {
        let header =
            |answer: &Answer, name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let with = |follow_up| {
            let refusal = Refusal { follow_up: Some(follow_up), ..*exceeded("2026-03-10T11:00:00Z").refusal.unwrap() };
            Problem::refused(refusal, "2026-03-10T10:00:00Z".parse().unwrap()).answer(Api::OpenAi)
        };
        let (id, expires_at) = (Uuid::from_u128(7), "2026-03-10T10:30:00Z".parse().unwrap());
        let approval = with(FollowUp::Approval { approval_id: id.into(), expires_at });
        assert_eq!(header(&approval, "x-apex-approval"), Some(id.to_string()));
        let error = &body(&approval)["error"];
        assert_eq!(error["budget"]["follow_up"]["approval"]["approval_id"], id.to_string());
        assert!(
            error["message"].as_str().unwrap().contains("is asked to raise it until 2026-03-10T10:30:00"),
            "{error}"
        );
        let degrade = with(FollowUp::Degrade { model: domain::Name::new("small").unwrap(), amount: Amount::units(2) });
        assert_eq!(header(&degrade, "x-apex-cheaper-model").as_deref(), Some("small"));
        let error = &body(&degrade)["error"];
        assert_eq!(
            (&error["cheaper_model"], &error["budget"]["follow_up"]["degrade"]["amount"]),
            (&json!("small"), &json!("2"))
        );
        let paused = with(FollowUp::PauseAgent { agent_id: id.into() });
        assert_eq!(body(&paused)["error"]["budget"]["follow_up"]["pause_agent"]["agent_id"], id.to_string());
        assert_eq!((header(&paused, "x-apex-approval"), header(&paused, "x-apex-cheaper-model")), (None, None));
    }

    #[test]
    fn a_budget_that_renews_is_429_and_says_when_and_one_of_all_time_is_402() {
        let answer = exceeded("2026-03-10T11:00:00Z").answer(Api::OpenAi);
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let header =
            |answer: &Answer, name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header(&answer, "retry-after").as_deref(), Some("3601"));
        assert_eq!(header(&answer, "x-should-retry").as_deref(), Some("false"), "an hour is too long for an SDK");
        assert_eq!(header(&answer, "x-apex-budget-left").as_deref(), Some("3"));
        let error = &body(&answer)["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!("insufficient_quota"), &json!("budget_exceeded")));
        assert_eq!(error["budget"]["left"], "3");
        let soon = exceeded("2026-03-10T10:00:20Z").answer(Api::Anthropic);
        assert_eq!(header(&soon, "x-should-retry").as_deref(), Some("true"));
        assert_eq!(body(&soon)["error"]["type"], "rate_limit_error");
        let never = exceeded("2200-01-01T00:00:00Z").answer(Api::Anthropic);
        assert_eq!((never.status, header(&never, "retry-after")), (StatusCode::PAYMENT_REQUIRED, None));
        assert_eq!(body(&never)["type"], "error");
        assert_eq!(body(&never)["error"]["type"], "billing_error");
    }
}
