//! The authorization code flow: the URL that a browser is sent to, and what the code that it brings back is worth.

use super::claims::is_incomplete;
use super::error::{ProviderError, ProviderSignInError, Refused};
use super::http::is_allowed;
use super::metadata::{Metadata, unusable};
use super::provider::Provider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreTokenResponse,
};
use openidconnect::http::header::{ACCEPT, AUTHORIZATION};
use openidconnect::http::{HeaderValue, Request, StatusCode};
use openidconnect::{
    AccessToken, AccessTokenHash, AsyncHttpClient as _, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The algorithms of signatures that are accepted: asymmetric ones. With a symmetric one, the secret would be a key.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// How much the clock of a provider may differ from that of this server.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(1);

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A request for authorization, and what the answer has to fit to.
pub(super) struct Authorization {
    pub(super) url: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// What a provider says of a person: the claims of an ID token that was verified, and of the userinfo endpoint.
pub(super) struct Said {
    pub(super) token: Map<String, Value>,
    pub(super) userinfo: Option<Map<String, Value>>,
}

/// Why an ID token is not accepted.
enum Rejection {
    /// The key that it is said to be signed with is not among those of the provider, or is another one.
    Key(String),
    /// Anything else.
    Token(String),
}

fn client(provider: &Provider, metadata: &Metadata) -> Client {
    let config = &provider.config;
    let secret = config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.0.clone()));
    let authentication = match config.token_authentication {
        super::config::TokenAuthentication::Basic => AuthType::BasicAuth,
        super::config::TokenAuthentication::Post => AuthType::RequestBody,
    };
    CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(config.client_id.clone()), secret)
        .set_redirect_uri(provider.redirect_url.clone())
        .set_auth_type(authentication)
}

/// A new request for authorization at a provider.
pub(super) async fn authorize(provider: &Provider) -> Result<Authorization, ProviderError> {
    let metadata = provider.metadata.get(&provider.http).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let scopes = provider.config.scopes.iter().cloned().map(Scope::new);
    let client = client(provider, &metadata);
    let request =
        client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
    let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
    if !is_allowed(&url, provider.is_loopback) {
        return Err(ProviderError::NotHttps(url.origin().ascii_serialization()));
    }
    let (state, nonce, verifier) = (state.into_secret(), nonce.secret().clone(), verifier.into_secret());
    Ok(Authorization { url: url.into(), state, nonce, verifier })
}

/// Whether the issuer that an answer names is the provider (RFC 9207).
pub(super) async fn is_issuer(provider: &Provider, named: Option<&str>) -> Result<bool, ProviderError> {
    match named {
        Some(named) => Ok(named == provider.config.issuer),
        None => {
            let metadata = provider.metadata.get(&provider.http).await?;
            Ok(!metadata.additional_metadata().authorization_response_iss_parameter_supported)
        }
    }
}

/// Exchanges a code for what the provider says of the person.
pub(super) async fn redeem(
    provider: &Provider,
    code: &str,
    verifier: String,
    nonce: String,
) -> Result<Said, ProviderSignInError> {
    let mut metadata = provider.metadata.get(&provider.http).await?;
    let client = client(provider, &metadata);
    let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned()));
    let exchange = exchange.map_err(|error| unusable("discovery document", &error))?;
    let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(verifier));
    let answer = exchange.request_async(&provider.http).await.map_err(token_error)?;
    let nonce = Nonce::new(nonce);
    let mut verified = verify(provider, &metadata, &answer, &nonce, Utc::now());
    if let Err(Rejection::Key(_)) = verified
        && let Some(newer) = provider.metadata.newer_than(&provider.http, &metadata).await?
    {
        metadata = newer;
        verified = verify(provider, &metadata, &answer, &nonce, Utc::now());
    }
    let token = verified.map_err(|rejection| {
        let (Rejection::Key(reason) | Rejection::Token(reason)) = rejection;
        tracing::warn!(provider = %provider.config.id, reason, "an ID token was refused");
        Refused::Token
    })?;
    let asks = provider.config.asks_userinfo && is_incomplete(&token, &provider.config);
    let userinfo = match metadata.userinfo_endpoint().filter(|_| asks) {
        Some(endpoint) => Some(userinfo(provider, endpoint.as_str(), answer.access_token(), &token).await?),
        None => None,
    };
    Ok(Said { token, userinfo })
}

fn token_error(
    error: RequestTokenError<ProviderError, openidconnect::StandardErrorResponse<CoreErrorResponseType>>,
) -> ProviderSignInError {
    match error {
        RequestTokenError::ServerResponse(answer) if *answer.error() == CoreErrorResponseType::InvalidGrant => {
            Refused::Code.into()
        }
        RequestTokenError::Request(error) => error.into(),
        error @ (RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
            unusable("answer of the token endpoint", &error).into()
        }
    }
}

/// The claims of the ID token in an answer, if the provider has issued it for this sign-in.
fn verify(
    provider: &Provider,
    metadata: &Arc<Metadata>,
    answer: &CoreTokenResponse,
    nonce: &Nonce,
    now: DateTime<Utc>,
) -> Result<Map<String, Value>, Rejection> {
    let token = answer.id_token().ok_or_else(|| Rejection::Token("there is none".to_owned()))?;
    let client_id = ClientId::new(provider.config.client_id.clone());
    // A public client in any case: symmetric signatures are not accepted.
    let verifier =
        CoreIdTokenVerifier::new_public_client(client_id, metadata.issuer().clone(), metadata.jwks().clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now - MAX_CLOCK_DIFFERENCE)
            .set_issue_time_verifier_fn(move |issued_at| match issued_at <= now + MAX_CLOCK_DIFFERENCE {
                true => Ok(()),
                false => Err("it was issued in the future".to_owned()),
            });
    let verified = token.claims(&verifier, nonce).map_err(|error| rejection(&error))?;
    let claims = claims_of(token).ok_or_else(|| Rejection::Token("its claims are no object".to_owned()))?;
    check_more(&claims, &provider.config.client_id, now).map_err(|reason| Rejection::Token(reason.to_owned()))?;
    if let Some(expected) = verified.access_token_hash() {
        let (algorithm, key) = (token.signing_alg(), token.signing_key(&verifier));
        let hash = algorithm.and_then(|algorithm| Ok((algorithm, key?)));
        let (algorithm, key) = hash.map_err(|error| Rejection::Token(error.to_string()))?;
        let actual = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
        if !actual.is_ok_and(|actual| actual == *expected) {
            return Err(Rejection::Token("at_hash is not that of the access token".to_owned()));
        }
    }
    Ok(claims)
}

fn rejection(error: &ClaimsVerificationError) -> Rejection {
    let message = domain::error_with_causes(error);
    match error {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
        ) => Rejection::Key(message),
        _ => Rejection::Token(message),
    }
}

/// The claims of a token as they were signed.
fn claims_of(token: &CoreIdToken) -> Option<Map<String, Value>> {
    let text = token.to_string();
    let payload = text.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Checks what the library does not: for whom the token was issued, and from when on it is valid.
fn check_more(claims: &Map<String, Value>, client_id: &str, now: DateTime<Utc>) -> Result<(), &'static str> {
    match claims.get("azp") {
        None | Some(Value::Null) => {}
        Some(Value::String(azp)) if azp == client_id => {}
        Some(_) => return Err("azp is another client"),
    }
    let latest = (now + MAX_CLOCK_DIFFERENCE).timestamp();
    match claims.get("nbf") {
        None | Some(Value::Null) => Ok(()),
        Some(nbf) if nbf.as_i64().is_some_and(|nbf| nbf <= latest) => Ok(()),
        Some(_) => Err("nbf is in the future, or is no time"),
    }
}

/// What the userinfo endpoint says of the subject of a token.
async fn userinfo(
    provider: &Provider,
    endpoint: &str,
    access_token: &AccessToken,
    token: &Map<String, Value>,
) -> Result<Map<String, Value>, ProviderSignInError> {
    let document = "answer of the userinfo endpoint";
    let invalid = |message: String| ProviderError::Document { document, message };
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access_token.secret()))
        .map_err(|_| invalid("the access token cannot be sent".to_owned()))?;
    bearer.set_sensitive(true);
    let request =
        Request::get(endpoint).header(ACCEPT, "application/json").header(AUTHORIZATION, bearer).body(Vec::new());
    let answer = provider.http.call(request.map_err(|error| unusable(document, &error))?).await?;
    if answer.status() != StatusCode::OK {
        return Err(invalid(format!("its status is {}", answer.status())).into());
    }
    let said: Map<String, Value> = serde_json::from_slice(answer.body()).map_err(|_| {
        invalid("it is no JSON object; if it is signed or encrypted, set `userinfo = false`".to_owned())
    })?;
    if said.get("sub").is_none() || said.get("sub") != token.get("sub") {
        return Err(invalid("it is about another person than the ID token".to_owned()).into());
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_for_another_client_or_a_later_time_is_refused() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let check = |claims: Value| check_more(claims.as_object().unwrap(), "apex", now).is_ok();
        for fine in [json!({}), json!({ "azp": "apex", "nbf": 1_700_000_060 }), json!({ "azp": null, "nbf": 0 })] {
            assert!(check(fine.clone()), "{fine}");
        }
        for wrong in [
            json!({ "azp": "other" }),
            json!({ "azp": ["apex"] }),
            json!({ "nbf": 1_700_000_061 }),
            json!({ "nbf": "1" }),
            json!({ "nbf": 1.5 }),
        ] {
            assert!(!check(wrong.clone()), "{wrong}");
        }
    }
}
