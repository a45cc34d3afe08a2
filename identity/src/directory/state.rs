//! The fold of the grants: pure, so that its tests need no database.

mod admins;
mod folded;
mod grants;
mod lists;
mod people;
mod ranges;
mod review;

pub(crate) use admins::{Admin, Loss, makes_admin};
pub use grants::Origin;
pub(crate) use ranges::owned;
pub use review::{Basis, GrantBasis, NotAReviewKey, ReviewKey, ReviewRow, TeamBasis};

use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::ApiKey;
use domain::invitation::Invitation;
use domain::permissions::HeldPermissions;
use domain::rate_limits::RateLimits;
use domain::role_assignment::Holder;
use domain::service_account::ServiceAccount;
use domain::team::Member;
use domain::tenant::Tenant;
use domain::user::User;
use domain::{Aggregate, ApiKeyId, DecodeError, InvitationId, ServiceAccountId, TenantId, UserId};
use folded::Folded;
use grants::Grants;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use streams::{RecordedEvent, StreamKey};
use uuid::Uuid;

/// Whether events of a category are folded.
pub(crate) fn is_folded(category: &str) -> bool {
    let own = [
        Tenant::CATEGORY,
        ServiceAccount::CATEGORY,
        ApiKey::CATEGORY,
        RateLimits::CATEGORY,
        User::CATEGORY,
        Invitation::CATEGORY,
    ];
    own.contains(&category) || Grants::CATEGORIES.contains(&category)
}

/// Why a key whose secret is right, or a user with a session, has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPrincipal {
    /// The key is unknown, revoked or expired, or its account, the user or the tenant is not active.
    Refused,
    /// Events about the key, its account, the user or the tenant cannot be read: it is not known what they gave or took away.
    Unreadable,
}

/// An API key with the tenant it belongs to.
#[derive(Debug)]
struct OwnedKey {
    tenant: TenantId,
    key: Folded<ApiKey>,
}

/// The tenants, accounts, users, invitations, teams, roles and keys of the log.
#[derive(Debug, Default)]
pub(crate) struct State {
    tenants: HashMap<Uuid, Folded<Tenant>>,
    accounts: BTreeMap<(TenantId, ServiceAccountId), Folded<ServiceAccount>>,
    /// By the id of the tenant's stream.
    rate_limits: HashMap<Uuid, Folded<RateLimits>>,
    grants: Grants,
    keys: HashMap<ApiKeyId, OwnedKey>,
    /// The keys of each tenant. Follows from the keys, as does the next one.
    keys_of_tenant: BTreeSet<(TenantId, ApiKeyId)>,
    keys_of_account: BTreeSet<(TenantId, (ServiceAccountId, ApiKeyId))>,
    users: BTreeMap<(TenantId, UserId), Folded<User>>,
    invitations: BTreeMap<(TenantId, InvitationId), Folded<Invitation>>,
}

impl State {
    /// Applies an event. Each one is given once, and those of a stream in their order.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        let applied = match &*event.stream.category {
            // Streams of this category in other tenants have no meaning.
            Tenant::CATEGORY if tenant.is_reserved() => self.tenants.entry(id).or_default().apply(event).map(drop),
            RateLimits::CATEGORY if tenant.is_reserved() => {
                self.rate_limits.entry(id).or_default().apply(event).map(drop)
            }
            ServiceAccount::CATEGORY => {
                self.accounts.entry((tenant.clone(), id.into())).or_default().apply(event).map(drop)
            }
            ApiKey::CATEGORY => self.apply_key(event),
            User::CATEGORY => self.users.entry((tenant.clone(), id.into())).or_default().apply(event).map(drop),
            Invitation::CATEGORY => {
                self.invitations.entry((tenant.clone(), id.into())).or_default().apply(event).map(drop)
            }
            _ => self.grants.apply(event),
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
            ApiKey::CATEGORY => {
                if let Some(key) = self.own_key(stream) {
                    key.is_unreadable = true;
                }
            }
            User::CATEGORY => self.users.entry((tenant.clone(), id.into())).or_default().is_unreadable = true,
            Invitation::CATEGORY => {
                self.invitations.entry((tenant.clone(), id.into())).or_default().is_unreadable = true;
            }
            _ => self.grants.set_unreadable(stream),
        }
    }

    fn apply_key(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        // Ids of keys are unique in the installation: the stream of another tenant with the same id is not that key's.
        let Some(key) = self.own_key(&event.stream) else { return Ok(()) };
        let applied = key.apply(event).map(drop);
        let account = key.state.terms.as_ref().map(|terms| terms.service_account_id);
        let (tenant, id) = (&event.stream.tenant, ApiKeyId(event.stream.id));
        if let Some(account) = account {
            self.keys_of_tenant.insert((tenant.clone(), id));
            self.keys_of_account.insert((tenant.clone(), (account, id)));
        }
        applied
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

    /// Whether an account exists, can be read, and is not disabled.
    fn active_account(&self, tenant: &TenantId, account: ServiceAccountId) -> Result<(), NoPrincipal> {
        let state = self.accounts.get(&(tenant.clone(), account)).ok_or(NoPrincipal::Refused)?.required()?;
        if state.is_active() { Ok(()) } else { Err(NoPrincipal::Refused) }
    }

    /// Whether credentials of an account or a user can be accepted.
    fn is_active_member(&self, tenant: &TenantId, member: Member) -> bool {
        match member {
            Member::ServiceAccount(account) => self.active_account(tenant, account).is_ok(),
            Member::User(user) => self.enabled_user(tenant, user).is_ok(),
        }
    }

    /// The permissions that a holder has in a tenant by its own roles and by those of its teams. Whether the holder and the
    /// tenant are active is not looked at.
    pub(crate) fn permissions_of(&self, tenant: &TenantId, holder: Holder) -> HeldPermissions {
        self.grants.permissions_of(tenant, holder)
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
        self.active_account(tenant, account)?;
        let permissions = self.permissions_of(tenant, Holder::ServiceAccount(account));
        let principal =
            Principal::service_account(tenant.clone(), account, id, permissions, terms.scopes, terms.agent_id);
        Ok(match terms.team_id {
            // Of a team that was closed or cannot be read, no agents.
            Some(team) => principal.bound_to_team(self.grants.agents_of_team(tenant, team)),
            None => principal,
        })
    }

    /// The tenant that a key is of, whether the key is valid or not.
    pub(crate) fn tenant_of(&self, id: ApiKeyId) -> Option<&TenantId> {
        self.keys.get(&id).map(|owned| &owned.tenant)
    }

    /// The time from which a key is refused, if any.
    pub(crate) fn expires_at(&self, id: ApiKeyId) -> Option<DateTime<Utc>> {
        self.keys.get(&id)?.key.readable()?.expires_at()
    }
}

#[cfg(test)]
mod tests;
