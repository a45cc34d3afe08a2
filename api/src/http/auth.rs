//! Who may ask, and in whose name.

use super::State;
use crate::Secret;
use crate::caller::Caller;
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
    /// The token, or none is needed.
    Right,
    /// None was given.
    Missing,
    /// One was given, and it is wrong.
    Wrong,
}

/// Looks at the `Authorization` header.
pub(crate) fn of_headers(token: Option<&Secret>, headers: &HeaderMap) -> Credential {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => check(token, value.to_str().ok()),
        None => check(token, None).or_missing(),
    }
}

/// Looks at the value of an `Authorization` header, wherever it came in.
pub(crate) fn check(token: Option<&Secret>, value: Option<&str>) -> Credential {
    let Some(token) = token else { return Credential::Right };
    let bearer =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match bearer {
        Some((_, guess)) if token.matches(guess.trim()) => Credential::Right,
        _ => Credential::Wrong,
    }
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
pub(crate) fn caller(state: &State, headers: &HeaderMap) -> Result<Caller, BadHeader> {
    Ok(Caller { tenant: state.config.tenant.clone(), actor: actor(headers)?, correlation_id: correlation(headers)? })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {name} is not text"));
    headers.get(name).map(|value| value.to_str().map_err(bad)).transpose()
}

fn actor(headers: &HeaderMap) -> Result<String, BadHeader> {
    let given = text(headers, ACTOR)?.unwrap_or(DEFAULT_ACTOR);
    Name::new(given).map(String::from).map_err(|error| BadHeader(format!("the header {ACTOR} is no name: {error}")))
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

    #[test]
    fn a_token_is_asked_for_only_where_there_is_one() {
        assert_eq!(of_headers(None, &HeaderMap::new()), Credential::Right);
        let token = Secret::new("tea");
        assert_eq!(of_headers(Some(&token), &HeaderMap::new()), Credential::Missing);
        for right in ["Bearer tea", "bearer tea", "BEARER  tea"] {
            assert_eq!(of_headers(Some(&token), &headers("authorization", right)), Credential::Right, "{right:?}");
        }
        for wrong in ["Bearer coffee", "Bearer", "tea", "Basic tea", ""] {
            assert_eq!(of_headers(Some(&token), &headers("authorization", wrong)), Credential::Wrong, "{wrong:?}");
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
