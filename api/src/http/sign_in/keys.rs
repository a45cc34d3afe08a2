//! `GET /.well-known/jwks.json`: the public keys that access tokens are signed with, as a JSON Web Key Set (RFC 7517).

use super::answer;
use crate::http::state::State as Shared;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use identity::SignInError;
use serde_json::json;
use std::sync::Arc;

/// The route of the keys.
pub(crate) const JWKS_ROUTE: &str = "/.well-known/jwks.json";
/// How long caches may keep the keys: less than a new key is published before it signs.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The public keys.
pub(crate) async fn jwks(State(state): State<Arc<Shared>>) -> Response {
    match state.deps.identities.signing_keys().await {
        Ok(keys) => {
            let keys = keys.into_iter().map(|(id, x)| {
                json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id.simple().to_string(), "x": x })
            });
            let mut response = Json(json!({ "keys": keys.collect::<Vec<_>>() })).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, CACHE_CONTROL);
            response
        }
        Err(error) => answer::error(&SignInError::from(error)),
    }
}
