//! The error of a request that a limit refuses.

use super::bucket::Refused;
use crate::request_error::request_error;
use async_graphql::ServerError;
use domain::rate_limits::{LimitAmount, LimitedResource};
use std::time::Duration;

/// The code of the error.
pub(crate) const LIMITED: &str = "RATE_LIMITED";

/// Whose requests are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Those of an address.
    Address,
    /// Those of a tenant.
    Tenant,
    /// Those of a credential.
    Subject,
}

impl Scope {
    /// Every scope.
    pub(crate) const ALL: [Self; 3] = [Self::Address, Self::Tenant, Self::Subject];

    /// The name in settings, headers and metrics.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Tenant => "tenant",
            Self::Subject => "key",
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) scope: Scope,
    pub(crate) resource: LimitedResource,
    pub(crate) limit: LimitAmount,
    /// After which time a retry may succeed; none if it never does.
    pub(crate) retry_after: Option<Duration>,
}

impl Limited {
    pub(super) fn by_bucket(scope: Scope, resource: LimitedResource, limit: LimitAmount, refused: Refused) -> Self {
        let retry_after = match refused {
            Refused::Until(wait) => Some(wait),
            Refused::TooMany => None,
        };
        Self { scope, resource, limit, retry_after }
    }

    /// The message to the client.
    pub(crate) fn message(&self) -> String {
        let whose = match self.scope {
            Scope::Address => "address",
            Scope::Tenant => "tenant",
            Scope::Subject => "API key, user or token",
        };
        let (what, remedy) = match self.resource {
            LimitedResource::Requests => ("requests a minute", "retry"),
            LimitedResource::IngestBytes => ("bytes of commands a minute", "send less at once"),
            LimitedResource::Complexity => ("complexity points a minute", "request smaller pages"),
            LimitedResource::Subscriptions => ("open subscriptions", "end one, or retry"),
        };
        let limit = self.limit;
        match self.retry_after {
            Some(after) => {
                let seconds = seconds(after);
                format!("the limit of the {whose}, {limit} {what}, is reached; retry after {seconds} s")
            }
            None => format!("the request takes more than the limit of the {whose}, {limit} {what}; {remedy}"),
        }
    }

    /// The error of the response.
    pub(crate) fn error(&self) -> ServerError {
        let mut error = request_error(LIMITED, self.message(), None);
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("scope", self.scope.key());
        extensions.set("resource", self.resource.key());
        extensions.set("limit", self.limit.get());
        if let Some(after) = self.retry_after {
            // Rounded up: a client that waits so long is not too early.
            extensions.set("retryAfterMs", u64::try_from(after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1));
        }
        error
    }
}

/// Whole seconds, rounded up: a client that waits them is not too early.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Value;

    #[test]
    fn an_error_says_whose_limit_it_is_and_when_to_retry() {
        let limit = LimitAmount::try_from(60).unwrap();
        let refused = Refused::Until(Duration::from_micros(1_499_001));
        let limited = Limited::by_bucket(Scope::Tenant, LimitedResource::Requests, limit, refused);
        let error = limited.error();
        assert_eq!(error.message, "the limit of the tenant, 60 requests a minute, is reached; retry after 2 s");
        let extension = |name: &str| error.extensions.as_ref().unwrap().get(name).cloned();
        assert_eq!(extension("code"), Some(Value::from("RATE_LIMITED")));
        assert_eq!(extension("scope"), Some(Value::from("tenant")));
        assert_eq!(extension("retryAfterMs"), Some(Value::from(1500)));
        let never = Limited::by_bucket(Scope::Subject, LimitedResource::IngestBytes, limit, Refused::TooMany).error();
        assert!(never.message.contains("takes more than the limit") && never.message.contains("60 bytes"));
        assert_eq!(never.extensions.unwrap().get("retryAfterMs"), None);
    }
}
