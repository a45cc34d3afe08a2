//! `POST /api/public/ingestion`: batches of events as SDKs of Langfuse send them.

use super::admission::{admit, compression};
use super::failure::Failure;
use super::name_import;
use crate::http::access;
use crate::http::body::{self, BodyError, ContentError};
use crate::http::rate_limit;
use crate::http::state::State;
use crate::requester::Requester;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ImportId;
use domain::rate_limits::LimitedResource;
use ingest::langfuse::{Batch, BatchError};
use ingest::{ReceiveError, Receiver};
use metrics::counter;
use std::sync::Arc;

/// The most bytes of a body, before and after decompression: 16 MiB. SDKs send at most a few.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn receive(
    state: &Arc<State>,
    requester: &Requester,
    import_id: Option<ImportId>,
    request: Request,
) -> Result<Response, Failure> {
    admit(state, requester, Receiver::authorise)?;
    let compression = compression(request.headers())?;
    let body = body::read(request.into_body(), MAX_BODY_BYTES, state.limits().head_timeout).await.map_err(of_body)?;
    rate_limit::take(state, requester, LimitedResource::IngestBytes, body.len())?;
    let decode = || {
        let body = compression.content(body, MAX_BODY_BYTES).map_err(of_content)?;
        Batch::decode(&body).map_err(|error| of_batch(&error))
    };
    let batch = state.cpu_permits.run(true, decode).await?;
    let events = batch.len() as u64;
    let receiving = async {
        let known = state.receiver.look_up_batch(&requester.principal, &batch).await?;
        let reports = state.cpu_permits.run(true, || batch.into_reports(known)).await;
        state.receiver.report_batch(requester.principal.clone(), reports, import_id).await
    };
    let received = tokio::time::timeout(state.limits().request_timeout, receiving).await;
    let received = received.map_err(|_| Failure::unavailable("the request took too long; retry"))?;
    let (answer, import_id) = received.map_err(|error| {
        if let ReceiveError::Forbidden(forbidden) = &error {
            access::forbidden(state, requester, forbidden);
        }
        Failure::from(&error)
    })?;
    let refused = answer.errors.len() as u64;
    for (outcome, count) in [("accepted", events - refused), ("refused", refused)] {
        counter!("apex_ingest_records_total", "form" => "langfuse-ingestion", "outcome" => outcome).increment(count);
    }
    let mut response = (StatusCode::MULTI_STATUS, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response();
    name_import(&mut response, import_id);
    Ok(response)
}

fn of_body(error: BodyError) -> Failure {
    match error {
        BodyError::TooLong => too_long(),
        BodyError::TimedOut => Failure::of(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the body did not arrive in time"),
        BodyError::Incomplete => Failure::of(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", "the body is cut off"),
    }
}

fn of_content(error: ContentError) -> Failure {
    match error {
        ContentError::TooLong => too_long(),
        ContentError::Damaged(reason) => {
            Failure::of(StatusCode::BAD_REQUEST, "BODY_DAMAGED", format!("the body is damaged: {reason}"))
        }
    }
}

fn too_long() -> Failure {
    let message = format!("the body has more than {MAX_BODY_BYTES} bytes, which is the limit: send several");
    Failure::of(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message)
}

fn of_batch(error: &BatchError) -> Failure {
    let status = match error {
        BatchError::TooManyEvents { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BatchError::NotUtf8 { .. } | BatchError::Json(_) | BatchError::NoBatch => StatusCode::BAD_REQUEST,
    };
    Failure::of(status, "UNREADABLE", error.to_string())
}

/// Presents the secret key of Langfuse's SDKs, which they send as a password, as the API key that it is.
pub(in crate::http) fn present_secret_key(headers: &mut HeaderMap) {
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, credentials)) = presented.and_then(|value| value.split_once(' ')) else { return };
    if !scheme.eq_ignore_ascii_case("basic") {
        return;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let secret = decoded.as_deref().and_then(|text| text.split_once(':')).map(|(_, secret)| secret);
    let bearer = secret.and_then(|secret| HeaderValue::from_str(&format!("Bearer {secret}")).ok());
    if let Some(mut bearer) = bearer {
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(value: &str) -> String {
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        present_secret_key(&mut headers);
        headers[header::AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_secret_key_is_presented_as_an_api_key() {
        let basic = |text: &str| presented(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(basic("pk-lf-1:apexkey_1"), "Bearer apexkey_1");
        assert_eq!(basic("a:b:c"), "Bearer b:c");
        assert_eq!(presented("Bearer x"), "Bearer x");
        for other in ["Basic", "Basic !", "basic bm9uZQ=="] {
            assert_eq!(presented(other), other);
        }
    }
}
