//! The authenticator of `apex serve`: API keys, access tokens of sessions, and the tokens of the settings.

use crate::tokens::Tokens;
use api::{Authenticator, EndReason, Endpoint, Presented, Unauthenticated};
use commands::Principal;
use domain::TenantId;
use futures::future::BoxFuture;
use identity::{AuthenticationError, Identities, PREFIX, looks_like_access_token};
use std::sync::Arc;

/// Makes principals from credentials: from an API key in its tenant, from an access token in that of its user, and from a token
/// of the settings in the tenant of the settings, if that is not suspended.
#[derive(Clone)]
pub struct Credentials {
    /// The tokens of the settings.
    pub tokens: Tokens,
    /// The API keys, and the sessions of users.
    pub identities: Identities,
}

/// The text of an API key or an access token, if the value of an `Authorization` header is one, valid or not. Such a client is
/// never taken for one without a credential.
fn of_identities(authorization: Option<&str>) -> Option<&str> {
    let (scheme, text) = authorization?.split_once(' ')?;
    let is_known = |text: &&str| text.starts_with(PREFIX) || looks_like_access_token(text);
    Some(text.trim()).filter(|text| scheme.eq_ignore_ascii_case("bearer") && is_known(text))
}

impl Authenticator for Credentials {
    fn admits_anonymous(&self) -> bool {
        self.tokens.admits_anonymous()
    }

    fn home_tenant(&self) -> TenantId {
        self.tokens.tenant().clone()
    }

    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> BoxFuture<'a, Result<Principal, Unauthenticated>> {
        Box::pin(async move {
            if let Some(text) = of_identities(presented.authorization) {
                return self.identities.authenticate(text).await.map_err(unauthenticated);
            }
            let (endpoint, is_anonymous) = (presented.endpoint, presented.authorization.is_none());
            let principal = self.tokens.authenticate(presented)?;
            match endpoint {
                Endpoint::Api => {
                    let checked = self.identities.check_not_suspended(principal.tenant()).await;
                    checked.map_err(|error| match unauthenticated(error) {
                        // A client may still present an API key of another tenant.
                        Unauthenticated::Invalid if is_anonymous => Unauthenticated::Missing,
                        refused => refused,
                    })?;
                }
                // The metrics are those of the installation, and are needed most while something is wrong.
                Endpoint::Metrics => {}
            }
            Ok(principal)
        })
    }

    fn ended(&self, principal: Arc<Principal>) -> BoxFuture<'static, EndReason> {
        let identities = self.identities.clone();
        Box::pin(async move {
            match identities.ended(&principal).await {
                identity::EndReason::Ended => EndReason::Ended,
                identity::EndReason::Unavailable => EndReason::Unavailable,
            }
        })
    }
}

fn unauthenticated(error: AuthenticationError) -> Unauthenticated {
    match error {
        AuthenticationError::Refused => Unauthenticated::Invalid,
        AuthenticationError::Unavailable(_) => Unauthenticated::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_told_by_its_prefix_and_an_access_token_by_its_form() {
        for text in ["Bearer apex_x", "bearer  apex_x ", "BEARER apex_x"] {
            assert_eq!(of_identities(Some(text)), Some("apex_x"), "{text:?}");
        }
        assert_eq!(of_identities(Some("Bearer eyJhbGciOiJub25lIn0.e30.")), Some("eyJhbGciOiJub25lIn0.e30."));
        for text in
            ["Bearer eyJ", "Bearer a.b.c", "Bearer tea", "apex_x", "Basic apex_x", "Bearer", "Bearer xapex_", ""]
        {
            assert_eq!(of_identities(Some(text)), None, "{text:?}");
        }
        assert_eq!(of_identities(None), None);
    }
}
