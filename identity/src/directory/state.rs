//! The fold of the grants: pure, so that its tests need no database.

use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::ApiKey;
use domain::permissions::{PermissionSet, Role};
use domain::role_assignment::{Assignment, RoleAssignment};
use domain::service_account::ServiceAccount;
use domain::tenant::Tenant;
use domain::{Aggregate, ApiKeyId, DecodeError, EventCodec, ServiceAccountId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use streams::{Position, RecordedEvent};
use uuid::Uuid;

/// The categories whose events are folded.
pub(crate) const CATEGORIES: [&str; 4] =
    [Tenant::CATEGORY, ServiceAccount::CATEGORY, RoleAssignment::CATEGORY, ApiKey::CATEGORY];

/// The state of an aggregate, and whether it can be relied on.
#[derive(Debug, Default)]
struct Folded<A> {
    state: A,
    /// An event cannot be decoded, so that it is not known what it took away. The aggregate gives nothing any more.
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
}

/// An API key with the tenant it belongs to.
#[derive(Debug)]
struct OwnedKey {
    tenant: TenantId,
    key: Folded<ApiKey>,
}

/// The tenants, accounts, roles and keys of the log up to a position.
#[derive(Debug, Default)]
pub(crate) struct State {
    position: Position,
    tenants: HashMap<Uuid, Folded<Tenant>>,
    accounts: BTreeMap<(TenantId, ServiceAccountId), Folded<ServiceAccount>>,
    assignments: HashMap<(TenantId, Uuid), Folded<RoleAssignment>>,
    /// Follows from the assignments.
    roles: HashMap<(TenantId, ServiceAccountId), BTreeSet<Role>>,
    keys: BTreeMap<ApiKeyId, OwnedKey>,
}

impl State {
    /// The position of the last event of the log that was applied or is of no interest.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Notes that every event up to a position was applied or is of no interest.
    pub(crate) fn set_position(&mut self, position: Position) {
        self.position = position;
    }

    /// Applies an event. Each one is given once, and those of a stream in their order.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        let applied = match &*event.stream.category {
            // Streams of this category in other tenants have no meaning.
            Tenant::CATEGORY if tenant.is_reserved() => self.tenants.entry(id).or_default().apply(event),
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
                "an event about identities cannot be decoded: what it is about is refused"
            );
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
        let tenant = &event.stream.tenant;
        let owned = self
            .keys
            .entry(event.stream.id.into())
            .or_insert_with(|| OwnedKey { tenant: tenant.clone(), key: Folded::default() });
        // Ids of keys are unique in the installation: the stream of another tenant with the same id is not that key's.
        if owned.tenant == *tenant { owned.key.apply(event) } else { Ok(()) }
    }

    /// Whether there is a key with this id, in whatever state.
    pub(crate) fn knows(&self, id: ApiKeyId) -> bool {
        self.keys.contains_key(&id)
    }

    /// Whether a tenant exists and is not suspended.
    pub(crate) fn is_active(&self, tenant: &TenantId) -> bool {
        let state = self.tenants.get(&tenant.stream_id()).and_then(Folded::readable);
        state.is_some_and(|state| state.tenant_id.as_ref() == Some(tenant) && !state.is_suspended)
    }

    /// The roles of an account, if it is active.
    fn roles(&self, tenant: &TenantId, account: ServiceAccountId) -> Option<Vec<Role>> {
        let key = (tenant.clone(), account);
        self.accounts.get(&key)?.readable().filter(|account| account.is_active())?;
        Some(self.roles.get(&key).into_iter().flatten().copied().collect())
    }

    /// The principal of a key whose secret was verified; none if the key, its account or its tenant is not active.
    pub(crate) fn principal(&self, id: ApiKeyId, now: DateTime<Utc>) -> Option<Principal> {
        let OwnedKey { tenant, key } = self.keys.get(&id)?;
        let terms = key.readable()?.usable_at(now).ok()?;
        if !self.is_active(tenant) {
            return None;
        }
        let account = terms.service_account_id;
        let permissions = PermissionSet::of_roles(&self.roles(tenant, account)?);
        Some(Principal::service_account(tenant.clone(), account, id, permissions, terms.scopes()))
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

    /// The keys of a tenant, by id.
    pub(crate) fn keys(&self, tenant: &TenantId) -> impl Iterator<Item = (ApiKeyId, &ApiKey)> {
        let own = self.keys.iter().filter(move |(_, owned)| owned.tenant == *tenant);
        own.filter_map(|(id, owned)| Some((*id, owned.key.readable()?)))
    }
}

#[cfg(test)]
mod tests;
