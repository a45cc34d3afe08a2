//! The OpenTelemetry protocol over gRPC. The library frames, limits and decompresses messages; their contents are decoded as
//! those of HTTP are.

use super::export::{self, Sent, check_bytes, check_request};
use super::failure::Failure;
use super::message::{self, Status as RpcStatus};
use super::signal_of;
use crate::authenticator::Endpoint;
use crate::http::auth;
use crate::http::state::State as Shared;
use crate::requester::Requester;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, BufMut, Bytes};
use futures::future::BoxFuture;
use ingest::otlp::{Encoding, MAX_BODY_BYTES, Signal};
use prost::Message;
use std::sync::Arc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

/// Responds to an export over gRPC.
pub(crate) async fn export(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let Some(signal) = signal_of(request.uri().path()) else {
        return Status::unimplemented("no such method").into_http::<axum::body::Body>().into_response();
    };
    let authenticated = auth::of_headers(&state, request.headers(), request.extensions(), Endpoint::Api).await;
    let requester = match authenticated {
        Ok(requester) => requester,
        Err(rejection) => return status(&rejection.into()).into_http::<axum::body::Body>().into_response(),
    };
    if let Err(limited) = check_request(&state, &requester) {
        return status(&limited).into_http::<axum::body::Body>().into_response();
    }
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_BODY_BYTES);
    let answered = grpc.unary(Export { state: state.clone(), requester, signal }, request);
    match tokio::time::timeout(state.limits().request_timeout, answered).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(_) => status(&Failure::late()).into_http::<axum::body::Body>().into_response(),
    }
}

/// One call of the method.
struct Export {
    state: Arc<Shared>,
    requester: Requester,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (state, requester, signal) = (self.state.clone(), self.requester.clone(), self.signal);
        let body = request.into_inner();
        Box::pin(async move {
            let exported = async {
                check_bytes(&state, &requester, body.len())?;
                export::export(&state, &requester, Sent { signal, encoding: Encoding::Protobuf, body }).await
            };
            let received = exported.await.map_err(|failure| status(&failure))?;
            let message = message::response(signal, &received, Encoding::Protobuf);
            let mut response = tonic::Response::new(message.into());
            if let Ok(id) = received.import_id.to_string().parse() {
                response.metadata_mut().insert(auth::CORRELATION, id);
            }
            Ok(response)
        })
    }
}

fn status(failure: &Failure) -> Status {
    let details = RpcStatus::of(failure).encode_to_vec();
    Status::with_details(Code::from_i32(failure.code as i32), failure.message.clone(), details.into())
}

/// Messages as bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
