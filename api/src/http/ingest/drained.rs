//! Bodies of which the rest is read when they are not needed any more.
//!
//! A client that still sends when its connection is closed may not get to read the response.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// How much of a body that is not needed is read, in bytes, and for how long.
const MAX_DRAINED_BYTES: usize = 4 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A body of which the rest is read for a moment, and thrown away, when this is dropped.
pub(in crate::http) struct Drained {
    body: Option<Body>,
    /// Whether the client sends the body only once it is asked for.
    is_awaited: bool,
}

impl Drained {
    /// A request of which the body is drained when it is dropped.
    pub(in crate::http) fn request(request: Request) -> Request {
        let is_awaited = request.headers().contains_key(header::EXPECT);
        request.map(|body| Body::new(Self { body: Some(body), is_awaited }))
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_awaited = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let is_awaited = self.is_awaited;
        let body = self.body.take().filter(|body| !is_awaited && !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (body, Handle::try_current()) {
            runtime.spawn(drain(body));
        }
    }
}

async fn drain(mut body: Body) {
    let reading = async {
        let mut left = MAX_DRAINED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    // The rest is not needed, whether all of it was read or not.
    drop(tokio::time::timeout(DRAIN_TIMEOUT, reading).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::convert::Infallible;
    use tokio::sync::mpsc;

    fn body(expect: Option<&'static str>) -> (mpsc::Sender<Bytes>, Body) {
        let (sender, received) = mpsc::channel(1);
        let parts = futures::stream::unfold(received, |mut received: mpsc::Receiver<Bytes>| async move {
            received.recv().await.map(|part| (Ok::<_, Infallible>(part), received))
        });
        let mut request = Request::new(Body::from_stream(parts));
        request.headers_mut().extend(expect.map(|value| (header::EXPECT, HeaderValue::from_static(value))));
        (sender, Drained::request(request).into_body())
    }

    #[tokio::test]
    async fn the_rest_is_read_when_a_body_is_dropped() {
        let (sender, mut body) = body(None);
        sender.send(Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        drop(body);
        for _ in 0..8 {
            sender.send(Bytes::from_static(b"rest")).await.unwrap();
        }
        // Only so much of it.
        let long = Bytes::from(vec![0; MAX_DRAINED_BYTES]);
        assert!(sender.send(long).await.is_ok());
        sender.closed().await;
    }

    #[tokio::test]
    async fn a_body_that_was_not_asked_for_is_not_read() {
        let (sender, body) = body(Some("100-continue"));
        drop(body);
        sender.closed().await;
    }

    #[tokio::test]
    async fn a_body_that_is_read_to_its_end_is_as_it_was() {
        let (sender, body) = body(None);
        let sending = async move {
            for part in ["one", "two"] {
                sender.send(part.into()).await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(body.collect(), sending);
        assert_eq!(read.unwrap().to_bytes(), "onetwo");
    }
}
