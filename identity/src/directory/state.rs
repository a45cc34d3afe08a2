//! The fold of the grants: pure, so that its tests need no database.

use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::ApiKey;
use domain::permissions::{PermissionSet, Role};
use domain::rate_limits::RateLimits;
use domain::role_assignment::{Assignment, RoleAssignment};
use domain::service_account::ServiceAccount;
use domain::tenant::Tenant;
use domain::{Aggregate, ApiKeyId, DecodeError, EventCodec, ServiceAccountId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;
use streams::{RecordedEvent, StreamKey};
use uuid::Uuid;

/// The categories whose events are folded.
pub(crate) const CATEGORIES: [&str; 5] =
    [Tenant::CATEGORY, ServiceAccount::CATEGORY, RoleAssignment::CATEGORY, ApiKey::CATEGORY, RateLimits::CATEGORY];

/// Why a key whose secret is right has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPrincipal {
    /// The key is unknown, revoked or expired, or its account or tenant is not active.
    Refused,
    /// Events about the key, its account or its tenant cannot be read: it is not known what they gave or took away.
    Unreadable,
}

/// The state of an aggregate, and whether it can be relied on.
#[derive(Debug, Default)]
struct Folded<A> {
    state: A,
    /// An event cannot be decoded, or is archived and cannot be read, so that it is not known what it gave or took away. The
    /// aggregate gives nothing any more.
    is_unreadable: bool,
}

impl<A: Aggregate> Folded<A> {
    fn apply(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        match A::Event::decode(&event.name, event.schema_version, &event.payload) {
            Ok(decoded) => {
                self.state = std::mem::take(&mut self.state).evolve(&decoded);
                Ok(())
            }
            Err(error) => {
                self.is_unreadable = true;
                Err(error)
            }
        }
    }

    /// The state, if it can be relied on.
    fn readable(&self) -> Option<&A> {
        (!self.is_unreadable).then_some(&self.state)
    }

    /// As [`Folded::readable`], for a principal that depends on it.
    fn required(&self) -> Result<&A, NoPrincipal> {
        self.readable().ok_or(NoPrincipal::Unreadable)
    }
}

/// An API key with the tenant it belongs to.
#[derive(Debug)]
struct OwnedKey {
    tenant: TenantId,
    key: Folded<ApiKey>,
}

/// The tenants, accounts, roles and keys of the log.
#[derive(Debug, Default)]
pub(crate) struct State {
    tenants: HashMap<Uuid, Folded<Tenant>>,
    accounts: BTreeMap<(TenantId, ServiceAccountId), Folded<ServiceAccount>>,
    assignments: HashMap<(TenantId, Uuid), Folded<RoleAssignment>>,
    /// Follows from the assignments.
    roles: HashMap<(TenantId, ServiceAccountId), BTreeSet<Role>>,
    keys: BTreeMap<ApiKeyId, OwnedKey>,
    /// By the id of the tenant's stream.
    rate_limits: HashMap<Uuid, Folded<RateLimits>>,
}

impl State {
    /// Applies an event. Each one is given once, and those of a stream in their order.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        let applied = match &*event.stream.category {
            // Streams of this category in other tenants have no meaning.
            Tenant::CATEGORY if tenant.is_reserved() => self.tenants.entry(id).or_default().apply(event),
            RateLimits::CATEGORY if tenant.is_reserved() => self.rate_limits.entry(id).or_default().apply(event),
            ServiceAccount::CATEGORY => self.accounts.entry((tenant.clone(), id.into())).or_default().apply(event),
            RoleAssignment::CATEGORY => self.apply_assignment(event),
            ApiKey::CATEGORY => self.apply_key(event),
            _ => Ok(()),
        };
        if let Err(error) = applied {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                position = event.position.get(),
                stream = %event.stream,
                "an event about identities cannot be decoded: what it is about gives no access"
            );
        }
    }

    /// Notes that events of a stream cannot be read.
    pub(crate) fn set_unreadable(&mut self, stream: &StreamKey) {
        let (tenant, id) = (&stream.tenant, stream.id);
        match &*stream.category {
            Tenant::CATEGORY if tenant.is_reserved() => self.tenants.entry(id).or_default().is_unreadable = true,
            RateLimits::CATEGORY if tenant.is_reserved() => {
                self.rate_limits.entry(id).or_default().is_unreadable = true;
            }
            ServiceAccount::CATEGORY => {
                self.accounts.entry((tenant.clone(), id.into())).or_default().is_unreadable = true;
            }
            RoleAssignment::CATEGORY => self.assignments.entry((tenant.clone(), id)).or_default().is_unreadable = true,
            ApiKey::CATEGORY => {
                if let Some(key) = self.own_key(stream) {
                    key.is_unreadable = true;
                }
            }
            _ => {}
        }
    }

    fn apply_assignment(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        let tenant = &event.stream.tenant;
        let folded = self.assignments.entry((tenant.clone(), event.stream.id)).or_default();
        let applied = folded.apply(event);
        if let Some(Assignment { service_account_id, role }) = folded.state.assignment {
            let is_granted = folded.readable().is_some_and(|assignment| assignment.is_granted);
            let roles = self.roles.entry((tenant.clone(), service_account_id)).or_default();
            if is_granted {
                roles.insert(role);
            } else {
                roles.remove(&role);
            }
        }
        applied
    }

    fn apply_key(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        // Ids of keys are unique in the installation: the stream of another tenant with the same id is not that key's.
        self.own_key(&event.stream).map_or(Ok(()), |key| key.apply(event))
    }

    /// The key that a stream is about; none if it is the stream of another tenant with the same id.
    fn own_key(&mut self, stream: &StreamKey) -> Option<&mut Folded<ApiKey>> {
        let tenant = &stream.tenant;
        let new = || OwnedKey { tenant: tenant.clone(), key: Folded::default() };
        let owned = self.keys.entry(stream.id.into()).or_insert_with(new);
        (owned.tenant == *tenant).then_some(&mut owned.key)
    }

    /// The rate limits that are set for a tenant; none if none are set, or if that cannot be read.
    pub(crate) fn rate_limits(&self, tenant: &TenantId) -> Option<&RateLimits> {
        let limits = self.rate_limits.get(&tenant.stream_id())?.readable()?;
        Some(limits).filter(|limits| limits.tenant_id.as_ref() == Some(tenant))
    }

    /// Whether there is an API key, in whatever state.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a tenant was created and is suspended.
    pub(crate) fn is_suspended(&self, tenant: &TenantId) -> Result<bool, NoPrincipal> {
        let Some(folded) = self.tenants.get(&tenant.stream_id()) else { return Ok(false) };
        let state = folded.required()?;
        Ok(state.tenant_id.as_ref() == Some(tenant) && state.is_suspended)
    }

    /// Whether a tenant exists and is not suspended.
    pub(crate) fn is_active(&self, tenant: &TenantId) -> bool {
        self.active_tenant(tenant).is_ok()
    }

    fn active_tenant(&self, tenant: &TenantId) -> Result<(), NoPrincipal> {
        let state = self.tenants.get(&tenant.stream_id()).ok_or(NoPrincipal::Refused)?.required()?;
        let is_active = state.tenant_id.as_ref() == Some(tenant) && !state.is_suspended;
        if is_active { Ok(()) } else { Err(NoPrincipal::Refused) }
    }

    /// The roles of an account, if it is active.
    fn roles(&self, tenant: &TenantId, account: ServiceAccountId) -> Result<Vec<Role>, NoPrincipal> {
        let key = (tenant.clone(), account);
        if !self.accounts.get(&key).ok_or(NoPrincipal::Refused)?.required()?.is_active() {
            return Err(NoPrincipal::Refused);
        }
        Ok(self.roles.get(&key).into_iter().flatten().copied().collect())
    }

    /// The principal of a key whose secret was verified.
    ///
    /// # Errors
    /// [`NoPrincipal::Refused`] if the key, its account or its tenant is not active, and [`NoPrincipal::Unreadable`] if
    /// that is not known.
    pub(crate) fn principal(&self, id: ApiKeyId, now: DateTime<Utc>) -> Result<Principal, NoPrincipal> {
        let OwnedKey { tenant, key } = self.keys.get(&id).ok_or(NoPrincipal::Refused)?;
        let terms = key.required()?.usable_at(now).map_err(|_| NoPrincipal::Refused)?;
        self.active_tenant(tenant)?;
        let account = terms.service_account_id;
        let permissions = PermissionSet::of_roles(&self.roles(tenant, account)?);
        Ok(Principal::service_account(tenant.clone(), account, id, permissions, terms.scopes, terms.agent_id))
    }

    /// The tenant that a key is of, whether the key is valid or not.
    pub(crate) fn tenant_of(&self, id: ApiKeyId) -> Option<&TenantId> {
        self.keys.get(&id).map(|owned| &owned.tenant)
    }

    /// The time from which a key is refused, if any.
    pub(crate) fn expires_at(&self, id: ApiKeyId) -> Option<DateTime<Utc>> {
        self.keys.get(&id)?.key.readable()?.expires_at()
    }

    /// The tenants, by id.
    pub(crate) fn tenants(&self) -> Vec<&Tenant> {
        let mut tenants: Vec<_> = self.tenants.values().filter_map(Folded::readable).collect();
        tenants.sort_by(|one, other| one.tenant_id.cmp(&other.tenant_id));
        tenants
    }

    /// The accounts of a tenant with their roles, by id.
    pub(crate) fn accounts(
        &self,
        tenant: &TenantId,
    ) -> impl Iterator<Item = (ServiceAccountId, &ServiceAccount, Vec<Role>)> {
        let first = (tenant.clone(), ServiceAccountId(Uuid::nil()));
        let last = (tenant.clone(), ServiceAccountId(Uuid::max()));
        self.accounts.range(first..=last).filter_map(|(key, account)| {
            let roles = self.roles.get(key).into_iter().flatten().copied().collect();
            Some((key.1, account.readable()?, roles))
        })
    }

    /// The keys of a tenant with ids in a range, by id.
    pub(crate) fn keys(
        &self,
        tenant: &TenantId,
        ids: impl RangeBounds<ApiKeyId>,
    ) -> impl Iterator<Item = (ApiKeyId, &ApiKey)> {
        let own = self.keys.range(ids).filter(move |(_, owned)| owned.tenant == *tenant);
        own.filter_map(|(id, owned)| Some((*id, owned.key.readable()?)))
    }
}

#[cfg(test)]
mod tests;
