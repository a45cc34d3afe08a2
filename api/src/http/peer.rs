//! The address that a connection comes from.

use std::net::IpAddr;

/// The address that a connection comes from, which every request on it has as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);
