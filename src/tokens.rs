//! The authenticator of `apex serve`: the tokens of its settings, each shared by all who know it.

use crate::config::{Secret, Server};
use api::{Authenticator, Endpoint, Presented, Unauthenticated};
use commands::Principal;
use domain::TenantId;
use domain::permissions::{Action, Role, Scopes};
use futures::future::BoxFuture;

/// Makes principals from the tokens of the settings. All act in the tenant of the settings.
#[derive(Debug, Clone)]
pub struct Tokens {
    tenant: TenantId,
    /// The token that requests need. Without one, every client that reaches the port is admitted.
    token: Option<Secret>,
    /// The token of operators, which also admits to everything that `token` does. Without one, every client that is admitted
    /// is an operator.
    operator_token: Option<Secret>,
    /// A token for `/metrics` only. The other tokens admit to it, too.
    metrics_token: Option<Secret>,
}

/// What a token, or having none, gives.
type Rights = (Role, Scopes);

impl Tokens {
    /// Admits every client that reaches the port, as an operator.
    #[must_use]
    pub fn none(tenant: TenantId) -> Self {
        Self { tenant, token: None, operator_token: None, metrics_token: None }
    }

    /// The tokens of the settings.
    #[must_use]
    pub fn of_settings(tenant: TenantId, server: &Server) -> Self {
        Self {
            tenant,
            token: server.token.clone(),
            operator_token: server.operator_token.clone(),
            metrics_token: server.metrics_token.clone(),
        }
    }

    fn rights(&self, presented: &Presented<'_>) -> Result<Rights, Unauthenticated> {
        let value = presented.authorization;
        let refused = if value.is_none() { Unauthenticated::Missing } else { Unauthenticated::Invalid };
        let is_bearer = |token: &Option<Secret>| is_bearer(value, token.as_ref());
        if is_bearer(&self.operator_token) {
            return Ok((Role::Operator, Scopes::All));
        }
        let role = if self.operator_token.is_none() { Role::Operator } else { Role::User };
        if is_bearer(&self.token) {
            return Ok((role, Scopes::All));
        }
        match presented.endpoint {
            Endpoint::Metrics => {
                // If no token is configured, as is allowed on a loopback address, every client may read the metrics.
                let tokens = [&self.metrics_token, &self.operator_token, &self.token];
                let is_open = tokens.iter().all(|token| token.is_none());
                let metrics_only = (Role::User, Scopes::Only(vec![Action::ReadMetrics]));
                if is_open || is_bearer(&self.metrics_token) { Ok(metrics_only) } else { Err(refused) }
            }
            Endpoint::Api if self.token.is_some() => Err(refused),
            // A client that sends a token expects to be an operator.
            Endpoint::Api if self.operator_token.is_some() && value.is_some() => Err(refused),
            Endpoint::Api => Ok((role, Scopes::All)),
        }
    }
}

/// Whether the value of an `Authorization` header is this bearer token.
fn is_bearer(value: Option<&str>, token: Option<&Secret>) -> bool {
    let bearer =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.zip(bearer).is_some_and(|(token, (_, guess))| token.matches(guess.trim()))
}

impl Authenticator for Tokens {
    fn admits_anonymous(&self) -> bool {
        self.token.is_none()
    }

    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> BoxFuture<'a, Result<Principal, Unauthenticated>> {
        let principal = self.rights(&presented).and_then(|(role, scopes)| {
            let principal = Principal::shared_token(self.tenant.clone(), presented.declared_actor, vec![role], scopes);
            // The API rejects reserved actors with a message of its own.
            principal.map_err(|_| Unauthenticated::Invalid)
        });
        Box::pin(std::future::ready(principal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(token: Option<&str>, operator_token: Option<&str>) -> Tokens {
        let secret = |token: Option<&str>| token.map(|token| Secret::from(token.to_owned()));
        Tokens {
            token: secret(token),
            operator_token: secret(operator_token),
            ..Tokens::none("default".parse().unwrap())
        }
    }

    fn at(tokens: &Tokens, endpoint: Endpoint, authorization: Option<&str>) -> Result<Rights, Unauthenticated> {
        let declared_actor = domain::Name::new("ada").unwrap();
        tokens.rights(&Presented { authorization, declared_actor, endpoint })
    }

    fn role(tokens: &Tokens, authorization: Option<&str>) -> Result<Role, Unauthenticated> {
        at(tokens, Endpoint::Api, authorization).map(|(role, _)| role)
    }

    #[test]
    fn a_token_is_required_only_if_one_is_configured() {
        assert_eq!(role(&tokens(None, None), None), Ok(Role::Operator));
        let tokens = tokens(Some("tea"), None);
        assert_eq!(role(&tokens, None), Err(Unauthenticated::Missing));
        for right in ["Bearer tea", "bearer tea", "BEARER  tea"] {
            assert_eq!(role(&tokens, Some(right)), Ok(Role::Operator), "{right:?}");
        }
        for wrong in ["Bearer coffee", "Bearer", "tea", "Basic tea", ""] {
            assert_eq!(role(&tokens, Some(wrong)), Err(Unauthenticated::Invalid), "{wrong:?}");
        }
    }

    #[test]
    fn with_an_operator_token_only_its_bearer_is_an_operator() {
        let both = tokens(Some("tea"), Some("rum"));
        assert_eq!(role(&both, Some("Bearer tea")), Ok(Role::User));
        assert_eq!(role(&both, Some("Bearer rum")), Ok(Role::Operator));
        assert_eq!(role(&both, Some("Bearer coffee")), Err(Unauthenticated::Invalid));
        assert_eq!(role(&both, None), Err(Unauthenticated::Missing));
        let open = tokens(None, Some("rum"));
        assert_eq!(role(&open, None), Ok(Role::User));
        assert_eq!(role(&open, Some("Bearer rum")), Ok(Role::Operator));
        assert_eq!(role(&open, Some("Bearer tea")), Err(Unauthenticated::Invalid));
    }

    #[test]
    fn metrics_accept_their_own_token_and_every_other() {
        let with = |metrics: Option<&str>, token: Option<&str>, operator: Option<&str>| Tokens {
            metrics_token: metrics.map(|token| Secret::from(token.to_owned())),
            ..tokens(token, operator)
        };
        let opens = |tokens: &Tokens, value: Option<&str>| {
            let rights = at(tokens, Endpoint::Metrics, value);
            rights.is_ok_and(|(role, scopes)| role.allows(Action::ReadMetrics) && scopes.contain(Action::ReadMetrics))
        };
        assert!(opens(&with(None, None, None), None));
        for tokens in [with(Some("m"), None, None), with(Some("m"), Some("t"), Some("o")), with(None, Some("t"), None)]
        {
            assert!(!opens(&tokens, None) && !opens(&tokens, Some("Bearer x")) && !opens(&tokens, Some("m")));
        }
        let all = with(Some("m"), Some("t"), Some("o"));
        assert!(["Bearer m", "bearer t", "Bearer o"].iter().all(|value| opens(&all, Some(value))));
        // The metrics token is not accepted anywhere else, and gives nothing but the metrics.
        assert_eq!(role(&all, Some("Bearer m")), Err(Unauthenticated::Invalid));
        let (_, scopes) = at(&all, Endpoint::Metrics, Some("Bearer m")).unwrap();
        assert_eq!(scopes, Scopes::Only(vec![Action::ReadMetrics]));
    }
}
