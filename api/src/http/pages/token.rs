//! `POST /auth/token`, where a program presents its code for a session, in the forms of OAuth 2.0 (RFC 6749, RFC 8628).

use super::form::fields;
use crate::http::access::client_of;
use crate::http::sign_in::answer;
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use identity::{RedeemError, SessionTokens};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The types of grants.
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CODE: &str = "authorization_code";

/// The form. It cannot be formatted, because it holds secrets.
#[derive(Deserialize)]
struct Fields {
    grant_type: String,
    device_code: Option<String>,
    code: Option<String>,
    code_verifier: Option<String>,
}

/// A refusal in the form of RFC 6749.
pub(super) fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    answer::json(status, json!({ "error": error, "error_description": description }))
}

fn tokens(session: &SessionTokens) -> Response {
    answer::json(
        StatusCode::OK,
        json!({
            "access_token": session.access.reveal(),
            "token_type": "Bearer",
            "expires_in": session.access_lifetime.as_secs(),
            "refresh_token": session.refresh.reveal(),
            "tenant": session.tenant,
            "user_id": session.user,
            "session_id": session.session,
        }),
    )
}

/// Answers with a session, or why there is none.
pub(crate) async fn token(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let invalid = |description: &str| refused(StatusCode::BAD_REQUEST, "invalid_request", description);
    let fields: Fields = match fields(request).await {
        Ok(fields) => fields,
        Err((status, message)) => return refused(status, "invalid_request", message),
    };
    let identities = &state.deps.identities;
    let redeemed = match (fields.grant_type.as_str(), fields.device_code, fields.code, fields.code_verifier) {
        (DEVICE, Some(code), None, None) => identities.redeem_device_sign_in(&code, &client).await,
        (DEVICE, ..) => return invalid("the grant takes `device_code`"),
        (CODE, None, Some(code), Some(verifier)) => identities.redeem_loopback_sign_in(&code, &verifier, &client).await,
        (CODE, ..) => return invalid("the grant takes `code` and `code_verifier`"),
        _ => {
            let description = "a grant is a device code or an authorization code";
            return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", description);
        }
    };
    let error = match redeemed {
        Ok(session) => return tokens(&session),
        Err(error) => error,
    };
    let code = match &error {
        RedeemError::Pending => "authorization_pending",
        RedeemError::SlowDown => "slow_down",
        RedeemError::Denied => "access_denied",
        RedeemError::Expired => "expired_token",
        RedeemError::Invalid => "invalid_grant",
        RedeemError::SignIn(error) => return answer::error(error),
    };
    refused(StatusCode::BAD_REQUEST, code, &error.to_string())
}
