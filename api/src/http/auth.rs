//! Authentication by bearer token, and the identity that a client declares in headers.

use crate::caller::{Caller, Role};
use crate::config::{ApiConfig, Secret};
use axum::http::{HeaderMap, header};
use domain::Name;
use uuid::Uuid;

/// The header that names the actor.
const ACTOR: &str = "x-apex-actor";
/// The header with the correlation id.
const CORRELATION: &str = "x-correlation-id";
/// The actor of requests without the header.
const DEFAULT_ACTOR: &str = "api";

/// The result of checking the credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The credential is valid for a role, or none is required.
    Valid(Role),
    /// A credential is required, and the request has none.
    Missing,
    /// The credential is not valid.
    Invalid,
}

/// Checks the `Authorization` header.
pub(crate) fn of_headers(config: &ApiConfig, headers: &HeaderMap) -> Credential {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => check(config, value.to_str().ok()),
        None => check(config, None).or_missing(),
    }
}

/// Checks the value of an `Authorization` header, which a WebSocket may receive in a message.
pub(crate) fn check(config: &ApiConfig, value: Option<&str>) -> Credential {
    let is_bearer = |token| is_bearer(value, token);
    let (token, operator_token) = (config.token.as_ref(), config.operator_token.as_ref());
    if is_bearer(operator_token) {
        return Credential::Valid(Role::Operator);
    }
    let role = if operator_token.is_none() { Role::Operator } else { Role::User };
    match token {
        Some(_) if is_bearer(token) => Credential::Valid(role),
        Some(_) => Credential::Invalid,
        // A client that sends a token expects to be an operator.
        None if operator_token.is_some() && value.is_some() => Credential::Invalid,
        None => Credential::Valid(role),
    }
}

/// Whether the value of an `Authorization` header is this bearer token.
fn is_bearer(value: Option<&str>, token: Option<&Secret>) -> bool {
    let bearer =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.zip(bearer).is_some_and(|(token, (_, guess))| token.matches(guess.trim()))
}

/// Whether a client may read the metrics: with the metrics token or any other. If no token is configured, as is allowed on a
/// loopback address, every client may.
pub(crate) fn may_read_metrics(config: &ApiConfig, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let tokens = [&config.metrics_token, &config.operator_token, &config.token];
    tokens.iter().all(|token| token.is_none()) || tokens.iter().any(|token| is_bearer(value, token.as_ref()))
}

impl Credential {
    fn or_missing(self) -> Self {
        if self == Self::Invalid { Self::Missing } else { self }
    }
}

/// The message about a header that is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHeader(pub(crate) String);

/// The caller of a request, from its headers and role.
pub(crate) fn caller(config: &ApiConfig, headers: &HeaderMap, role: Role) -> Result<Caller, BadHeader> {
    let (tenant, actor, correlation_id) = (config.tenant.clone(), actor(headers)?, correlation(headers)?);
    Ok(Caller { tenant, role, actor, correlation_id })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {name} is not text"));
    headers.get(name).map(|value| value.to_str().map_err(bad)).transpose()
}

fn actor(headers: &HeaderMap) -> Result<String, BadHeader> {
    let given = text(headers, ACTOR)?.unwrap_or(DEFAULT_ACTOR);
    let name =
        Name::new(given).map_err(|error| BadHeader(format!("the header {ACTOR} is not a valid name: {error}")))?;
    let name = String::from(name);
    if commands::is_reserved_actor(&name) {
        let message = "is reserved for Apex itself; send a name that is not `apex`, `demo` or `simulation` and does not \
                       begin with `apex:`, `import:`, `policy:` or `system:`";
        return Err(BadHeader(format!("the actor {name:?} in the header {ACTOR} {message}")));
    }
    Ok(name)
}

fn correlation(headers: &HeaderMap) -> Result<Option<Uuid>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {CORRELATION} is not a UUID"));
    text(headers, CORRELATION)?.map(|given| Uuid::try_parse(given).map_err(bad)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    fn config(token: Option<&str>, operator_token: Option<&str>) -> ApiConfig {
        let (token, operator_token) = (token.map(Secret::new), operator_token.map(Secret::new));
        ApiConfig { token, operator_token, ..ApiConfig::new("default".parse().unwrap()) }
    }

    fn checked(config: &ApiConfig, value: &str) -> Credential {
        of_headers(config, &headers("authorization", value))
    }

    #[test]
    fn a_token_is_required_only_if_one_is_configured() {
        let operator = Credential::Valid(Role::Operator);
        assert_eq!(of_headers(&config(None, None), &HeaderMap::new()), operator);
        let config = config(Some("tea"), None);
        assert_eq!(of_headers(&config, &HeaderMap::new()), Credential::Missing);
        for right in ["Bearer tea", "bearer tea", "BEARER  tea"] {
            assert_eq!(checked(&config, right), operator, "{right:?}");
        }
        for wrong in ["Bearer coffee", "Bearer", "tea", "Basic tea", ""] {
            assert_eq!(checked(&config, wrong), Credential::Invalid, "{wrong:?}");
        }
    }

    #[test]
    fn with_an_operator_token_only_its_bearer_is_an_operator() {
        let (user, operator) = (Credential::Valid(Role::User), Credential::Valid(Role::Operator));
        let both = config(Some("tea"), Some("rum"));
        assert_eq!(checked(&both, "Bearer tea"), user);
        assert_eq!(checked(&both, "Bearer rum"), operator);
        assert_eq!(checked(&both, "Bearer coffee"), Credential::Invalid);
        assert_eq!(of_headers(&both, &HeaderMap::new()), Credential::Missing);
        let open = config(None, Some("rum"));
        assert_eq!(of_headers(&open, &HeaderMap::new()), user);
        assert_eq!(checked(&open, "Bearer rum"), operator);
        assert_eq!(checked(&open, "Bearer tea"), Credential::Invalid);
    }

    #[test]
    fn metrics_accept_their_own_token_and_every_other() {
        let with = |metrics: Option<&str>, token: Option<&str>, operator: Option<&str>| ApiConfig {
            metrics_token: metrics.map(Secret::new),
            ..config(token, operator)
        };
        let opens = |config: &ApiConfig, value: Option<&str>| {
            let headers = value.map_or_else(HeaderMap::new, |value| headers("authorization", value));
            may_read_metrics(config, &headers)
        };
        assert!(opens(&with(None, None, None), None));
        for config in [with(Some("m"), None, None), with(Some("m"), Some("t"), Some("o")), with(None, Some("t"), None)]
        {
            assert!(!opens(&config, None) && !opens(&config, Some("Bearer x")) && !opens(&config, Some("m")));
        }
        let all = with(Some("m"), Some("t"), Some("o"));
        assert!(["Bearer m", "bearer t", "Bearer o"].iter().all(|value| opens(&all, Some(value))));
        // The metrics token is not accepted anywhere else.
        assert_eq!(checked(&all, "Bearer m"), Credential::Invalid);
    }

    #[test]
    fn reserved_actors_are_rejected() {
        for claimed in ["policy:budget-alerts", "Policy:x", "import:otlp", "apex", "APEX", "system:x", "apex:x", "demo"]
        {
            let refused = actor(&headers(ACTOR, claimed)).unwrap_err();
            assert!(refused.0.contains(claimed) && refused.0.contains("policy:"), "{refused:?}");
        }
        for fine in ["policy", "ada", "team:ada", "my-policy:x", "apexer"] {
            assert_eq!(actor(&headers(ACTOR, fine)), Ok(fine.to_owned()));
        }
    }

    #[test]
    fn invalid_headers_are_rejected() {
        assert_eq!(actor(&HeaderMap::new()), Ok("api".to_owned()));
        assert_eq!(actor(&headers(ACTOR, "ada")), Ok("ada".to_owned()));
        assert!(actor(&headers(ACTOR, " ")).is_err());
        assert!(actor(&headers(ACTOR, &"x".repeat(300))).is_err());
        assert_eq!(correlation(&HeaderMap::new()), Ok(None));
        assert!(correlation(&headers(CORRELATION, "x")).is_err());
    }
}
