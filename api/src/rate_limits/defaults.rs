//! The limits of the settings, for what has none of its own.

use super::limited::Scope;
use domain::rate_limits::{LimitAmount, LimitAmountError, LimitValues, LimitedResource};
use std::str::FromStr;
use thiserror::Error;

/// The limits of the settings, for what has none of its own. Without them, nothing is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefaultLimits {
    /// The requests of an address each minute, whatever credentials they have.
    pub address_requests: Option<LimitAmount>,
    /// The limits on each tenant.
    pub tenant: LimitValues,
    /// The limits on each credential.
    pub subject: LimitValues,
}

/// The text is not a list of limits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DefaultLimitsError {
    /// An item is not a limit.
    #[error(
        "{0:?} is not a limit: give NAME=AMOUNT, with a name of address.requests, tenant.RESOURCE or key.RESOURCE, where \
         RESOURCE is requests, ingest_bytes, complexity or subscriptions"
    )]
    Name(String),
    /// The amount of an item is not valid.
    #[error(transparent)]
    Amount(#[from] LimitAmountError),
    /// A name occurs twice.
    #[error("{0} is given twice")]
    Twice(String),
}

impl FromStr for DefaultLimits {
    type Err = DefaultLimitsError;

    /// Parses `tenant.requests=6000,key.requests=600`.
    fn from_str(text: &str) -> Result<Self, DefaultLimitsError> {
        let mut limits = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let wrong = || DefaultLimitsError::Name(item.to_owned());
            let (name, amount) = item.split_once('=').ok_or_else(wrong)?;
            let (scope, resource) = name.trim().split_once('.').ok_or_else(wrong)?;
            let resource = LimitedResource::ALL.into_iter().find(|known| known.key() == resource).ok_or_else(wrong)?;
            let amount = amount.trim().parse()?;
            let is_new = match Scope::ALL.into_iter().find(|known| known.key() == scope).ok_or_else(wrong)? {
                Scope::Address if resource == LimitedResource::Requests => {
                    limits.address_requests.replace(amount).is_none()
                }
                Scope::Address => return Err(wrong()),
                Scope::Tenant => set(&mut limits.tenant, resource, amount),
                Scope::Subject => set(&mut limits.subject, resource, amount),
            };
            if !is_new {
                return Err(DefaultLimitsError::Twice(name.trim().to_owned()));
            }
        }
        Ok(limits)
    }
}

/// Returns whether there was no limit before.
fn set(limits: &mut LimitValues, resource: LimitedResource, amount: LimitAmount) -> bool {
    let is_new = limits.of(resource).is_none();
    limits.set(resource, Some(amount));
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_given_by_name() {
        let limits: DefaultLimits = "address.requests=9, tenant.complexity=8,key.subscriptions=7".parse().unwrap();
        let amount = |amount: u32| Some(LimitAmount::try_from(amount).unwrap());
        assert_eq!(limits.address_requests, amount(9));
        assert_eq!(limits.tenant, LimitValues { complexity_per_minute: amount(8), ..LimitValues::default() });
        assert_eq!(limits.subject, LimitValues { subscriptions: amount(7), ..LimitValues::default() });
        assert_eq!("".parse(), Ok(DefaultLimits::default()));
    }

    #[test]
    fn other_text_is_refused_with_the_names() {
        for wrong in ["requests=1", "tenant=1", "tenant.requests", "team.requests=1", "address.complexity=1", "x"] {
            let error = wrong.parse::<DefaultLimits>().unwrap_err();
            assert!(matches!(&error, DefaultLimitsError::Name(name) if name == wrong), "{error}");
        }
        assert!(matches!("tenant.requests=0".parse::<DefaultLimits>(), Err(DefaultLimitsError::Amount(_))));
        let twice = "tenant.requests=1,tenant.requests=2".parse::<DefaultLimits>();
        assert_eq!(twice, Err(DefaultLimitsError::Twice("tenant.requests".to_owned())));
    }
}
