//! The server: accepting connections, limiting them, and closing them at shutdown.
//!
//! A connection that sends nothing, or an incomplete request, costs memory and a file descriptor. Therefore each has a
//! timeout for the TLS handshake, if there is one, and for the head of a request, and their number is limited. Beyond the
//! limit, connections wait in the operating system's accept queue, for a bounded time because of the timeouts. Those of one
//! address are limited to a part of all, so that one client cannot make all others wait: more of them are closed. The
//! protocol is HTTP/1.1, or HTTP/2 for clients that begin with it or negotiate it with TLS, as those of gRPC do.

use super::address_connections::AddressConnections;
use super::connection::OpenConnection;
use super::protocol::{self, Protocol};
use super::routes::{otlp_routes, routes};
use super::state::State;
use crate::config::{ApiConfig, Limits};
use crate::deps::Deps;
use axum::Router;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use metrics::counter;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The delay before accepting again after an error, such as no free file descriptor.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long calls through the gateway may take to be settled after the connections are closed.
const GATEWAY_DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The shortest interval between two warnings that the limit on connections is reached.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What the server listens on.
pub struct Listeners {
    /// All routes.
    pub all: TcpListener,
    /// The routes of exporters of OpenTelemetry alone.
    pub otlp: Vec<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(all: TcpListener) -> Self {
        Self { all, otlp: Vec::new() }
    }
}

/// Serves until `shutdown` completes. Then open requests may finish, WebSockets are closed, and connections that are still
/// open after [`Limits::shutdown_timeout`] are dropped.
///
/// # Errors
/// None at present. Errors of single connections are logged.
pub async fn serve(
    listeners: impl Into<Listeners>,
    config: ApiConfig,
    deps: Deps,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (listeners, stop) = (listeners.into(), CancellationToken::new());
    // Ends the long-lived connections even if this future is dropped.
    let _guard = stop.clone().drop_guard();
    let state = State::new(config, deps, stop.clone());
    let (long_lived, timeout) = (state.connections.clone(), state.limits().shutdown_timeout);
    let (tls, gateway) = (state.config.tls.clone(), state.deps.gateway.clone());
    let server = Server::new(state, stop.clone());
    let (connections, cut_off) = (server.connections.clone(), server.cut_off.clone());
    let _cut_off = cut_off.clone().drop_guard();
    let following = async {
        match &tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    };
    let following_keys = async {
        match &gateway {
            Some(gateway) => gateway.follow_keys().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        never = server.accept_all(&listeners) => match never {},
        () = following => {}
        () = following_keys => {}
        () = shutdown => {}
    }
    // New connections are refused from now on, so that clients try another server.
    drop(listeners);
    stop.cancel();
    connections.close();
    long_lived.close();
    let finished = tokio::time::timeout(timeout, async {
        connections.wait().await;
        long_lived.wait().await;
    });
    if finished.await.is_err() {
        tracing::warn!(
            timeout_s = timeout.as_secs(),
            "dropped connections that did not finish within the shutdown timeout"
        );
    }
    // Calls whose clients are cut off now are settled, too.
    cut_off.cancel();
    if let Some(gateway) = gateway {
        gateway.drain(GATEWAY_DRAIN_TIMEOUT).await;
    }
    Ok(())
}

struct Server {
    state: Arc<State>,
    router: Router,
    /// The routes of exporters of OpenTelemetry alone.
    otlp_router: Router,
    http: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    /// How long a peer may leave sent data unacknowledged, in milliseconds.
    user_timeout_ms: u32,
    permits: Arc<Semaphore>,
    of_addresses: Arc<AddressConnections>,
    /// Connections with HTTP requests.
    connections: TaskTracker,
    /// Cancelled when connections should finish.
    stop: CancellationToken,
    /// Cancelled when connections are dropped.
    cut_off: CancellationToken,
}

impl Server {
    fn new(state: Arc<State>, stop: CancellationToken) -> Self {
        let limits = state.limits();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.max_head_bytes.max(Limits::MIN_HEAD_BYTES))
            // For the names of headers in the response to an upgrade, see `respond`.
            .preserve_header_case(true);
        // Longer than the send timeout, so that the last message of a stream can still be sent.
        let user_timeout_ms = u32::try_from(limits.send_timeout.as_millis() * 4).unwrap_or(u32::MAX);
        let max_connections =
            limits.max_http_connections.saturating_add(limits.max_connections).min(Semaphore::MAX_PERMITS);
        let (permits, connections) = (Arc::new(Semaphore::new(max_connections)), TaskTracker::new());
        Self {
            router: routes(state.clone()),
            otlp_router: otlp_routes(state.clone()),
            http,
            http2: protocol::http2(limits),
            user_timeout_ms,
            permits,
            of_addresses: AddressConnections::new(state.limits()),
            state,
            connections,
            stop,
            cut_off: CancellationToken::new(),
        }
    }

    /// Accepts connections of all listeners until it is dropped.
    async fn accept_all(&self, listeners: &Listeners) -> std::convert::Infallible {
        let all = self.accept(&listeners.all, &self.router);
        let otlp = listeners.otlp.iter().map(|listener| self.accept(listener, &self.otlp_router));
        futures::future::select_all(std::iter::once(all).chain(otlp).map(Box::pin)).await.0
    }

    /// Accepts connections until it is dropped.
    async fn accept(&self, listener: &TcpListener, router: &Router) -> std::convert::Infallible {
        let mut warned_at: Option<Instant> = None;
        loop {
            let permit = match self.permits.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    if warned_at.is_none_or(|warned_at| warned_at.elapsed() > WARNING_INTERVAL) {
                        warned_at = Some(Instant::now());
                        tracing::warn!(
                            "the limit on connections is reached; further connections wait in the accept queue. To allow \
                             more, raise APEX_MAX_HTTP_CONNECTIONS"
                        );
                    }
                    // The semaphore is never closed.
                    let Ok(permit) = self.permits.clone().acquire_owned().await else { std::future::pending().await };
                    permit
                }
            };
            let (stream, peer) = loop {
                match listener.accept().await {
                    Ok(accepted) => break accepted,
                    Err(error) if is_connection_error(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept connections; retrying in 1 s");
                        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    }
                }
            };
            if let Some(open) = self.open(peer, permit) {
                self.spawn(stream, peer.ip(), open, router);
            }
        }
    }

    /// Counts a connection; none if its address has too many, and the connection is closed.
    fn open(&self, peer: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Arc<OpenConnection>> {
        if self.state.config.proxies.contains(peer.ip()) {
            return Some(OpenConnection::new(permit, None));
        }
        let of_address = self.of_addresses.try_open(peer.ip());
        if of_address.is_none() {
            counter!("apex_http_connections_refused_total").increment(1);
            tracing::debug!(address = %peer.ip(), "closed a connection of an address that has too many");
        }
        Some(OpenConnection::new(permit, Some(of_address?)))
    }

    fn spawn(&self, stream: TcpStream, peer: IpAddr, open: Arc<OpenConnection>, router: &Router) {
        // Without it only latency is higher.
        drop(stream.set_nodelay(true));
        // The operating system closes a connection whose peer does not read, which is not visible here.
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, self.user_timeout_ms) {
            tracing::debug!(%error, "cannot set the TCP user timeout of a connection");
        }
        let connection = Connection {
            state: self.state.clone(),
            router: router.clone(),
            http: self.http.clone(),
            http2: self.http2.clone(),
            peer,
            open,
            stop: self.stop.clone(),
        };
        let cut_off = self.cut_off.clone();
        self.connections.spawn(async move {
            tokio::select! {
                () = connection.accept(stream) => {}
                () = cut_off.cancelled() => {}
            }
        });
    }
}

/// A connection that was accepted.
struct Connection {
    state: Arc<State>,
    router: Router,
    http: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    /// The address of the client, or of the proxy before it.
    peer: IpAddr,
    open: Arc<OpenConnection>,
    stop: CancellationToken,
}

impl Connection {
    /// Serves the connection, after the TLS handshake where there is one.
    async fn accept(self, stream: TcpStream) {
        let Some(tls) = self.state.config.tls.clone() else {
            let protocol = tokio::select! {
                protocol = protocol::detect(&stream, self.state.limits().head_timeout) => protocol,
                () = self.stop.cancelled() => None,
            };
            if let Some(protocol) = protocol {
                self.serve(stream, protocol).await;
            }
            return;
        };
        let stream = tokio::select! {
            stream = tls.handshake(stream, self.state.limits().handshake_timeout) => stream,
            () = self.stop.cancelled() => None,
        };
        if let Some(stream) = stream {
            let protocol = Protocol::negotiated(stream.get_ref().1.alpn_protocol());
            self.serve(stream, protocol).await;
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S, protocol: Protocol) {
        let Self { state, router, http, http2, peer, open, stop } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            let address = state.config.proxies.client(peer, request.headers());
            request.extensions_mut().insert(address);
            request.extensions_mut().insert(open.clone());
            protocol::name_host(&mut request);
            respond(router.clone(), request)
        });
        let stream = TokioIo::new(stream);
        // The two types of connections have no trait in common.
        macro_rules! drive {
            ($connection:expr) => {{
                let mut connection = std::pin::pin!($connection);
                let ended = tokio::select! {
                    ended = connection.as_mut() => Some(ended),
                    () = stop.cancelled() => None,
                };
                match ended {
                    Some(ended) => ended,
                    None => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }};
        }
        let served = match protocol {
            Protocol::Http1 => drive!(http.serve_connection(stream, service).with_upgrades()),
            Protocol::Http2 => drive!(http2.serve_connection(stream, service)),
        };
        if let Err(error) = served {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended with an error");
        }
    }
}

/// Responds to a request. The response to an upgrade spells its headers as the request did: names are case-insensitive, but
/// some clients, such as `gql` for Python, look for the exact spelling of `Sec-WebSocket-Protocol`.
async fn respond(mut router: Router, request: Request<Incoming>) -> Result<Response, std::convert::Infallible> {
    use tower_service::Service as _;
    let names = request.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL).then(|| request.extensions().clone());
    let mut response = router.call(request).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(names)) = (response.status(), names) {
        response.extensions_mut().extend(names);
    }
    Ok(response)
}

/// Whether accepting failed only for one connection, which was closed meanwhile.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
