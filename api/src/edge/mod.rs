//! The edge of the server, below HTTP and beside it: TLS, the addresses of clients, and the origins of web pages.

mod address;
mod cors;
mod tls;

pub(crate) use address::ClientAddress;
pub use address::{ForwardedHeader, TrustedProxies};
pub use cors::{Origin, OriginError};
pub(crate) use cors::{is_configured, layer as cors_layer};
pub(crate) use tls::HTTP2;
pub use tls::{ClientCertificates, Tls, TlsError, TlsFiles};
