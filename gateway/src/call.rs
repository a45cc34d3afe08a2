//! A call through the gateway: read, reserved, passed on.

use crate::answer::{Answer, Problem};
use crate::attribution::Declared;
use crate::bound::Bound;
use crate::config::{ConfigError, GatewayConfig, GatewayLimits};
use crate::endpoint::Endpoint;
use crate::known::KnownCatalogues;
use crate::passing::Call;
use crate::request::{Additions, CallRequest};
use crate::reserve::{Reserved, Whose};
use crate::shared::{CallInput, OpenCall, Shared};
use crate::top_up::ReservedUsage;
use crate::upstream::Upstream;
use chrono::Utc;
use commands::{Commands, Principal};
use domain::Aggregate as _;
use domain::budget_balance::BudgetBalance;
use domain::call::Call as CallAggregate;
use domain::permissions::{Forbidden, SendCommand};
use metrics::{counter, gauge};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

/// How often keys in files are read again.
const KEY_RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Passes calls on to providers; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway with settings.
    ///
    /// # Errors
    /// [`ConfigError`] if they cannot be used.
    pub fn new(commands: Commands, config: GatewayConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let upstreams =
            config.upstreams.iter().map(|upstream| Upstream::new(upstream.clone(), &config.limits).map(Arc::new));
        let upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;
        let (known, tasks) = (KnownCatalogues::default(), TaskTracker::new());
        let unanswered = Arc::new(Semaphore::new(config.limits.max_unanswered));
        Ok(Self { shared: Arc::new(Shared { commands, config, upstreams, known, tasks, unanswered }) })
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &GatewayLimits {
        &self.shared.config.limits
    }

    /// Checks that a principal may reserve calls and report them, before its request is read.
    ///
    /// # Errors
    /// [`Forbidden`] if it may not.
    pub fn authorise(principal: &Principal) -> Result<(), Forbidden> {
        principal.authorise_on::<SendCommand>(CallAggregate::CATEGORY, Uuid::nil())?;
        principal.authorise_on::<SendCommand>(BudgetBalance::CATEGORY, Uuid::nil())?;
        Ok(())
    }

    /// Answers a request. The call goes on until it is settled, also if the caller does not wait for the answer.
    pub async fn call(&self, input: CallInput) -> Answer {
        let api = input.endpoint.api();
        let (reply, answer) = oneshot::channel();
        let shared = self.shared.clone();
        let run = async move { shared.run(input, reply).await };
        self.shared.tasks.spawn(run.instrument(tracing::Span::current()));
        // The task ends without an answer only if it panics.
        answer.await.unwrap_or_else(|_| Problem::internal().answer(api))
    }

    /// Reads keys that may change again for ever, and uses them for the calls that follow.
    pub async fn follow_keys(&self) {
        let followed: Vec<_> =
            self.shared.upstreams.iter().filter(|upstream| upstream.config.key_reader.is_some()).cloned().collect();
        if followed.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(KEY_RELOAD_INTERVAL).await;
            let followed = followed.clone();
            let reload = move || followed.iter().filter(|upstream| !upstream.reload_key()).count();
            // The gateway goes on with what it has if a thread cannot be started.
            let Ok(failing) = tokio::task::spawn_blocking(reload).await else { continue };
            gauge!("apex_gateway_keys_failing").set(u32::try_from(failing).unwrap_or(u32::MAX));
        }
    }

    /// Waits until all calls are settled. Those that take longer than the timeout are given up: their reservations expire, and are
    /// charged in full.
    pub async fn drain(&self, timeout: Duration) {
        self.shared.tasks.close();
        if tokio::time::timeout(timeout, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(open = self.shared.tasks.len(), "calls were not settled before the gateway ended");
        }
    }
}

impl Shared {
    /// Runs a call, and replies.
    async fn run(self: Arc<Self>, input: CallInput, reply: oneshot::Sender<Answer>) {
        let endpoint = input.endpoint;
        match self.prepare(input).await {
            Ok(call) => call.pass_on(reply).await,
            Err(problem) => {
                counter!("apex_gateway_refused_total", "endpoint" => endpoint.label(), "reason" => problem.code())
                    .increment(1);
                // A client that hung up need not be told.
                drop(reply.send(problem.answer(endpoint.api())));
            }
        }
    }

    /// Reads and reserves a call.
    async fn prepare(self: Arc<Self>, input: CallInput) -> Result<Call, Problem> {
        let endpoint = input.endpoint;
        let upstream = self.upstream(&input)?;
        let declared = Declared::of(&input.headers).map_err(|error| Problem::bad_request(error.to_string()))?;
        check_form(&input.headers)?;
        let request = CallRequest::read(endpoint, &input.body, upstream.config.chat_output_field);
        let request = request.map_err(|error| Problem::bad_request(error.to_string()))?;
        let provider = &upstream.config.provider;
        let whose =
            Whose { fixed: input.principal.call_attributes(), declared: declared.attributes(provider, &request.model) };
        let bounds = self.config.bounds(request.model.as_str());
        let bound = Bound::of(&request, &bounds, declared.min_output, self.config.limits.min_output_tokens);
        let (started_at, started) = (Utc::now(), Instant::now());
        let reserved = match endpoint.is_metered() {
            true => self.reserve(&input, &request, &bound, &whose).await?,
            false => Reserved { reservation_id: None, output: None, usage: bound.usage },
        };
        let ending = endpoint.is_metered().then(|| self.ending(&input, reserved.reservation_id));
        let asks_for_usage =
            endpoint == Endpoint::ChatCompletions && request.is_streamed && upstream.config.asks_for_usage;
        let hides_usage = asks_for_usage && !request.asks_for_usage;
        let additions = Additions { usage: hides_usage, output: reserved.output };
        let body = additions.apply(endpoint, &input.body, upstream.config.chat_output_field);
        let body = body.map_err(|error| Problem::bad_request(error.to_string()))?;
        let CallInput { query, headers, permit, .. } = input;
        Ok(Call {
            gateway: self,
            upstream,
            endpoint,
            query,
            headers,
            body,
            model: request.model,
            declared,
            fixed: whose.fixed,
            ending,
            reserved: ReservedUsage::new(reserved.usage),
            tops_up: !request.has_limit && reserved.output.is_none(),
            hides_usage,
            started_at,
            started,
            open: Arc::new(OpenCall::new(permit)),
        })
    }

    fn upstream(&self, input: &CallInput) -> Result<Arc<Upstream>, Problem> {
        let named = self.upstreams.iter().find(|upstream| upstream.config.name == input.upstream);
        let unknown = || {
            let message =
                "there is no such upstream: the path is /gateway/NAME/v1/…, with a name of the settings of the gateway";
            Problem::new(StatusCode::NOT_FOUND, "unknown_upstream", message)
        };
        let upstream = named.ok_or_else(unknown)?;
        if upstream.config.api != input.endpoint.api() {
            let message = format!("the upstream {} has another API than that of the path", upstream.config.name);
            return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_upstream", message));
        }
        Ok(upstream.clone())
    }
}

/// Checks that the upstream reads the body as the gateway does: as JSON in UTF-8, which is not compressed.
fn check_form(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |message: &str| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", message));
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return refused("the body is compressed, so that its limits cannot be read: send it as it is");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = types.next().is_none_or(|stated| stated.to_str().is_ok_and(is_json));
    match is_json && types.next().is_none() {
        true => Ok(()),
        false => refused("the body is not JSON in UTF-8: send the content type application/json"),
    }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    let charset = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    };
    is_json && parts.filter_map(charset).all(|charset| charset == "utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn only_what_upstreams_read_alike_is_taken() {
        let check = |types: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for stated in types {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(stated));
            }
            check_form(&headers).is_ok()
        };
        assert!(check(&[]) && check(&["application/json"]));
        assert!(check(&["Application/JSON; charset=\"UTF-8\""]));
        for refused in ["text/plain", "application/json; charset=utf-7", "application/x-www-form-urlencoded", ""] {
            assert!(!check(&[refused]), "{refused}");
        }
        assert!(!check(&["application/json", "application/x-www-form-urlencoded"]));
        let mut compressed = HeaderMap::new();
        compressed.append(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(check_form(&compressed).is_ok());
        compressed.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check_form(&compressed).is_err());
    }
}
