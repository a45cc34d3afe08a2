//! The directory: who may do what, folded from the log in this process.
//!
//! It is no read model. Those lag behind the log, have several versions, and can be switched back; a grant that was revoked
//! must not return.

mod lists;
mod load;
mod people;
mod state;

pub(crate) use lists::LastAdmin;
pub use lists::{AssignmentSummary, MemberSummary, RoleSummary, TeamAgentSummary, TeamSummary};
pub use people::InvitationSummary;
pub(crate) use state::{Admin, Loss, NoPrincipal, makes_admin};
pub use state::{Basis, GrantBasis, NotAReviewKey, Origin, ReviewKey, ReviewRow, TeamBasis};

use crate::error::IdentityError;
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::ApiKey;
use domain::permissions::Scopes;
use domain::rate_limits::{LimitValues, LimitedSubject};
use domain::role_assignment::AssignedRole;
use domain::{AgentId, ApiKeyId, ServiceAccountId, SessionId, TeamId, TenantId, UserId};
use load::load;
use sqlx::postgres::PgPool;
use state::{State, is_folded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use streams::{Log, Position, ReadFilter, RecordedEvent};
use tokio::sync::watch;

/// How outdated the directory may be when a credential is checked.
const MAX_STALENESS: Duration = Duration::from_secs(1);
/// The timeout for bringing it up to date.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the directory is brought up to date where nothing happens. Together with the interval of the tail it is less
/// than the staleness that is accepted, so that requests find it up to date.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// The longest timer.
const MAX_TIMER: Duration = Duration::from_hours(24);
/// The number of events that are read at once.
const PAGE_EVENTS: usize = 1000;

/// A service account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The id of the account.
    pub id: ServiceAccountId,
    /// What the account is for.
    pub name: String,
    /// Whether the account is disabled.
    pub is_disabled: bool,
    /// The roles on the tenant that were granted to the account itself.
    pub roles: Vec<AssignedRole>,
}

/// An API key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The id of the key, which is the first part of its text.
    pub id: ApiKeyId,
    /// The account whose credential the key is.
    pub service_account_id: ServiceAccountId,
    /// The permissions that the key is restricted to, or all that the account has.
    pub scopes: Scopes,
    /// The agent that the key is bound to, if it is.
    pub agent_id: Option<AgentId>,
    /// The team whose agents the key is bound to, if it is.
    pub team_id: Option<TeamId>,
    /// The time from which the key is refused, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the key was revoked.
    pub is_revoked: bool,
    /// When the key was last used, to the hour; none if it was not, or was revoked.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl KeySummary {
    /// The key, without its last use; none if it was not created.
    fn of(id: ApiKeyId, key: &ApiKey) -> Option<Self> {
        let terms = key.terms.as_ref()?;
        Some(Self {
            id,
            service_account_id: terms.service_account_id,
            scopes: terms.scopes,
            agent_id: terms.agent_id,
            team_id: terms.team_id,
            expires_at: key.expires_at(),
            is_revoked: key.is_revoked,
            last_used_at: None,
        })
    }
}

/// A tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSummary {
    /// The id of the tenant.
    pub id: TenantId,
    /// Whether the tenant is suspended.
    pub is_suspended: bool,
}

/// Who may do what, as of the newest events. It is brought up to date when it is asked.
pub struct Directory {
    log: Log,
    state: RwLock<State>,
    /// The position up to which the events of the log are folded. Beside the state, so that events that are not about
    /// identities do not lock it.
    position: AtomicU64,
    /// The time up to which the state is known to have everything that was committed.
    complete_at: RwLock<Instant>,
    /// One task at a time brings the state up to date. A request waits for it only if the state is outdated.
    updating: tokio::sync::Mutex<()>,
    /// Whether the state is up to date. It is sent with each change of the state, too.
    changes: watch::Sender<Currency>,
}

/// Why a principal is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its credential ended, or gives other permissions than before.
    Ended,
    /// It cannot be found out at the moment whether its credential is valid.
    Unavailable,
}

/// Whether the directory can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    Current,
    Outdated,
}

impl Directory {
    /// Folds the grants that are in the log.
    ///
    /// # Errors
    /// [`IdentityError::Read`] if the log cannot be read.
    pub async fn open(pool: &PgPool, log: Log) -> Result<Self, IdentityError> {
        let opened_at = Instant::now();
        let head = log.head().await?;
        let state = load(pool, &log, head).await?;
        let (state, position) = (RwLock::new(state), AtomicU64::new(head.get()));
        let (complete_at, updating) = (RwLock::new(opened_at), tokio::sync::Mutex::default());
        let changes = watch::Sender::new(Currency::Current);
        Ok(Self { log, state, position, complete_at, updating, changes })
    }

    /// Changes whenever an event about identities is applied.
    pub(crate) fn changes(&self) -> watch::Receiver<Currency> {
        self.changes.subscribe()
    }

    fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The position up to which the events of the log are folded.
    fn position(&self) -> Position {
        Position::from(self.position.load(Ordering::Acquire))
    }

    /// Whether everything that was committed more than a second ago is in the state.
    fn is_fresh(&self) -> bool {
        self.complete_at.read().unwrap_or_else(PoisonError::into_inner).elapsed() <= MAX_STALENESS
    }

    /// Brings the state up to date: it has everything that was committed a second ago, or it fails.
    ///
    /// # Errors
    /// [`IdentityError::Read`] or [`IdentityError::Timeout`]: it cannot be said what was granted or revoked.
    pub async fn refresh(&self) -> Result<(), IdentityError> {
        if self.is_fresh() {
            return Ok(());
        }
        let refreshing = async {
            let _updating = self.updating.lock().await;
            // More than once only if the reading itself takes long.
            while !self.is_fresh() {
                self.read_newer().await?;
            }
            Ok(())
        };
        within_timeout(refreshing).await
    }

    /// Applies everything that is committed, as far as the tail knows, or the database if the tail is outdated.
    async fn read_newer(&self) -> Result<(), IdentityError> {
        let (tail, now) = (self.log.tail(), Instant::now());
        // The staleness first: what the tail reads afterwards only adds to its head.
        let staleness = tail.staleness();
        let (complete_at, head) = match now.checked_sub(staleness) {
            Some(complete_at) if staleness <= MAX_STALENESS => (complete_at, tail.head()),
            Some(_) | None => (now, self.log.head().await?),
        };
        self.read_to(head).await?;
        *self.complete_at.write().unwrap_or_else(PoisonError::into_inner) = complete_at;
        Ok(())
    }

    /// Brings the state up to a position of the log at least, such as that of a command of this process.
    ///
    /// # Errors
    /// As [`Directory::refresh`].
    pub async fn refresh_to(&self, position: Position) -> Result<(), IdentityError> {
        within_timeout(async {
            let _updating = self.updating.lock().await;
            self.read_to(position).await
        })
        .await
    }

    /// Applies the events up to a committed position: those of the tail or, if it is behind, those of the database. Only
    /// while `updating` is locked.
    async fn read_to(&self, position: Position) -> Result<(), IdentityError> {
        let tail = self.log.tail();
        loop {
            let after = self.position();
            if after >= position {
                return Ok(());
            }
            let events: Vec<Arc<RecordedEvent>> = if after < tail.head() {
                tail.read_after(after, PAGE_EVENTS).await?
            } else {
                let events = self.log.read_after(after, &ReadFilter::default(), PAGE_EVENTS).await?;
                events.into_iter().map(Arc::new).collect()
            };
            self.apply(&events);
        }
    }

    fn apply(&self, events: &[Arc<RecordedEvent>]) {
        let Some(last) = events.last() else { return };
        let is_own = |event: &&Arc<RecordedEvent>| is_folded(&event.stream.category);
        let own: Vec<_> = events.iter().filter(is_own).collect();
        if !own.is_empty() {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            own.iter().for_each(|event| state.apply(event));
        }
        self.position.store(last.position.get(), Ordering::Release);
        if !own.is_empty() {
            self.changes.send_modify(|_| {});
        }
    }

    /// Follows the log for ever, so that open connections learn what changed.
    pub(crate) async fn follow(&self) {
        loop {
            // Without new events too, to find out that the log cannot be read.
            let waiting = self.log.tail().wait_beyond(self.position());
            if let Ok(Err(error)) = tokio::time::timeout(FOLLOW_INTERVAL, waiting).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the tail has ended");
                tokio::time::sleep(FOLLOW_INTERVAL).await;
            }
            let updated = within_timeout(async {
                let _updating = self.updating.lock().await;
                self.read_newer().await
            });
            let Err(error) = updated.await else {
                self.set_currency(Currency::Current);
                continue;
            };
            // While the state is recent enough, nothing is lost yet.
            if !self.is_fresh() && self.set_currency(Currency::Outdated) {
                tracing::warn!(error = &error as &dyn std::error::Error, "the directory of identities is outdated");
            }
            tokio::time::sleep(FOLLOW_INTERVAL).await;
        }
    }

    /// Returns whether it was another before.
    fn set_currency(&self, currency: Currency) -> bool {
        self.changes.send_if_modified(|known| std::mem::replace(known, currency) != currency)
    }

    /// Completes when a key gives another principal than this one, or when that cannot be found out any more.
    pub(crate) async fn ended(&self, id: ApiKeyId, principal: &Principal) -> EndReason {
        let mut changes = self.changes.subscribe();
        loop {
            if *changes.borrow_and_update() == Currency::Outdated {
                return EndReason::Unavailable;
            }
            let (now, expires_at) = (Utc::now(), self.with(|state| state.expires_at(id)));
            match self.principal(id, now) {
                Ok(current) if current == *principal => {}
                Ok(_) | Err(NoPrincipal::Refused) => return EndReason::Ended,
                Err(NoPrincipal::Unreadable) => return EndReason::Unavailable,
            }
            let expiry = async {
                match expires_at {
                    // At most a day at once: a timer has an end.
                    Some(at) => tokio::time::sleep((at - now).to_std().unwrap_or_default().min(MAX_TIMER)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is in this directory.
                changed = changes.changed() => if changed.is_err() { return EndReason::Unavailable },
                () = expiry => {}
            }
        }
    }

    /// Completes when a session gives another principal than this one because of its user or tenant, or when that cannot be
    /// found out any more. Whether the session itself ended is found out elsewhere.
    pub(crate) async fn user_ended(&self, id: UserId, session: SessionId, principal: &Principal) -> EndReason {
        let mut changes = self.changes.subscribe();
        loop {
            if *changes.borrow_and_update() == Currency::Outdated {
                return EndReason::Unavailable;
            }
            match self.user_principal(principal.tenant(), id, session) {
                Ok(current) if current == *principal => {}
                Ok(_) | Err(NoPrincipal::Refused) => return EndReason::Ended,
                Err(NoPrincipal::Unreadable) => return EndReason::Unavailable,
            }
            // The sender is in this directory.
            if changes.changed().await.is_err() {
                return EndReason::Unavailable;
            }
        }
    }

    /// Completes when a tenant is suspended, or when it cannot be found out whether it is. The state may be outdated
    /// meanwhile: a connection that only the tenant can end is kept until the log can be read again.
    pub(crate) async fn tenant_ended(&self, tenant: &TenantId) -> EndReason {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            match self.is_suspended(tenant) {
                Ok(false) => {}
                Ok(true) => return EndReason::Ended,
                Err(_) => return EndReason::Unavailable,
            }
            if changes.changed().await.is_err() {
                return EndReason::Unavailable;
            }
        }
    }

    /// The rate limits that are set for a tenant as a whole, and for one of its credentials.
    #[must_use]
    pub fn rate_limits(&self, tenant: &TenantId, subject: Option<LimitedSubject>) -> (LimitValues, LimitValues) {
        self.with(|state| {
            let limits = state.rate_limits(tenant);
            limits.map(|limits| (limits.tenant, limits.of_subject(subject))).unwrap_or_default()
        })
    }

    /// Whether there is an API key in any tenant, in whatever state.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.with(State::has_keys)
    }

    /// Whether a tenant was created and is suspended.
    pub(crate) fn is_suspended(&self, tenant: &TenantId) -> Result<bool, NoPrincipal> {
        self.with(|state| state.is_suspended(tenant))
    }

    /// Whether a tenant exists and is not suspended.
    #[must_use]
    pub fn is_active(&self, tenant: &TenantId) -> bool {
        self.with(|state| state.is_active(tenant))
    }

    /// The tenant that a key is of, whether the key is valid or not.
    pub(crate) fn tenant_of(&self, id: ApiKeyId) -> Option<TenantId> {
        self.with(|state| state.tenant_of(id).cloned())
    }

    /// The principal of a key whose secret was verified.
    ///
    /// # Errors
    /// [`NoPrincipal`] if the key, its account or its tenant is not active, or if that is not known.
    pub(crate) fn principal(&self, id: ApiKeyId, now: DateTime<Utc>) -> Result<Principal, NoPrincipal> {
        self.with(|state| state.principal(id, now))
    }
}

/// Limits the time of reading.
async fn within_timeout(reading: impl Future<Output = Result<(), IdentityError>>) -> Result<(), IdentityError> {
    tokio::time::timeout(REFRESH_TIMEOUT, reading).await.unwrap_or(Err(IdentityError::Timeout(REFRESH_TIMEOUT)))
}
