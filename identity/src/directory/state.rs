//! The fold of the grants: pure, so that its tests need no database.

use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::ApiKey;
use domain::invitation::Invitation;
use domain::permissions::{PermissionSet, Role};
use domain::role_assignment::{Assignment, Holder, RoleAssignment};
use domain::service_account::ServiceAccount;
use domain::tenant::Tenant;
use domain::user::User;
use domain::{
    Aggregate, ApiKeyId, DecodeError, EventCodec, InvitationId, ServiceAccountId, SessionId, TenantId, UserId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeBounds};
use streams::{RecordedEvent, StreamKey};
use uuid::Uuid;

/// The categories whose events are folded.
pub(crate) const CATEGORIES: [&str; 6] = [
    Tenant::CATEGORY,
    ServiceAccount::CATEGORY,
    RoleAssignment::CATEGORY,
    ApiKey::CATEGORY,
    User::CATEGORY,
    Invitation::CATEGORY,
];

/// Why a key whose secret is right, or a user with a session, has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPrincipal {
    /// The key is unknown, revoked or expired, or its account, the user or the tenant is not active.
    Refused,
    /// Events about the key, its account, the user or the tenant cannot be read: it is not known what they gave or took away.
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

/// The tenants, accounts, users, invitations, roles and keys of the log.
#[derive(Debug, Default)]
pub(crate) struct State {
    tenants: HashMap<Uuid, Folded<Tenant>>,
    accounts: BTreeMap<(TenantId, ServiceAccountId), Folded<ServiceAccount>>,
    assignments: HashMap<(TenantId, Uuid), Folded<RoleAssignment>>,
    /// Follows from the assignments.
    roles: HashMap<(TenantId, Holder), BTreeSet<Role>>,
    keys: BTreeMap<ApiKeyId, OwnedKey>,
    users: BTreeMap<(TenantId, UserId), Folded<User>>,
    invitations: BTreeMap<(TenantId, InvitationId), Folded<Invitation>>,
}

impl State {
    /// Applies an event. Each one is given once, and those of a stream in their order.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        let applied = match &*event.stream.category {
            // Streams of this category in other tenants have no meaning.
            Tenant::CATEGORY if tenant.is_reserved() => self.tenants.entry(id).or_default().apply(event),
            ServiceAccount::CATEGORY => self.accounts.entry((tenant.clone(), id.into())).or_default().apply(event),
            RoleAssignment::CATEGORY => self.apply_assignment(event),
            ApiKey::CATEGORY => self.apply_key(event),
            User::CATEGORY => self.users.entry((tenant.clone(), id.into())).or_default().apply(event),
            Invitation::CATEGORY => self.invitations.entry((tenant.clone(), id.into())).or_default().apply(event),
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
            ServiceAccount::CATEGORY => {
                self.accounts.entry((tenant.clone(), id.into())).or_default().is_unreadable = true;
            }
            RoleAssignment::CATEGORY => self.assignments.entry((tenant.clone(), id)).or_default().is_unreadable = true,
            ApiKey::CATEGORY => {
                if let Some(key) = self.own_key(stream) {
                    key.is_unreadable = true;
                }
            }
            User::CATEGORY => self.users.entry((tenant.clone(), id.into())).or_default().is_unreadable = true,
            Invitation::CATEGORY => {
                self.invitations.entry((tenant.clone(), id.into())).or_default().is_unreadable = true;
            }
            _ => {}
        }
    }

    fn apply_assignment(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        let tenant = &event.stream.tenant;
        let folded = self.assignments.entry((tenant.clone(), event.stream.id)).or_default();
        let applied = folded.apply(event);
        if let Some(Assignment { holder, role }) = folded.state.assignment {
            let is_granted = folded.readable().is_some_and(|assignment| assignment.is_granted);
            let roles = self.roles.entry((tenant.clone(), holder)).or_default();
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
        Ok(self.roles_of(tenant, Holder::ServiceAccount(account)))
    }

    /// The roles that are granted to a service account or a user, whether it is active or not.
    pub(crate) fn roles_of(&self, tenant: &TenantId, holder: Holder) -> Vec<Role> {
        self.roles.get(&(tenant.clone(), holder)).into_iter().flatten().copied().collect()
    }

    /// What a user may do in its tenant, whether it is active or not.
    pub(crate) fn roles_of_user(&self, tenant: &TenantId, user: UserId) -> PermissionSet {
        PermissionSet::of_roles(&self.roles_of(tenant, Holder::User(user)))
    }

    /// A user who is active, in an active tenant.
    ///
    /// # Errors
    /// [`NoPrincipal::Refused`] if either is not active, and [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn active_user(&self, tenant: &TenantId, id: UserId) -> Result<&User, NoPrincipal> {
        self.active_tenant(tenant)?;
        let user = self.users.get(&(tenant.clone(), id)).ok_or(NoPrincipal::Refused)?.required()?;
        if user.is_active() { Ok(user) } else { Err(NoPrincipal::Refused) }
    }

    /// The principal of a user whose session was checked.
    ///
    /// # Errors
    /// As [`State::active_user`].
    pub(crate) fn user_principal(
        &self,
        tenant: &TenantId,
        id: UserId,
        session: SessionId,
    ) -> Result<Principal, NoPrincipal> {
        self.active_user(tenant, id)?;
        Ok(Principal::user(tenant.clone(), id, session, self.roles_of_user(tenant, id)))
    }

    /// A user that exists or was deleted; none if there is none.
    ///
    /// # Errors
    /// [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn user(&self, tenant: &TenantId, id: UserId) -> Result<Option<&User>, NoPrincipal> {
        self.users.get(&(tenant.clone(), id)).map(Folded::required).transpose()
    }

    /// The users of a tenant with ids in a range, by id, without those that were deleted.
    pub(crate) fn users(
        &self,
        tenant: &TenantId,
        ids: impl RangeBounds<UserId>,
    ) -> impl Iterator<Item = (UserId, &User, Vec<Role>)> {
        self.users.range(own_range(tenant, &ids)).filter_map(|((tenant, id), user)| {
            let user = user.readable().filter(|user| !user.is_deleted)?;
            Some((*id, user, self.roles_of(tenant, Holder::User(*id))))
        })
    }

    /// The ids of the users who were deleted, of all tenants.
    pub(crate) fn deleted_users(&self) -> impl Iterator<Item = UserId> {
        let deleted = self.users.iter().filter(|(_, user)| user.readable().is_some_and(|user| user.is_deleted));
        deleted.map(|((_, id), _)| *id)
    }

    /// Whether there are events about an invitation, readable or not.
    pub(crate) fn has_invitation(&self, tenant: &TenantId, id: InvitationId) -> bool {
        self.invitations.contains_key(&(tenant.clone(), id))
    }

    /// The invitations of a tenant with ids in a range, by id.
    pub(crate) fn invitations(
        &self,
        tenant: &TenantId,
        ids: impl RangeBounds<InvitationId>,
    ) -> impl Iterator<Item = (InvitationId, &Invitation)> {
        let own = self.invitations.range(own_range(tenant, &ids));
        own.filter_map(|((_, id), invitation)| Some((*id, invitation.readable()?)))
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
            Some((key.1, account.readable()?, self.roles_of(&key.0, Holder::ServiceAccount(key.1))))
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

/// The two ends of a range of keys.
type Bounds<K> = (Bound<K>, Bound<K>);

/// The range of keys of one tenant with ids in a range.
fn own_range<I: Copy + From<Uuid>>(tenant: &TenantId, ids: &impl RangeBounds<I>) -> Bounds<(TenantId, I)> {
    let key = |id: &I| (tenant.clone(), *id);
    let or = |bound: Bound<&I>, unbounded: Uuid| match bound {
        Bound::Unbounded => Bound::Included((tenant.clone(), unbounded.into())),
        bound => bound.map(key),
    };
    (or(ids.start_bound(), Uuid::nil()), or(ids.end_bound(), Uuid::max()))
}

#[cfg(test)]
mod tests;
