//! Who may ask, and in whose name.

use super::State;
use crate::caller::{Caller, Role};
use crate::{ApiConfig, Secret};
use axum::http::{HeaderMap, header};
use domain::Name;
use uuid::Uuid;

/// The header that names who asks.
const ACTOR: &str = "x-apex-actor";
/// The header that says what the request belongs to.
const CORRELATION: &str = "x-correlation-id";
/// Who asks where nobody says so.
const DEFAULT_ACTOR: &str = "api";

/// What a credential proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// That its bearer has a role.
    Proves(Role),
    /// None was given.
    Missing,
    /// One was given, and it is wrong.
    Wrong,
}

/// Looks at the `Authorization` header.
pub(crate) fn of_headers(config: &ApiConfig, headers: &HeaderMap) -> Credential {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => check(config, value.to_str().ok()),
        None => check(config, None).or_missing(),
    }
}

/// Looks at the value of an `Authorization` header, wherever it came in.
pub(crate) fn check(config: &ApiConfig, value: Option<&str>) -> Credential {
    let shows = |token| shows(value, token);
    let (token, operator_token) = (config.token.as_ref(), config.operator_token.as_ref());
    if shows(operator_token) {
        return Credential::Proves(Role::Operator);
    }
    let role = if operator_token.is_none() { Role::Operator } else { Role::User };
    match token {
        Some(_) if shows(token) => Credential::Proves(role),
        Some(_) => Credential::Wrong,
        // Whoever shows a token means to be an operator.
        None if operator_token.is_some() && value.is_some() => Credential::Wrong,
        None => Credential::Proves(role),
    }
}

/// Whether the value of an `Authorization` header is this token.
fn shows(value: Option<&str>, token: Option<&Secret>) -> bool {
    let bearer =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.zip(bearer).is_some_and(|(token, (_, guess))| token.matches(guess.trim()))
}

/// Whether the metrics may be read: with the token for them or any other one. Where there is no token at all, as on a
/// loopback address, they are as open as everything else.
pub(crate) fn may_read_metrics(config: &ApiConfig, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let tokens = [&config.metrics_token, &config.operator_token, &config.token];
    tokens.iter().all(|token| token.is_none()) || tokens.iter().any(|token| shows(value, token.as_ref()))
}

impl Credential {
    fn or_missing(self) -> Self {
        if self == Self::Wrong { Self::Missing } else { self }
    }
}

/// A header that does not say what it should.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHeader(pub(crate) String);

/// In whose name a request is made.
pub(crate) fn caller(state: &State, headers: &HeaderMap, role: Role) -> Result<Caller, BadHeader> {
    let (tenant, actor, correlation_id) = (state.config.tenant.clone(), actor(headers)?, correlation(headers)?);
    Ok(Caller { tenant, role, actor, correlation_id })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {name} is not text"));
    headers.get(name).map(|value| value.to_str().map_err(bad)).transpose()
}

fn actor(headers: &HeaderMap) -> Result<String, BadHeader> {
    let given = text(headers, ACTOR)?.unwrap_or(DEFAULT_ACTOR);
    let name = Name::new(given).map_err(|error| BadHeader(format!("the header {ACTOR} is no name: {error}")))?;
    let name = String::from(name);
    if commands::is_reserved_actor(&name) {
        let message = "is a name that only Apex itself acts under: send one that is not `apex`, `demo` or \
                       `simulation` and does not begin with `apex:`, `import:`, `policy:` or `system:`";
        return Err(BadHeader(format!("the header {ACTOR}: {name:?} {message}")));
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

    fn shown(config: &ApiConfig, value: &str) -> Credential {
        of_headers(config, &headers("authorization", value))
    }

    #[test]
    fn a_token_is_asked_for_only_where_there_is_one() {
        let operator = Credential::Proves(Role::Operator);
        assert_eq!(of_headers(&config(None, None), &HeaderMap::new()), operator);
        let config = config(Some("tea"), None);
        assert_eq!(of_headers(&config, &HeaderMap::new()), Credential::Missing);
        for right in ["Bearer tea", "bearer tea", "BEARER  tea"] {
            assert_eq!(shown(&config, right), operator, "{right:?}");
        }
        for wrong in ["Bearer coffee", "Bearer", "tea", "Basic tea", ""] {
            assert_eq!(shown(&config, wrong), Credential::Wrong, "{wrong:?}");
        }
    }

    #[test]
    fn where_operators_have_a_token_nobody_else_is_one() {
        let (user, operator) = (Credential::Proves(Role::User), Credential::Proves(Role::Operator));
        let both = config(Some("tea"), Some("rum"));
        assert_eq!(shown(&both, "Bearer tea"), user);
        assert_eq!(shown(&both, "Bearer rum"), operator);
        assert_eq!(shown(&both, "Bearer coffee"), Credential::Wrong);
        assert_eq!(of_headers(&both, &HeaderMap::new()), Credential::Missing);
        let open = config(None, Some("rum"));
        assert_eq!(of_headers(&open, &HeaderMap::new()), user);
        assert_eq!(shown(&open, "Bearer rum"), operator);
        assert_eq!(shown(&open, "Bearer tea"), Credential::Wrong);
    }

    #[test]
    fn metrics_open_to_their_own_token_and_to_the_others() {
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
        // And the token for metrics opens nothing else.
        assert_eq!(shown(&all, "Bearer m"), Credential::Wrong);
    }

    #[test]
    fn nobody_can_claim_to_be_a_policy_an_import_or_apex_itself() {
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
    fn headers_are_checked() {
        assert_eq!(actor(&HeaderMap::new()), Ok("api".to_owned()));
        assert_eq!(actor(&headers(ACTOR, "ada")), Ok("ada".to_owned()));
        assert!(actor(&headers(ACTOR, " ")).is_err());
        assert!(actor(&headers(ACTOR, &"x".repeat(300))).is_err());
        assert_eq!(correlation(&HeaderMap::new()), Ok(None));
        assert!(correlation(&headers(CORRELATION, "x")).is_err());
    }
}
