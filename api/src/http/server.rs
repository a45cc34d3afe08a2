//! Serving: accepting connections, how many there are, how long they may take for a request, and how they end.
//!
//! A connection that sends nothing, or half a request, costs memory and a file: each has a time for the head of a
//! request, and all together have a limit. Beyond the limit connections wait in the system's queue until one is free,
//! which the time for a head guarantees; nobody is turned away. Only HTTP/1.1 is spoken.

use super::{State, routes};
use crate::{ApiConfig, Deps, Limits};
use axum::Router;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::gauge;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait where the system has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How often it is told that the limit of connections is reached.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Serves until told to stop: then open requests may finish, WebSockets are closed, and whatever takes longer than
/// [`Limits::shutdown_timeout`] is cut off.
///
/// # Errors
/// What goes wrong with the listener.
pub async fn serve(
    listener: TcpListener,
    config: ApiConfig,
    deps: Deps,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    // Whatever ends this function ends the connections that outlive their request.
    let _guard = stop.clone().drop_guard();
    let state = State::new(config, deps, stop.clone());
    let (long_lived, timeout) = (state.connections.clone(), state.limits().shutdown_timeout);
    let server = Server::new(state, stop.clone());
    let (connections, cut_off) = (server.connections.clone(), server.cut_off.clone());
    let _cut_off = cut_off.drop_guard();
    tokio::select! {
        never = server.accept(&listener) => match never {},
        () = shutdown => {}
    }
    // Whoever comes now is refused by the system, and tries another server.
    drop(listener);
    stop.cancel();
    connections.close();
    long_lived.close();
    let finished = tokio::time::timeout(timeout, async {
        connections.wait().await;
        long_lived.wait().await;
    });
    if finished.await.is_err() {
        tracing::warn!(timeout_s = timeout.as_secs(), "requests that took too long to finish were cut off");
    }
    Ok(())
}

/// A connection that is open. It counts until its request and the WebSocket that it became have both ended.
pub(crate) struct OpenConnection {
    _permit: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn new(permit: OwnedSemaphorePermit) -> Arc<Self> {
        gauge!("apex_http_connections").increment(1.0);
        Arc::new(Self { _permit: permit })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        gauge!("apex_http_connections").decrement(1.0);
    }
}

struct Server {
    router: Router,
    http: http1::Builder,
    /// How long a peer may leave unacknowledged what it is sent, in milliseconds.
    user_timeout_ms: u32,
    permits: Arc<Semaphore>,
    /// The connections that speak HTTP.
    connections: TaskTracker,
    /// Cancelled when connections are to finish.
    stop: CancellationToken,
    /// Cancelled when connections are to end as they are.
    cut_off: CancellationToken,
}

impl Server {
    fn new(state: Arc<State>, stop: CancellationToken) -> Self {
        let limits = state.limits();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.max_head_bytes.max(Limits::MIN_HEAD_BYTES))
            // For the names of headers in the answer to an upgrade, see `answer`.
            .preserve_header_case(true);
        // Time for the last word of a stream, and for the client to take it.
        let user_timeout_ms = u32::try_from(limits.send_timeout.as_millis() * 4).unwrap_or(u32::MAX);
        let most = limits.max_http_connections.saturating_add(limits.max_connections).min(Semaphore::MAX_PERMITS);
        let (permits, connections) = (Arc::new(Semaphore::new(most)), TaskTracker::new());
        Self {
            router: routes(state),
            http,
            user_timeout_ms,
            permits,
            connections,
            stop,
            cut_off: CancellationToken::new(),
        }
    }

    /// Accepts connections for as long as it is polled.
    async fn accept(&self, listener: &TcpListener) -> std::convert::Infallible {
        let mut told_at: Option<Instant> = None;
        loop {
            let permit = match self.permits.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    if told_at.is_none_or(|told_at| told_at.elapsed() > TELL_INTERVAL) {
                        told_at = Some(Instant::now());
                        tracing::warn!(
                            "as many connections are open as may be: more wait until one ends. If they are wanted, \
                             raise APEX_MAX_HTTP_CONNECTIONS"
                        );
                    }
                    // The semaphore is never closed.
                    let Ok(permit) = self.permits.clone().acquire_owned().await else { std::future::pending().await };
                    permit
                }
            };
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(error) if is_of_the_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "no connection can be accepted; trying again in a second");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            };
            self.spawn(stream, OpenConnection::new(permit));
        }
    }

    fn spawn(&self, stream: TcpStream, open: Arc<OpenConnection>) {
        // Only costs latency where it fails.
        drop(stream.set_nodelay(true));
        // Whoever reads nothing is cut off by the system: nobody here sees a write that does not end.
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, self.user_timeout_ms) {
            tracing::debug!(%error, "a connection keeps the system's own timeout");
        }
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(open.clone());
            answer(router.clone(), request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let (stop, cut_off) = (self.stop.clone(), self.cut_off.clone());
        self.connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let served = async {
                tokio::select! {
                    served = connection.as_mut() => return served,
                    () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                connection.await
            };
            tokio::select! {
                served = served => {
                    if let Err(error) = served {
                        tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended with an error");
                    }
                }
                () = cut_off.cancelled() => {}
            }
        });
    }
}

/// Answers a request. The answer to an upgrade names its headers as the request did: they mean the same in any case, but
/// clients, such as Python's `gql`, look for `Sec-WebSocket-Protocol` to the letter, and take its absence for another
/// protocol.
async fn answer(mut router: Router, request: Request<Incoming>) -> Result<Response, std::convert::Infallible> {
    use tower_service::Service as _;
    let names = request.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL).then(|| request.extensions().clone());
    let mut response = router.call(request).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(names)) = (response.status(), names) {
        response.extensions_mut().extend(names);
    }
    Ok(response)
}

/// Whether accepting failed for one connection, which was gone by then, and not for all.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
