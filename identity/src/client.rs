//! Where a request comes from.

use std::net::IpAddr;

/// The longest name of a program that is kept, in bytes. Longer ones are cut.
const MAX_USER_AGENT_BYTES: usize = 256;

/// The client that sends a request: its address, and the name of its program, as it says. Both are personal data, and are never
/// in an event: they are in the rows of sessions and of the origins of access logs, which can be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Client {
    address: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Client {
    /// A client with the value of its header `User-Agent`.
    #[must_use]
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| {
            // A header may have any bytes; what is stored is visible text.
            let plain: String = text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT_BYTES).collect();
            plain[..plain.floor_char_boundary(MAX_USER_AGENT_BYTES)].to_owned()
        };
        let address = address.map(|address| address.to_canonical());
        Self { address, user_agent: user_agent.map(cut).filter(|text| !text.is_empty()) }
    }

    /// The address that the client connects from, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.address.is_none() && self.user_agent.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_is_bounded_visible_text() {
        let named = |text: &str| Client::new(None, Some(text)).user_agent().map(str::to_owned);
        assert_eq!(named("curl/8"), Some("curl/8".to_owned()));
        assert_eq!(named("a\u{0}b\n"), Some("ab".to_owned()));
        assert_eq!(named(""), None);
        let cut = named(&"é".repeat(10_000)).unwrap();
        assert!(cut.len() <= MAX_USER_AGENT_BYTES && cut.len() > MAX_USER_AGENT_BYTES - 2);
        assert!(Client::new(None, Some("\n")).is_unknown());
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_however_it_is_written() {
        let mapped = Client::new(Some("::ffff:192.0.2.1".parse().unwrap()), None);
        assert_eq!(mapped, Client::new(Some("192.0.2.1".parse().unwrap()), None));
    }
}
