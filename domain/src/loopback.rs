//! Hosts that are this machine.

use core::net::IpAddr;

/// Whether the host of a URL or of a header is this machine: `localhost`, or a loopback address. An address of IPv6 may be in square
/// brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
