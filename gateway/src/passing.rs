//! Passing a call on, and settling it by what the provider answers.

use crate::answer::{Answer, AnswerBody, Problem, RESERVATION};
use crate::attribution::Declared;
use crate::endpoint::Endpoint;
use crate::settle::Ending;
use crate::shared::{OpenCall, Shared};
use crate::stream::{MAX_WAITING_PARTS, Passing, StreamEnd};
use crate::top_up::{ReservedUsage, TopUp};
use crate::upstream::{Upstream, content_length, request_id, response_headers};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use domain::budget::Attributes;
use domain::call::{CallFacts, GATEWAY_SOURCE, Outcome};
use domain::{Body, Name, Usage};
use ingest::{Metered, PassedOn, RefusalReason};
use metrics::counter;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

/// The longest name of an error of a provider that is kept, in bytes.
const MAX_ERROR_NAME_BYTES: usize = 64;

/// A call that is reserved.
pub(crate) struct Call {
    pub(crate) gateway: Arc<Shared>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) endpoint: Endpoint,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) model: Name,
    pub(crate) declared: Declared,
    pub(crate) fixed: Attributes,
    /// None of a call that costs nothing.
    pub(crate) ending: Option<Ending>,
    /// The most that the call may use.
    pub(crate) reserved: ReservedUsage,
    /// Whether a stream that goes beyond it reserves more.
    pub(crate) tops_up: bool,
    /// Whether the chunk with the usage is not for the client.
    pub(crate) hides_usage: bool,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) started: Instant,
    pub(crate) open: Arc<OpenCall>,
}

/// How a call ended.
struct End {
    outcome: Outcome,
    /// What the response states; none if there is none, or it cannot be read.
    metered: Option<Metered>,
    /// Whether the provider charges for it.
    is_charged: bool,
    error: Option<String>,
    first_at: Option<Instant>,
}

impl End {
    /// A call of which it is not known what it used.
    fn unknown(outcome: Outcome, error: &str) -> Self {
        Self { outcome, metered: None, is_charged: true, error: Some(error.to_owned()), first_at: None }
    }
}

/// What was received of a response that is not streamed.
enum Received {
    Whole(Bytes),
    HungUp,
    Broken,
    TooLong,
    /// All calls together hold too many bytes.
    NoRoom,
    TimedOut,
}

impl Call {
    /// Passes the call on, replies, and settles it.
    pub(crate) async fn pass_on(self, mut reply: oneshot::Sender<Answer>) {
        if reply.is_closed() {
            // The client hung up before anything was sent.
            self.count("not_sent");
            return self.release().await;
        }
        let sending = self.upstream.send(self.endpoint, self.query.as_deref(), &self.headers, self.body.clone());
        let sent = tokio::select! {
            biased;
            () = reply.closed() => None,
            sent = timeout_at(self.deadline(), sending) => Some(sent),
        };
        match sent {
            None => self.end(End::unknown(Outcome::Cancelled, "the client hung up")).await,
            Some(Err(_)) => {
                self.fail(reply, &Problem::timeout(), End::unknown(Outcome::Timeout, "no response in time")).await;
            }
            Some(Ok(Err(error))) if error.is_connect() => self.unreachable(reply, &error).await,
            Some(Ok(Err(error))) => {
                self.log(&error);
                let problem = Problem::bad_gateway("the upstream broke the connection off");
                self.fail(reply, &problem, End::unknown(Outcome::Error, "the connection broke")).await;
            }
            Some(Ok(Ok(response))) if is_event_stream(&response) => self.stream(reply, response).await,
            Some(Ok(Ok(response))) => self.respond(reply, response).await,
        }
    }

    fn deadline(&self) -> Instant {
        self.started + self.gateway.config.limits.call_timeout
    }

    fn log(&self, error: &reqwest::Error) {
        // Without the URL, whose query is that of the client.
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(upstream = self.upstream.config.name, cause, "a call to an upstream failed");
    }

    /// The provider was not reached: the call was not made.
    async fn unreachable(self, reply: oneshot::Sender<Answer>, error: &reqwest::Error) {
        self.log(error);
        self.count("unreachable");
        let problem = Problem::bad_gateway("the upstream cannot be reached").retry_after(1);
        let answer = problem.answer(self.endpoint.api());
        self.release().await;
        drop(reply.send(answer));
    }

    /// Releases what was reserved, since nothing was sent, and waits for it a short time.
    async fn release(self) {
        let wait = self.gateway.config.limits.settle_wait;
        let Self { gateway, ending, open, .. } = self;
        let releasing = gateway.tasks.spawn(async move {
            if let Some(ending) = ending {
                ending.release().await;
            }
            drop(open);
        });
        // It goes on after that.
        drop(timeout(wait, releasing).await);
    }

    /// Settles a call that the gateway answers, and replies.
    async fn fail(self, reply: oneshot::Sender<Answer>, problem: &Problem, end: End) {
        let answer = self.with_reservation(problem.answer(self.endpoint.api()));
        self.end(end).await;
        drop(reply.send(answer));
    }

    fn with_reservation(&self, mut answer: Answer) -> Answer {
        let id = self.ending.as_ref().and_then(|ending| ending.reservation_id);
        if let Some(id) = id.and_then(|id| HeaderValue::try_from(id.to_string()).ok()) {
            answer.headers.insert(RESERVATION, id);
        }
        answer
    }

    /// Passes a response on that is not streamed.
    async fn respond(self, mut reply: oneshot::Sender<Answer>, response: Response) {
        let (status, received) = (response.status(), response.headers().clone());
        if status.is_informational() || status.is_redirection() {
            // A client that followed it would send its credential there.
            let problem = Problem::bad_gateway("the upstream redirects, which is not followed: correct its base_url");
            let end = End { is_charged: false, ..End::unknown(Outcome::Error, &error_of(status, &[])) };
            return self.fail(reply, &problem, end).await;
        }
        let is_success = status.is_success();
        // Providers charge nothing for errors.
        let unknown = |outcome, error| End { is_charged: is_success, ..End::unknown(outcome, error) };
        let body = match self.receive(&mut reply, response).await {
            Received::Whole(body) => body,
            Received::HungUp => return self.end(unknown(Outcome::Cancelled, "the client hung up")).await,
            Received::Broken => {
                let problem = Problem::bad_gateway("the upstream broke the response off");
                return self.fail(reply, &problem, unknown(Outcome::Error, "the response is cut off")).await;
            }
            Received::TooLong => {
                let problem = Problem::bad_gateway("the response is longer than max_response_bytes of the gateway");
                return self.fail(reply, &problem, unknown(Outcome::Error, "the response is too long")).await;
            }
            Received::NoRoom => {
                let end = unknown(Outcome::Error, "the response is beyond max_open_bytes");
                return self.fail(reply, &Problem::busy(), end).await;
            }
            Received::TimedOut => {
                let end = unknown(Outcome::Timeout, "the response was not complete in time");
                return self.fail(reply, &Problem::timeout(), end).await;
            }
        };
        let end = match is_success {
            true => {
                let text = String::from_utf8_lossy(&body);
                let metered = self.metered(self.passed_on(&received).read_body(&text));
                End { outcome: Outcome::Ok, metered, is_charged: true, error: None, first_at: None }
            }
            false => End { is_charged: false, ..End::unknown(Outcome::Error, &error_of(status, &body)) },
        };
        let answer = Answer { status, headers: response_headers(&received), body: AnswerBody::Whole(body) };
        let answer = self.with_reservation(answer);
        self.end(end).await;
        drop(reply.send(answer));
    }

    async fn receive(&self, reply: &mut oneshot::Sender<Answer>, mut response: Response) -> Received {
        let limits = &self.gateway.config.limits;
        let max_bytes = limits.max_response_bytes;
        let stated = content_length(response.headers()).unwrap_or(0);
        if stated > max_bytes as u64 {
            return Received::TooLong;
        }
        let mut body = BytesMut::new();
        loop {
            let limit = self.deadline().min(Instant::now() + limits.idle_timeout);
            let received = tokio::select! {
                biased;
                () = reply.closed() => return Received::HungUp,
                received = timeout_at(limit, response.chunk()) => received,
            };
            match received {
                Err(_) => return Received::TimedOut,
                Ok(Err(_)) => return Received::Broken,
                Ok(Ok(None)) => return Received::Whole(body.freeze()),
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > max_bytes => return Received::TooLong,
                Ok(Ok(Some(chunk))) if !self.open.covers(body.len() + chunk.len()) => return Received::NoRoom,
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            }
        }
    }

    /// Passes a streamed response on. Its end is told to the client once the call is settled, or goes on to be.
    async fn stream(self, reply: oneshot::Sender<Answer>, mut response: Response) {
        let (status, received) = (response.status(), response.headers().clone());
        let (sender, parts) = mpsc::channel(MAX_WAITING_PARTS);
        let answer = Answer { status, headers: response_headers(&received), body: AnswerBody::Streamed(parts) };
        // That the client hung up is seen by the stream.
        drop(reply.send(self.with_reservation(answer)));
        let (limits, open) = (&self.gateway.config.limits, self.open.clone());
        let mut passing = Passing::new(sender, self.hides_usage, self.deadline(), limits, open);
        passing.top_up = self.top_up();
        let end = passing.run(&mut response).await;
        // Ends the request at the provider, if it goes on.
        drop(response);
        let read = std::mem::take(&mut passing.read);
        let has_failed = read.has_failed();
        let metered = self.metered(self.passed_on(&received).read_stream(read));
        let is_known = metered.as_ref().is_some_and(|metered| metered.has_usage);
        let (outcome, error) = match end {
            StreamEnd::Whole if has_failed => (Outcome::Error, Some("the stream has an error")),
            StreamEnd::Whole => (Outcome::Ok, None),
            StreamEnd::HungUp if is_known => (Outcome::Ok, None),
            StreamEnd::HungUp => (Outcome::Cancelled, Some("the client hung up")),
            StreamEnd::Broken => (Outcome::Error, Some("the stream is cut off")),
            StreamEnd::TimedOut => (Outcome::Timeout, Some("the stream did not end in time")),
            StreamEnd::NoRoom => (Outcome::Error, Some("the stream is beyond max_open_bytes")),
        };
        let error = error.map(str::to_owned);
        self.end(End { outcome, metered, is_charged: true, error, first_at: passing.first_at }).await;
        match end {
            StreamEnd::Whole => passing.finish().await,
            StreamEnd::Broken | StreamEnd::TimedOut | StreamEnd::NoRoom => passing.break_off().await,
            StreamEnd::HungUp => {}
        }
    }

    fn top_up(&self) -> Option<TopUp> {
        let ending = self.ending.clone().filter(|ending| self.tops_up && ending.reservation_id.is_some())?;
        Some(TopUp::new(ending, self.reserved.clone(), self.gateway.tasks.clone()))
    }

    fn passed_on(&self, received: &HeaderMap) -> PassedOn {
        let key = self.ending.as_ref().and_then(|ending| ending.reservation_id);
        PassedOn {
            provider: self.upstream.config.provider.clone(),
            model: self.model.clone(),
            request_id: request_id(received),
            started_at: self.started_at,
            key: key.map_or_else(uuid::Uuid::now_v7, |id| id.0).to_string(),
        }
    }

    /// What a response states; none if it cannot be read, which is logged.
    fn metered(&self, read: Result<Metered, RefusalReason>) -> Option<Metered> {
        match read {
            Ok(metered) => {
                if let Some(ignored) = &metered.ignored {
                    tracing::warn!(upstream = self.upstream.config.name, ignored, "a part of a usage was not counted");
                }
                Some(metered)
            }
            Err(reason) => {
                tracing::warn!(upstream = self.upstream.config.name, %reason, "a response cannot be metered");
                None
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        let endpoint = self.endpoint.label();
        counter!("apex_gateway_calls_total", "endpoint" => endpoint, "outcome" => outcome).increment(1);
    }

    /// Settles the call, and waits for it a short time.
    async fn end(self, end: End) {
        self.count(end.outcome.as_str());
        let Some(ending) = self.ending.clone() else { return };
        // Without it nothing can be said: the reservation expires, and is charged in full.
        let Some(own) = self.metered(self.passed_on(&HeaderMap::new()).without_response()) else { return };
        let own_ids = own.call_ids.clone();
        let metered = end.metered.clone().unwrap_or(own);
        let (call_ids, facts) = (metered.call_ids.clone(), self.facts(metered, &end));
        if facts.usage_assumed {
            counter!("apex_gateway_assumed_total").increment(1);
        }
        let (open, wait) = (self.open, self.gateway.config.limits.settle_wait);
        let settle = async move {
            ending.settle(call_ids, own_ids, facts).await;
            drop(open);
        };
        let settling = self.gateway.tasks.spawn(settle.instrument(tracing::Span::current()));
        // It goes on after that.
        drop(timeout(wait, settling).await);
    }

    fn facts(&self, metered: Metered, end: &End) -> CallFacts {
        let has_usage = metered.has_usage;
        let mut facts = self.declared.apply(metered.facts, &self.fixed);
        if !end.is_charged {
            facts.usage = Usage::default();
        } else if !has_usage {
            (facts.usage, facts.usage_assumed) = (self.reserved.get(), true);
        }
        let ms = |until: Instant| u64::try_from(until.duration_since(self.started).as_millis()).ok();
        facts.outcome = Some(end.outcome);
        facts.latency_ms = ms(Instant::now());
        facts.first_token_ms = end.first_at.and_then(ms);
        facts.error = end.error.as_ref().and_then(|error| Body::new(error.clone()).ok());
        if let Ok(source) = Name::new(GATEWAY_SOURCE) {
            facts.source = source;
        }
        facts
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status().is_success() && content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

/// What is kept of an error: its status and its name. Its message may have parts of the prompt.
fn error_of(status: StatusCode, body: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let name = ["code", "type"].iter().find_map(|field| error["error"][field].as_str());
    let is_plain = |name: &&str| {
        name.len() <= MAX_ERROR_NAME_BYTES
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    match name.filter(is_plain) {
        Some(name) => format!("status {}: {name}", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_only_its_name_is_kept() {
        let of = |body: &str| error_of(StatusCode::TOO_MANY_REQUESTS, body.as_bytes());
        assert_eq!(
            of(r#"{"error":{"message":"the prompt was: secret","type":"rate_limit_error"}}"#),
            "status 429: rate_limit_error"
        );
        assert_eq!(of(r#"{"error":{"code":"the prompt was: secret"}}"#), "status 429");
        assert_eq!(of("overloaded"), "status 429");
    }
}
