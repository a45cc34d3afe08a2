//! Bodies of which the rest is read when they are not needed any more.
//!
//! A client that still sends when its connection is closed may not get to read the response.

use axum::body::{Body, HttpBody};
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
pub(super) struct Drained(Option<Body>);

impl Drained {
    /// The body, drained when it is dropped.
    pub(super) fn of(body: Body) -> Body {
        Body::new(Self(Some(body)))
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let body = self.0.take().filter(|body| !body.is_end_stream());
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
    use std::convert::Infallible;
    use tokio::sync::mpsc;

    fn body() -> (mpsc::Sender<Bytes>, Body) {
        let (sender, received) = mpsc::channel(1);
        let parts = futures::stream::unfold(received, |mut received: mpsc::Receiver<Bytes>| async move {
            received.recv().await.map(|part| (Ok::<_, Infallible>(part), received))
        });
        (sender, Drained::of(Body::from_stream(parts)))
    }

    #[tokio::test]
    async fn the_rest_is_read_when_a_body_is_dropped() {
        let (sender, mut body) = body();
        sender.send(Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        drop(body);
        for _ in 0..8 {
            sender.send(Bytes::from_static(b"rest")).await.unwrap();
        }
        // Only so much of it.
        let long = Bytes::from(vec![0; MAX_DRAINED_BYTES]);
        assert!(sender.send(long.clone()).await.is_ok());
        sender.closed().await;
    }

    #[tokio::test]
    async fn a_body_that_is_read_to_its_end_is_as_it_was() {
        let (sender, body) = body();
        let sending = async move {
            for part in ["one", "two"] {
                sender.send(part.into()).await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(body.collect(), sending);
        assert_eq!(read.unwrap().to_bytes(), "onetwo");
    }
}
