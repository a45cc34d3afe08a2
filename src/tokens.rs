//! The tokens of the settings of `apex serve`, each shared by all who know it.

use crate::config::{Secret, Server};
use api::{Endpoint, Presented, Unauthenticated};
use commands::Principal;
use domain::TenantId;
use domain::permissions::{Action, PermissionSet, Role, Scopes};

/// Makes principals from the tokens of the settings. All act in the tenant of the settings.
#[derive(Debug, Clone)]
pub struct Tokens {
    tenant: TenantId,
    /// The token that requests need. Without one, every client that reaches the port is admitted.
    token: Option<Secret>,
    /// The token of operators, which also admits to everything that `token` does. Without one, every client that is admitted
    /// is an operator.
    operator_token: Option<Secret>,
    /// A token for `/metrics` only, which is about all tenants. That of operators admits to it, too.
    metrics_token: Option<Secret>,
}

/// What a token, or having none, gives.
type Rights = (&'static [Role], Scopes);

/// The roles of the operator token, and of every client where there is none.
const OPERATOR: &[Role] = &[Role::Admin, Role::InstallationOperator];
/// The roles of the token of clients, where operators have one of their own: it acts in one tenant, and reads nothing that is
/// about others.
const USER: &[Role] = &[Role::Operator, Role::InstallationViewer];

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
            return Ok((OPERATOR, Scopes::All));
        }
        let roles = if self.operator_token.is_none() { OPERATOR } else { USER };
        if is_bearer(&self.token) {
            return Ok((roles, Scopes::All));
        }
        match presented.endpoint {
            Endpoint::Metrics => {
                // If no token is configured, as is allowed on a loopback address, every client may read the metrics that sends no
                // credential. A mangled one never counts as none.
                let tokens = [&self.metrics_token, &self.operator_token, &self.token];
                let is_open = value.is_none() && tokens.iter().all(|token| token.is_none());
                let metrics_only = (OPERATOR, Scopes::Only(PermissionSet::of_action(Action::ReadMetrics)));
                if is_open || is_bearer(&self.metrics_token) { Ok(metrics_only) } else { Err(refused) }
            }
            // A client that sends a credential expects to have its rights: a mistyped one never gives those of none.
            Endpoint::Api if self.token.is_some() || value.is_some() => Err(refused),
            Endpoint::Api => Ok((roles, Scopes::All)),
        }
    }
}

/// Whether the value of an `Authorization` header is this bearer token.
fn is_bearer(value: Option<&str>, token: Option<&Secret>) -> bool {
    let bearer =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.zip(bearer).is_some_and(|(token, (_, guess))| token.matches(guess.trim()))
}

impl Tokens {
    /// Whether a request without a credential has a principal.
    #[must_use]
    pub fn admits_anonymous(&self) -> bool {
        self.token.is_none()
    }

    /// The tenant that the tokens act in.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The principal of a token, or of none where none is required. Its tenant may be suspended.
    ///
    /// # Errors
    /// [`Unauthenticated`] if there is no valid token.
    pub fn authenticate(&self, presented: Presented<'_>) -> Result<Principal, Unauthenticated> {
        let (roles, scopes) = self.rights(&presented)?;
        let principal = Principal::shared_token(self.tenant.clone(), presented.declared_actor, roles.to_vec(), scopes);
        // The API rejects reserved actors with a message of its own.
        principal.map_err(|_| Unauthenticated::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::ReadMetrics;

    fn tokens(token: Option<&str>, operator_token: Option<&str>) -> Tokens {
        let secret = |token: Option<&str>| token.map(|token| Secret::from(token.to_owned()));
        Tokens {
            token: secret(token),
            operator_token: secret(operator_token),
            ..Tokens::none("default".parse().unwrap())
        }
    }

    fn name() -> domain::Name {
        domain::Name::new("ada").unwrap()
    }

    fn at(tokens: &Tokens, endpoint: Endpoint, authorization: Option<&str>) -> Result<Rights, Unauthenticated> {
        tokens.rights(&Presented { authorization, declared_actor: name(), endpoint })
    }

    fn roles(tokens: &Tokens, authorization: Option<&str>) -> Result<&'static [Role], Unauthenticated> {
        at(tokens, Endpoint::Api, authorization).map(|(roles, _)| roles)
    }

    #[test]
    fn a_token_is_required_only_if_one_is_configured() {
        let open = tokens(None, None);
        assert_eq!(roles(&open, None), Ok(OPERATOR));
        // Where none is required, one that is presented has to be valid nevertheless.
        for mangled in ["apex_1_2", "Basic apex_1_2", "\"Bearer apex_1_2\"", "Bearer\tapex_1_2", "Bearer x", ""] {
            assert_eq!(roles(&open, Some(mangled)), Err(Unauthenticated::Invalid), "{mangled:?}");
        }
        let tokens = tokens(Some("tea"), None);
        assert_eq!(roles(&tokens, None), Err(Unauthenticated::Missing));
        for right in ["Bearer tea", "bearer tea", "BEARER  tea"] {
            assert_eq!(roles(&tokens, Some(right)), Ok(OPERATOR), "{right:?}");
        }
        for wrong in ["Bearer coffee", "Bearer", "tea", "Basic tea", ""] {
            assert_eq!(roles(&tokens, Some(wrong)), Err(Unauthenticated::Invalid), "{wrong:?}");
        }
    }

    #[test]
    fn with_an_operator_token_only_its_bearer_is_an_operator() {
        let both = tokens(Some("tea"), Some("rum"));
        assert_eq!(roles(&both, Some("Bearer tea")), Ok(USER));
        assert_eq!(roles(&both, Some("Bearer rum")), Ok(OPERATOR));
        assert_eq!(roles(&both, Some("Bearer coffee")), Err(Unauthenticated::Invalid));
        assert_eq!(roles(&both, None), Err(Unauthenticated::Missing));
        let open = tokens(None, Some("rum"));
        assert_eq!(roles(&open, None), Ok(USER));
        assert_eq!(roles(&open, Some("Bearer rum")), Ok(OPERATOR));
        assert_eq!(roles(&open, Some("Bearer tea")), Err(Unauthenticated::Invalid));
    }

    #[test]
    fn metrics_accept_their_own_token_and_that_of_operators() {
        let with = |metrics: Option<&str>, token: Option<&str>, operator: Option<&str>| Tokens {
            metrics_token: metrics.map(|token| Secret::from(token.to_owned())),
            ..tokens(token, operator)
        };
        let opens = |tokens: &Tokens, value: Option<&str>| {
            let rights = at(tokens, Endpoint::Metrics, value);
            rights.is_ok_and(|(roles, scopes)| {
                let principal = Principal::shared_token(tokens.tenant.clone(), name(), roles.to_vec(), scopes).unwrap();
                principal.authorise::<ReadMetrics>().is_ok()
            })
        };
        assert!(opens(&with(None, None, None), None));
        for mangled in ["", "Bearer", "Bearer x", "apex_x", "Basic dGVh"] {
            assert!(!opens(&with(None, None, None), Some(mangled)), "{mangled:?}");
        }
        for tokens in [with(Some("m"), None, None), with(Some("m"), Some("t"), Some("o")), with(None, Some("t"), None)]
        {
            assert!(!opens(&tokens, None) && !opens(&tokens, Some("Bearer x")) && !opens(&tokens, Some("m")));
        }
        let all = with(Some("m"), Some("t"), Some("o"));
        assert!(["Bearer m", "Bearer o"].iter().all(|value| opens(&all, Some(value))));
        // The token of clients is of one tenant, unless there is no other for operators.
        assert!(!opens(&all, Some("Bearer t")) && opens(&with(Some("m"), Some("t"), None), Some("bearer t")));
        // The metrics token is not accepted anywhere else, and gives nothing but the metrics.
        assert_eq!(roles(&all, Some("Bearer m")), Err(Unauthenticated::Invalid));
        let (_, scopes) = at(&all, Endpoint::Metrics, Some("Bearer m")).unwrap();
        assert_eq!(scopes, Scopes::Only(PermissionSet::of_action(Action::ReadMetrics)));
    }
}
