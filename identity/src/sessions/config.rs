//! The settings of sessions, and of how people sign in.

use domain::TenantId;
use std::num::NonZeroU32;
use std::time::Duration;

/// Settings of sessions, and of attempts to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInConfig {
    /// The tenant in whose access log an attempt is recorded that names a tenant that does not exist. Default: none, and it is
    /// only counted in the log of the process.
    pub home: Option<TenantId>,
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
    /// The number of people of an address who may register without an invitation at once; then one every 10 minutes.
    /// Default: 10.
    pub registrations_per_address: NonZeroU32,
    /// The maximum number of users of a tenant who registered without an invitation. Default: 10,000.
    pub max_registered_users: usize,
    /// The maximum number of those who have no role. Default: 1,000.
    pub max_roleless_users: usize,
    /// The maximum number of invitations of a tenant that can be accepted. Default: 1,000.
    pub max_pending_invitations: usize,
}

impl Default for SignInConfig {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            home: None,
            access_lifetime: Duration::from_mins(15),
            refresh_lifetime: Duration::from_hours(7 * 24),
            session_lifetime: Duration::from_hours(30 * 24),
            attempts_per_account: number(10),
            attempts_per_address: number(50),
            registrations_per_address: number(10),
            max_registered_users: 10_000,
            max_roleless_users: 1000,
            max_pending_invitations: 1000,
        }
    }
}
