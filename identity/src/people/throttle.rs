//! Limits on how often a client, or an account, may try to sign in: token buckets.

use super::email::Email;
use crate::network::client_network;
use crate::sessions::SignInConfig;
use crate::sign_in_error::Throttled;
use domain::{TenantId, UserId};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How often one attempt more is allowed for an account and for an address, once all that are allowed at once are used.
const ACCOUNT_INTERVAL: Duration = Duration::from_secs(20);
const ADDRESS_INTERVAL: Duration = Duration::from_secs(2);
/// As much for people who register from an address.
const REGISTRATION_INTERVAL: Duration = Duration::from_mins(10);
/// The number of accounts or addresses that are remembered, beyond which those that have used nothing are forgotten, and the
/// others share one bucket.
const MAX_KEYS: usize = 50_000;

/// A bucket for each key; none stands for all keys that are too many.
struct Buckets<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<Option<K>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(interval: Duration, at_once: NonZeroU32) -> Self {
        // The interval is a constant that is not zero.
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(at_once);
        Self { limiter: RateLimiter::keyed(quota) }
    }

    /// # Errors
    /// [`Throttled`] if the bucket of the key is empty.
    fn take(&self, key: K) -> Result<(), Throttled> {
        if self.limiter.len() > MAX_KEYS {
            self.limiter.retain_recent();
        }
        let key = (self.limiter.len() <= MAX_KEYS).then_some(key);
        self.limiter
            .check_key(&key)
            .map_err(|until| Throttled { retry_after: until.wait_time_from(DefaultClock::default().now()) })
    }
}

/// The buckets of accounts and of addresses of clients.
pub(crate) struct SignInThrottle {
    accounts: Buckets<(TenantId, Email)>,
    addresses: Buckets<IpAddr>,
    registrations: Buckets<IpAddr>,
    codes: Buckets<UserId>,
}

impl SignInThrottle {
    /// Allows the numbers of attempts at once that the settings say.
    pub(crate) fn new(config: &SignInConfig) -> Self {
        Self {
            accounts: Buckets::new(ACCOUNT_INTERVAL, config.attempts_per_account),
            addresses: Buckets::new(ADDRESS_INTERVAL, config.attempts_per_address),
            registrations: Buckets::new(REGISTRATION_INTERVAL, config.registrations_per_address),
            codes: Buckets::new(ACCOUNT_INTERVAL, config.attempts_per_account),
        }
    }

    /// Counts a person who registers from an address without an invitation.
    ///
    /// # Errors
    /// [`Throttled`] if there were too many.
    pub(crate) fn take_registration(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        address.map_or(Ok(()), |address| self.registrations.take(client_network(address)))
    }

    /// Counts an attempt of a client.
    ///
    /// # Errors
    /// [`Throttled`] if there were too many.
    pub(crate) fn take_address(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        address.map_or(Ok(()), |address| self.addresses.take(client_network(address)))
    }

    /// Counts a code that a user typed to let a program in, right or wrong.
    ///
    /// # Errors
    /// [`Throttled`] if there were too many.
    pub(crate) fn take_code(&self, user: UserId) -> Result<(), Throttled> {
        self.codes.take(user)
    }

    /// Counts an attempt to sign in to an account, whether it exists or not.
    ///
    /// # Errors
    /// [`Throttled`] if there were too many.
    pub(crate) fn take_account(&self, tenant: &TenantId, email: &Email) -> Result<(), Throttled> {
        self.accounts.take((tenant.clone(), email.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(per_account: u32, per_address: u32, registrations: u32) -> SignInThrottle {
        let number = |number| NonZeroU32::new(number).unwrap();
        SignInThrottle::new(&SignInConfig {
            attempts_per_account: number(per_account),
            attempts_per_address: number(per_address),
            registrations_per_address: number(registrations),
            ..SignInConfig::default()
        })
    }

    #[test]
    fn attempts_are_limited_by_account_and_by_address() {
        let throttle = throttle(3, 5, 2);
        let (tenant, other_tenant) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let email = |name: &str| Email::parse(&format!("{name}@example.org")).unwrap();
        for _ in 0..3 {
            throttle.take_account(&tenant, &email("ada")).unwrap();
        }
        let wait = throttle.take_account(&tenant, &email("ada")).unwrap_err().retry_after;
        assert!(wait > Duration::ZERO && wait <= ACCOUNT_INTERVAL, "{wait:?}");
        // Other accounts are not affected, and the same address in another tenant is another account.
        assert!(throttle.take_account(&tenant, &email("bob")).is_ok());
        assert!(throttle.take_account(&other_tenant, &email("ada")).is_ok());
        for number in 0..5 {
            // One client has many addresses of IPv6.
            throttle.take_address(format!("2001:db8::{number}").parse().ok()).unwrap();
        }
        assert!(throttle.take_address("2001:db8::ffff".parse().ok()).is_err());
        assert!(throttle.take_address("2001:db8:0:1::1".parse().ok()).is_ok());
        assert!(throttle.take_address(None).is_ok());
        // Registrations are counted apart from attempts.
        let address = "2001:db8::1".parse().ok();
        assert!(throttle.take_registration(address).is_ok() && throttle.take_registration(address).is_ok());
        let wait = throttle.take_registration(address).unwrap_err().retry_after;
        assert!(wait > ADDRESS_INTERVAL && wait <= REGISTRATION_INTERVAL, "{wait:?}");
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let throttle = throttle(1, 1, 1);
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let refused = (0..MAX_KEYS + 100).filter(|&number| throttle.take_address(Some(address(number))).is_err());
        assert!(refused.count() >= 90, "beyond the limit, addresses share a bucket");
        assert!(throttle.addresses.limiter.len() <= MAX_KEYS + 2);
    }
}
