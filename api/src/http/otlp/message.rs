//! The messages of responses: the partial success of each signal, and `google.rpc.Status`.

use super::failure::Failure;
use ingest::otlp::{Encoding, Received, Signal};
use prost::Message;
use serde_json::{Map, Value, json};

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Status {
    /// The status of a failure, which says when to retry, if a retry helps.
    pub(super) fn of(failure: &Failure) -> Self {
        let seconds = failure.retry_after_s.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let retry = seconds.map(|seconds| {
            let value = RetryInfo { retry_delay: Some(Duration { seconds }) }.encode_to_vec();
            Any { type_url: RETRY_INFO.to_owned(), value }
        });
        let details = retry.into_iter().collect();
        Self { code: failure.code as i32, message: failure.message.clone(), details }
    }

    pub(super) fn encode(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Protobuf => self.encode_to_vec(),
            Encoding::Json => json!({ "code": self.code, "message": self.message }).to_string().into_bytes(),
        }
    }
}

/// The partial success of any signal: the messages differ in the name of the number only.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The response of any signal.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// The response to an export: empty, unless something was rejected or its sender should know something.
pub(super) fn response(signal: Signal, received: &Received, encoding: Encoding) -> Vec<u8> {
    let partial_success = received.message().map(|error_message| {
        let rejected = i64::try_from(received.rejected).unwrap_or(i64::MAX);
        PartialSuccess { rejected, error_message }
    });
    match encoding {
        Encoding::Protobuf => ExportResponse { partial_success }.encode_to_vec(),
        Encoding::Json => {
            let mut response = Map::new();
            if let Some(PartialSuccess { rejected, error_message }) = partial_success {
                let name = signal.rejected_field();
                // 64-bit numbers are strings in the JSON of protobuf.
                let partial = json!({ name: rejected.to_string(), "errorMessage": error_message });
                response.insert("partialSuccess".to_owned(), partial);
            }
            Value::Object(response).to_string().into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::otlp::failure::Code;
    use axum::http::StatusCode;

    #[test]
    fn an_export_without_complaints_has_an_empty_response() {
        let received = Received::of(0, uuid::Uuid::nil().into());
        assert_eq!(response(Signal::Traces, &received, Encoding::Protobuf), Vec::<u8>::new());
        assert_eq!(response(Signal::Traces, &received, Encoding::Json), b"{}");
    }

    #[test]
    fn a_status_says_when_to_retry() {
        let failure = Failure::unavailable("busy");
        let status = Status::decode(&*Status::of(&failure).encode(Encoding::Protobuf)).unwrap();
        assert_eq!((status.code, status.message.as_str()), (14, "busy"));
        let retry = RetryInfo::decode(&*status.details[0].value).unwrap();
        assert_eq!(retry.retry_delay.unwrap().seconds, 1);
        let refused = Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, "no");
        assert_eq!(Status::of(&refused).encode(Encoding::Json), br#"{"code":3,"message":"no"}"#);
    }
}
