//! The limit on the connections of one address. It holds before a client has sent a credential, or anything at all.

use crate::config::Limits;
use identity::client_network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By default, the share of all connections that one address may have: one in so many.
const DEFAULT_SHARE: usize = 5;
/// By default, the share of all connections that loopback addresses leave to others: one in so many.
const LEFT_BY_LOOPBACK: usize = 10;

/// The open connections by address: at most one entry for each.
pub(super) struct AddressConnections {
    open: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
    max_of_loopback: usize,
}

impl AddressConnections {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let all = limits.max_http_connections.saturating_add(limits.max_connections);
        let (max, max_of_loopback) = match limits.max_connections_per_address {
            Some(max) => (max, max),
            // A process on the same machine may be a proxy, or many agents.
            None => (all.div_ceil(DEFAULT_SHARE), all - all / LEFT_BY_LOOPBACK),
        };
        Arc::new(Self { open: Mutex::default(), max, max_of_loopback })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection; none if its address has as many as it may have.
    pub(super) fn try_open(self: &Arc<Self>, peer: IpAddr) -> Option<AddressPermit> {
        let address = client_network(peer);
        let max = if address.is_loopback() { self.max_of_loopback } else { self.max };
        let mut open = self.lock();
        let count = open.get(&address).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        open.insert(address, count + 1);
        Some(AddressPermit { connections: self.clone(), address })
    }
}

/// Counts as a connection of an address until it is dropped.
pub(super) struct AddressPermit {
    connections: Arc<AddressConnections>,
    address: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => _ = open.remove(&self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: Option<usize>) -> Arc<AddressConnections> {
        let limits = Limits {
            max_http_connections: 60,
            max_connections: 40,
            max_connections_per_address: max,
            ..Limits::default()
        };
        AddressConnections::new(&limits)
    }

    #[test]
    fn an_address_has_a_limit_and_no_other_address_is_affected() {
        let connections = connections(Some(2));
        let open = |text: &str| connections.try_open(text.parse().unwrap());
        let (first, second) = (open("127.0.0.1"), open("127.0.0.1"));
        assert!(first.is_some() && second.is_some() && open("127.0.0.1").is_none());
        let other = open("127.0.0.2");
        assert!(other.is_some());
        drop(first);
        assert!(open("127.0.0.1").is_some());
        drop((second, other));
        assert!(connections.lock().is_empty(), "an entry outlives its connections");
    }

    #[test]
    fn addresses_of_one_network_share_the_limit() {
        let connections = connections(Some(1));
        let open = |text: &str| connections.try_open(text.parse().unwrap());
        let first = open("2001:db8::1");
        assert!(first.is_some() && open("2001:db8::2").is_none() && open("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn loopback_has_most_of_all_connections_by_default() {
        let connections = connections(None);
        for (address, max) in [("203.0.113.1", 20), ("127.0.0.1", 90)] {
            let open: Vec<_> =
                std::iter::from_fn(|| connections.try_open(address.parse().unwrap())).take(200).collect();
            assert_eq!(open.len(), max, "{address}");
        }
    }
}
