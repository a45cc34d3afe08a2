//! What is known of the client of a session, and the settings of sessions.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// The longest name of a program that is stored, in bytes.
const MAX_USER_AGENT_BYTES: usize = 256;

/// The client that signs in, for the list of sessions. It is personal, and deleted with the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The address that the client connects from, if known.
    pub address: Option<IpAddr>,
    user_agent: Option<String>,
}

impl Client {
    /// A client with the name of its program, which is cut to the length that is stored.
    #[must_use]
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| {
            let plain: String = text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT_BYTES).collect();
            plain[..plain.floor_char_boundary(MAX_USER_AGENT_BYTES)].to_owned()
        };
        Self { address, user_agent: user_agent.map(cut).filter(|text| !text.is_empty()) }
    }

    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }
}

/// Settings of sessions, and of attempts to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInConfig {
    /// How long an access token is accepted. Default: 15 minutes.
    pub access_lifetime: Duration,
    /// How long a refresh token is accepted. Default: 7 days.
    pub refresh_lifetime: Duration,
    /// How long a session lasts, however often its tokens are renewed. Default: 30 days.
    pub session_lifetime: Duration,
    /// The number of attempts for an account at once; then one every 20 seconds. Default: 10.
    pub attempts_per_account: NonZeroU32,
    /// The number of attempts of an address at once; then one every 2 seconds. Default: 50.
    pub attempts_per_address: NonZeroU32,
}

impl Default for SignInConfig {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            access_lifetime: Duration::from_mins(15),
            refresh_lifetime: Duration::from_hours(7 * 24),
            session_lifetime: Duration::from_hours(30 * 24),
            attempts_per_account: number(10),
            attempts_per_address: number(50),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_is_cut() {
        let named = |text: &str| Client::new(None, Some(text)).user_agent().map(str::to_owned);
        assert_eq!(named("curl/8"), Some("curl/8".to_owned()));
        assert_eq!(named("a\u{0}b\n"), Some("ab".to_owned()));
        assert_eq!(named(""), None);
        assert!(named(&"é".repeat(10_000)).unwrap().len() <= MAX_USER_AGENT_BYTES);
    }
}
