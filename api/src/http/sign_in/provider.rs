//! Sign-in by identity providers (OpenID Connect): `GET /auth/providers`, `/auth/login?provider=…`, `/auth/login/{provider}` and
//! `/auth/callback`, which a browser opens.

use super::answer::json;
use super::cookies;
use super::page;
use crate::http::access::client_of;
use crate::http::response;
use crate::http::state::State as Shared;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use identity::{
    ATTEMPT_LIFETIME, Callback, Client, FinishedAttempt, ProviderSignInError, ProviderSummary, SessionTokens,
    StartedAttempt,
};
use metrics::counter;
use serde_json::json as value;
use std::error::Error as StdError;
use std::sync::Arc;

/// Where a sign-in is counted that no provider is known of.
const UNKNOWN_PROVIDER: &str = "unknown";

/// The parameters of a URL. One that occurs twice has no value: which one counts is read differently by different programs.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

/// Lists the providers, for a page on which people sign in.
pub(crate) async fn providers(State(state): State<Arc<Shared>>) -> Response {
    let providers = state.config.sign_in.providers.list().into_iter().map(|ProviderSummary { id, name, tenant }| {
        value!({ "id": id, "name": name, "tenant": tenant, "loginPath": format!("/auth/login/{id}") })
    });
    json(StatusCode::OK, value!({ "providers": providers.collect::<Vec<_>>() }))
}

/// Sends a browser to the provider that a parameter names.
pub(crate) async fn start(
    State(state): State<Arc<Shared>>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let parameters = Parameters(parameters);
    let provider = parameters.get("provider").unwrap_or_default().to_owned();
    let client = client_of(request.headers(), request.extensions());
    start_at(&state, &provider, &parameters, &client, request.headers()).await
}

/// Sends a browser to the provider that the path names.
pub(crate) async fn start_named(
    State(state): State<Arc<Shared>>,
    Path(provider): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let client = client_of(request.headers(), request.extensions());
    start_at(&state, &provider, &Parameters(parameters), &client, request.headers()).await
}

async fn start_at(
    state: &Shared,
    provider: &str,
    parameters: &Parameters,
    client: &Client,
    headers: &HeaderMap,
) -> Response {
    let config = &state.config.sign_in;
    // A path that was given and cannot be read is no path.
    let return_path = parameters.has("returnTo").then(|| parameters.get("returnTo").unwrap_or_default());
    let started = state.deps.identities.start_provider_sign_in(&config.providers, provider, return_path, client).await;
    match started {
        Ok(StartedAttempt { url, cookie }) => {
            let mut response = redirect(&url);
            cookies::add_attempt(&mut response, cookie.reveal(), ATTEMPT_LIFETIME.as_secs(), config.secure_cookies);
            response
        }
        Err(error) => {
            let known = config.providers.list().into_iter().find(|known| known.id.as_str() == provider);
            count(known.as_ref(), &error);
            refused(&error, headers)
        }
    }
}

/// Receives a browser that a provider sends back, and starts the session.
pub(crate) async fn callback(
    State(state): State<Arc<Shared>>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let (parameters, headers, config) = (Parameters(parameters), request.headers(), &state.config.sign_in);
    let callback = Callback {
        cookie: cookies::attempt(headers, config.secure_cookies),
        state: parameters.get("state"),
        code: parameters.get("code"),
        issuer: parameters.has("iss").then(|| parameters.get("iss").unwrap_or_default()),
        error: parameters.has("error").then(|| parameters.get("error").unwrap_or_default()),
    };
    let client = client_of(headers, request.extensions());
    let finished = state.deps.identities.finish_provider_sign_in(&config.providers, callback, &client).await;
    let FinishedAttempt { provider, result } = finished;
    let mut response = match result {
        Ok((tokens, return_path)) => {
            counted(provider.as_ref(), "ok");
            signed_in(&tokens, &return_path.to_string(), headers, config.secure_cookies)
        }
        Err(error) => {
            count(provider.as_ref(), &error);
            refused(&error, headers)
        }
    };
    cookies::remove_attempt(&mut response, config.secure_cookies);
    response
}

/// Sends the browser to a path of this server, with the cookies of the session.
///
/// A browser gets a page that leads there, and no redirect: cookies of a session are sent with requests of this site only, and a
/// redirect would still belong to the request of the provider's page.
fn signed_in(tokens: &SessionTokens, path: &str, headers: &HeaderMap, is_secure: bool) -> Response {
    let mut response = if page::is_wanted(headers) { page::continued(path) } else { redirect(path) };
    cookies::start(&mut response, tokens, is_secure);
    response
}

fn redirect(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else {
        return page::failed(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the address cannot be sent", false);
    };
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The status and the code of an error.
fn parts(error: &ProviderSignInError) -> (StatusCode, &'static str) {
    match error {
        ProviderSignInError::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS"),
        ProviderSignInError::NoProvider => (StatusCode::NOT_FOUND, "NO_PROVIDER"),
        ProviderSignInError::ReturnPath(_) => (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
        ProviderSignInError::Refused(identity::Refused::Attempt) => (StatusCode::BAD_REQUEST, "SIGN_IN_NOT_STARTED"),
        ProviderSignInError::Refused(refused) => (StatusCode::FORBIDDEN, refused.code()),
        ProviderSignInError::Provider(_) => (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
        ProviderSignInError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    }
}

/// The response to a sign-in that is refused or failed.
fn refused(error: &ProviderSignInError, headers: &HeaderMap) -> Response {
    let (status, code) = parts(error);
    let mut response = page::failed(status, code, &error.to_string(), page::is_wanted(headers));
    let retry_after_s = match error {
        ProviderSignInError::Throttled(throttled) => Some(throttled.retry_after_s()),
        ProviderSignInError::Provider(_) => Some(5),
        ProviderSignInError::Unavailable(_) => Some(1),
        ProviderSignInError::NoProvider | ProviderSignInError::ReturnPath(_) | ProviderSignInError::Refused(_) => None,
    };
    response::set_retry_after(&mut response, retry_after_s);
    response
}

/// Counts a sign-in that is refused or failed. Internal causes are logged here, once.
fn count(provider: Option<&ProviderSummary>, error: &ProviderSignInError) {
    let id = provider.map_or_else(|| UNKNOWN_PROVIDER.to_owned(), |provider| provider.id.to_string());
    match error {
        ProviderSignInError::Provider(cause) => {
            tracing::warn!(
                provider = id,
                error = cause as &(dyn StdError + 'static),
                "an identity provider cannot be used"
            );
        }
        ProviderSignInError::Unavailable(cause) => {
            tracing::error!(
                provider = id,
                error = &**cause as &(dyn StdError + 'static),
                "a person cannot sign in by a provider"
            );
        }
        ProviderSignInError::Refused(reason) => {
            tracing::info!(provider = id, %reason, "a sign-in by a provider was refused")
        }
        ProviderSignInError::Throttled(_) | ProviderSignInError::NoProvider | ProviderSignInError::ReturnPath(_) => {}
    }
    counted(provider, parts(error).1);
}

fn counted(provider: Option<&ProviderSummary>, outcome: &'static str) {
    let provider = provider.map_or_else(|| UNKNOWN_PROVIDER.to_owned(), |provider| provider.id.to_string());
    counter!("apex_provider_sign_ins_total", "provider" => provider, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_occurs_twice_has_no_value() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parameters = Parameters(vec![pair("state", "a"), pair("code", "1"), pair("code", "2")]);
        assert_eq!((parameters.get("state"), parameters.get("code"), parameters.get("iss")), (Some("a"), None, None));
        assert!(parameters.has("code") && !parameters.has("iss"));
    }
}
