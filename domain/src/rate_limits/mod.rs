//! The rate limits and quotas of a tenant: how much it, and each of its credentials, may ask of a process.
//!
//! A tenant has one stream of them, in the reserved tenant of the installation under [`TenantId::stream_id`], beside the
//! stream of the tenant itself: who operates the installation sets them, and nobody inside a tenant raises its own.
//! What is not set has the default of the process. How limits are enforced is not decided here.

mod values;

pub use values::{LimitAmount, LimitAmountError, LimitValues, LimitedResource};

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{ApiKeyId, TenantId, UserId};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Whose requests limits apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LimitScope {
    /// All requests of the tenant together.
    Tenant,
    /// The requests of each credential of the tenant, by itself: the default for those without limits of their own.
    EachSubject,
    /// The requests of one API key.
    ApiKey {
        /// The key.
        api_key_id: ApiKeyId,
    },
    /// The requests of one user.
    User {
        /// The user.
        user_id: UserId,
    },
}

/// A credential that can have limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitedSubject {
    /// An API key.
    ApiKey(ApiKeyId),
    /// A user, whatever session the request is part of.
    User(UserId),
}

/// A command to the rate limits of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum RateLimitsCommand {
    /// Replaces the limits of a scope. What is not given has the default from then on.
    Set {
        /// The tenant, from which the id of the stream is derived.
        tenant_id: TenantId,
        /// Whose requests the limits apply to.
        scope: LimitScope,
        /// The limits.
        limits: LimitValues,
        /// When the limits were set.
        at: DateTime<Utc>,
    },
}

/// The payload of `rate_limits.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimitsSet {
    /// The tenant whose limits were set.
    pub tenant_id: TenantId,
    /// Whose requests the limits apply to.
    pub scope: LimitScope,
    /// All limits of the scope. What is absent has the default.
    pub limits: LimitValues,
    /// When the limits were set.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of the rate limits of a tenant.
    pub enum RateLimitsEvent {
        /// The limits of a scope were replaced.
        "rate_limits.set" v 1 => Set(RateLimitsSet),
    }
}

/// Why a command to the rate limits of a tenant is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateLimitsError {
    /// As many credentials have limits of their own as may have.
    #[error(
        "{limit} keys and users of the tenant have limits of their own, and no more may: remove those of one first",
        limit = RateLimits::MAX_SUBJECTS
    )]
    TooManySubjects,
    /// The stream is that of another tenant.
    #[error("the stream is that of the tenant {0}")]
    OtherTenant(TenantId),
    /// The id is reserved for the installation.
    #[error("the tenant id {0} is reserved for the installation, which has no limits")]
    Reserved(TenantId),
}

/// The rate limits that are set for a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RateLimits {
    /// The tenant; none before limits were set.
    pub tenant_id: Option<TenantId>,
    /// The limits on all requests of the tenant together.
    pub tenant: LimitValues,
    /// The limits on each credential without limits of its own.
    pub each_subject: LimitValues,
    /// The limits on single API keys.
    pub api_keys: BTreeMap<ApiKeyId, LimitValues>,
    /// The limits on single users.
    pub users: BTreeMap<UserId, LimitValues>,
}

impl RateLimits {
    /// The maximum number of credentials with limits of their own.
    pub const MAX_SUBJECTS: usize = 1000;

    /// The limits that are set for a scope.
    #[must_use]
    pub fn of_scope(&self, scope: LimitScope) -> LimitValues {
        match scope {
            LimitScope::Tenant => self.tenant,
            LimitScope::EachSubject => self.each_subject,
            LimitScope::ApiKey { api_key_id } => self.api_keys.get(&api_key_id).copied().unwrap_or_default(),
            LimitScope::User { user_id } => self.users.get(&user_id).copied().unwrap_or_default(),
        }
    }

    /// The limits on the requests of a credential: its own, else those of each credential. Limits that are not set are
    /// absent.
    #[must_use]
    pub fn of_subject(&self, subject: Option<LimitedSubject>) -> LimitValues {
        let own = match subject {
            Some(LimitedSubject::ApiKey(id)) => self.api_keys.get(&id),
            Some(LimitedSubject::User(id)) => self.users.get(&id),
            None => None,
        };
        own.copied().unwrap_or_default().or(self.each_subject)
    }

    fn has_room_for(&self, scope: LimitScope) -> bool {
        let is_known = match scope {
            LimitScope::Tenant | LimitScope::EachSubject => true,
            LimitScope::ApiKey { api_key_id } => self.api_keys.contains_key(&api_key_id),
            LimitScope::User { user_id } => self.users.contains_key(&user_id),
        };
        is_known || self.api_keys.len() + self.users.len() < Self::MAX_SUBJECTS
    }
}

/// Sets the limits of a credential; those of one without any are not kept.
fn set<K: Ord>(limits: &mut BTreeMap<K, LimitValues>, key: K, values: LimitValues) {
    if values == LimitValues::default() {
        limits.remove(&key);
    } else {
        limits.insert(key, values);
    }
}

impl Aggregate for RateLimits {
    const CATEGORY: &'static str = "rate_limits";
    type Command = RateLimitsCommand;
    type Event = RateLimitsEvent;
    type Error = RateLimitsError;

    fn decide(&self, command: RateLimitsCommand) -> Result<Vec<RateLimitsEvent>, RateLimitsError> {
        let RateLimitsCommand::Set { tenant_id, scope, limits, at } = command;
        if tenant_id.is_reserved() {
            return Err(RateLimitsError::Reserved(tenant_id));
        }
        if let Some(known) = self.tenant_id.as_ref().filter(|known| **known != tenant_id) {
            return Err(RateLimitsError::OtherTenant(known.clone()));
        }
        if self.of_scope(scope) == limits {
            return Ok(Vec::new());
        }
        if !self.has_room_for(scope) {
            return Err(RateLimitsError::TooManySubjects);
        }
        Ok(vec![RateLimitsEvent::Set(RateLimitsSet { tenant_id, scope, limits, at })])
    }

    fn evolve(mut self, event: &RateLimitsEvent) -> Self {
        let RateLimitsEvent::Set(RateLimitsSet { tenant_id, scope, limits, .. }) = event;
        self.tenant_id = Some(tenant_id.clone());
        match *scope {
            LimitScope::Tenant => self.tenant = *limits,
            LimitScope::EachSubject => self.each_subject = *limits,
            LimitScope::ApiKey { api_key_id } => set(&mut self.api_keys, api_key_id, *limits),
            LimitScope::User { user_id } => set(&mut self.users, user_id, *limits),
        }
        self
    }
}

#[cfg(test)]
mod tests;
