//! What stands for a client where requests of addresses are counted.

use std::net::{IpAddr, Ipv6Addr};

/// The number of bits of an IPv6 address that identify a client: who has one address has all of its network.
const CLIENT_BITS_OF_IPV6: u8 = 64;

/// What stands for a client in limits: its IPv4 address, or the network of its IPv6 address.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        // Loopback is a single address.
        IpAddr::V6(address) if address.is_loopback() => IpAddr::V6(address),
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - u32::from(CLIENT_BITS_OF_IPV6);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) >> host_bits << host_bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_with_ipv6_is_its_network() {
        assert_eq!(client_network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(client_network(ip("::ffff:1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(client_network(ip("::1")), ip("::1"));
        assert_eq!(client_network(ip("1.2.3.4")), ip("1.2.3.4"));
    }
}
