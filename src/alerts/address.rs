//! Which addresses alerts may be sent to, and looking names up.
//!
//! A name is looked up when a connection is made, and the connection is made to the addresses that were checked: there is no second
//! look-up, whose answer could be another one.

use futures::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;

/// The networks of IPv4 that are not public, by the registry of special-purpose addresses (RFC 6890) and multicast.
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];
/// What is public of IPv6: the global unicast addresses, without those that stand for other addresses or documents.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);
const NOT_PUBLIC_V6: [Ipv6Net; 4] =
    [v6([0x2001, 0], 23), v6([0x2001, 0xdb8], 32), v6([0x2002, 0], 16), v6([0x3fff, 0], 20)];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// An address is not one that alerts may be sent to. Tenants read the text: it does not say what a name of the operator's network is
/// looked up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the host of the endpoint is not an address that alerts may be sent to this way: it is not public, or plain HTTP would be used; \
     an operator allows it with APEX_ALERT_NETWORKS"
)]
pub(super) struct Refused(pub(super) IpAddr);

/// Which addresses may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    /// The networks that the operator allows.
    networks: Arc<[IpNet]>,
    /// Whether public addresses are allowed too.
    public: bool,
}

impl Allowed {
    /// Public addresses, and those of some networks.
    pub(super) fn public_and(networks: &[IpNet]) -> Self {
        Self { networks: networks.into(), public: true }
    }

    /// The addresses of some networks alone.
    pub(super) fn only(networks: &[IpNet]) -> Self {
        Self { networks: networks.into(), public: false }
    }

    /// Checks an address. One of IPv4 within IPv6 is that of IPv4.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = address.to_canonical();
        let is_allowed = self.networks.iter().any(|network| network.contains(&address));
        if is_allowed || (self.public && is_public(address)) { Ok(()) } else { Err(Refused(address)) }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// Looks a name up.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Looks a name up by the resolver of the system.
pub(super) fn system() -> Lookup {
    Arc::new(|name: String| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

/// Looks names up, and returns their addresses if all of them are allowed. One of them that is not would be reached sooner or later.
pub(super) struct GuardedResolver {
    pub(super) allowed: Allowed,
    pub(super) lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, lookup) = (self.allowed.clone(), self.lookup.clone());
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            for address in &found {
                allowed.check(address.ip()).inspect_err(|Refused(address)| {
                    tracing::info!(name = name.as_str(), %address, "an endpoint for alerts has an address that is not allowed");
                })?;
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_reached() {
        let allowed = Allowed::public_and(&[]);
        for public in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert_eq!(allowed.check(ip(public)), Ok(()), "{public}");
        }
        for refused in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(allowed.check(ip(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_operator_allows_networks() {
        let networks = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let allowed = Allowed::public_and(&networks);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "1.1.1.1"] {
            assert_eq!(allowed.check(ip(address)), Ok(()), "{address}");
        }
        assert_eq!(allowed.check(ip("127.0.0.1")), Err(Refused(ip("127.0.0.1"))));
        let plain = Allowed::only(&networks);
        assert!(plain.check(ip("1.1.1.1")).is_err() && plain.check(ip("10.1.2.3")).is_ok());
    }
}
