//! The address of a client. Behind a reverse proxy it is in a header that the proxy sets, and that every client can send:
//! it counts only where a trusted proxy sent the request, and only as far as trusted proxies wrote it.

use axum::http::HeaderMap;
use identity::client_network;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The most entries of the header that are read, from its end. More proxies than this are not in a row.
const MAX_HOPS: usize = 32;

/// The header in which proxies name the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose header is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Their addresses.
    pub networks: Vec<IpNet>,
    /// The one header that they set. Proxies pass other headers on as clients sent them, so that only one is read.
    pub header: ForwardedHeader,
}

/// The address of the client of a request, see [`client_network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl TrustedProxies {
    /// Whether an address is that of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client that a request comes from: the last address in the header that no trusted proxy has, since everything
    /// before it may be made up. If an entry is not an address, the client is the proxy that wrote it.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer;
        let mut hops = self.hops(headers).into_iter();
        while self.contains(client) {
            match hops.next() {
                Some(Some(address)) => client = address,
                Some(None) | None => break,
            }
        }
        ClientAddress(client_network(client))
    }

    /// The entries of the header, the last one first; none for what is not an address.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, parse): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => ("x-forwarded-for", address),
            ForwardedHeader::Forwarded => ("forwarded", forwarded_for),
        };
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let entries = values.into_iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        entries.take(MAX_HOPS).map(|entry| parse(entry.trim())).collect()
    }
}

/// An address, alone or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// The address in the parameter `for` of an element of `Forwarded`. Obfuscated identifiers are no addresses.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    })?;
    address(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(header: ForwardedHeader, peer: &str, sent: &[(&'static str, &str)]) -> IpAddr {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        TrustedProxies { networks, header }.client(ip(peer), &headers).0
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        let client = |peer, sent| client(ForwardedHeader::XForwardedFor, peer, sent);
        let spoofed = [("x-forwarded-for", "1.2.3.4")];
        assert_eq!(client("203.0.113.7", &spoofed), ip("203.0.113.7"));
        assert_eq!(client("10.0.0.1", &spoofed), ip("1.2.3.4"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
        // Without trusted proxies no header counts.
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static("1.2.3.4"))]);
        assert_eq!(TrustedProxies::default().client(ip("127.0.0.1"), &headers).0, ip("127.0.0.1"));
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let client = |sent: &[(&'static str, &str)]| client(ForwardedHeader::XForwardedFor, "10.0.0.1", sent);
        assert_eq!(client(&[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1")]), ip("1.2.3.4"));
        let two_lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4 ,10.9.9.9")];
        assert_eq!(client(&two_lines), ip("1.2.3.4"));
        assert_eq!(client(&[("x-forwarded-for", "10.5.5.5")]), ip("10.5.5.5"));
        // What is no address was made up before the last proxy.
        assert_eq!(client(&[("x-forwarded-for", "1.2.3.4, unknown")]), ip("10.0.0.1"));
        assert_eq!(client(&[("x-forwarded-for", "1.2.3.4:4711")]), ip("1.2.3.4"));
        assert_eq!(client(&[("x-forwarded-for", "")]), ip("10.0.0.1"));
        // The other header may come from the client itself.
        assert_eq!(client(&[("forwarded", "for=1.2.3.4")]), ip("10.0.0.1"));
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let client = |value| client(ForwardedHeader::Forwarded, "fd00::1", &[("forwarded", value)]);
        assert_eq!(client("for=192.0.2.60;proto=http;by=203.0.113.43"), ip("192.0.2.60"));
        assert_eq!(client("proto=https; For=\"[2001:db8:cafe::17]:4711\""), ip("2001:db8:cafe::"));
        assert_eq!(client("for=6.6.6.6, for=192.0.2.43"), ip("192.0.2.43"));
        for unknown in ["for=_hidden", "for=unknown", "by=1.2.3.4", "for=", "="] {
            assert_eq!(client(unknown), ip("fd00::"), "{unknown}");
        }
    }
}
