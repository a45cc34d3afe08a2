//! The directory: who may do what, folded from the log in this process.
//!
//! It is no read model. Those lag behind the log, have several versions, and can be switched back; a grant that was revoked
//! must not return.

mod load;
mod state;

use crate::error::IdentityError;
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::permissions::{Access, Forbidden, ReadData, Role};
use domain::tenant::Tenant;
use domain::{Aggregate as _, ApiKeyId, ServiceAccountId, TenantId};
use load::load;
use sqlx::postgres::PgPool;
use state::{CATEGORIES, State};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use streams::{Log, Position, ReadFilter, RecordedEvent};
use tokio::sync::watch;

/// How outdated the directory may be when a credential is checked.
const MAX_STALENESS: Duration = Duration::from_secs(1);
/// The timeout for bringing it up to date, after which the credential is neither accepted nor refused.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the directory is brought up to date where nothing happens.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
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
    /// The roles of the account.
    pub roles: Vec<Role>,
}

/// An API key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The id of the key, which is the first part of its text.
    pub id: ApiKeyId,
    /// The account whose credential the key is.
    pub service_account_id: ServiceAccountId,
    /// The permissions that the key is restricted to; empty for all that the account has.
    pub scopes: Vec<String>,
    /// The time from which the key is refused, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the key was revoked.
    pub is_revoked: bool,
    /// When the key was last used, to the hour; none if it was not, or was revoked.
    pub last_used_at: Option<DateTime<Utc>>,
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
    /// The time up to which the state is known to have everything that was committed, beside what the tail says.
    complete_at: RwLock<Instant>,
    /// One task at a time brings the state up to date.
    refreshing: tokio::sync::Mutex<()>,
    /// Whether the state is up to date. It is sent with each change of the state, too.
    changes: watch::Sender<Currency>,
}

/// Whether the directory can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Currency {
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
        let state = load(pool, &log, log.head().await?).await?;
        let (state, complete_at) = (RwLock::new(state), RwLock::new(opened_at));
        let (refreshing, changes) = (tokio::sync::Mutex::default(), watch::Sender::new(Currency::Current));
        Ok(Self { log, state, complete_at, refreshing, changes })
    }

    fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The position up to which the events of the log are folded.
    fn position(&self) -> Position {
        self.with(State::position)
    }

    /// Whether everything that was committed more than a second ago is in the state.
    fn is_fresh(&self) -> bool {
        let tail = self.log.tail();
        // The staleness first: what the tail reads afterwards only adds to its head.
        let tail_is_fresh = tail.staleness() <= MAX_STALENESS;
        let own = self.complete_at.read().unwrap_or_else(PoisonError::into_inner).elapsed();
        (tail_is_fresh || own <= MAX_STALENESS) && self.position() >= tail.head()
    }

    /// Brings the state up to date: it has everything that was committed a second ago, or it fails.
    ///
    /// # Errors
    /// [`IdentityError::Read`] or [`IdentityError::Timeout`]: it cannot be said what was granted or revoked.
    pub async fn refresh(&self) -> Result<(), IdentityError> {
        if self.is_fresh() {
            return Ok(());
        }
        let refreshed = tokio::time::timeout(REFRESH_TIMEOUT, self.read_newer());
        refreshed.await.unwrap_or(Err(IdentityError::Timeout(REFRESH_TIMEOUT)))
    }

    async fn read_newer(&self) -> Result<(), IdentityError> {
        let _refreshing = self.refreshing.lock().await;
        while !self.is_fresh() {
            self.read_page().await?;
        }
        Ok(())
    }

    /// Brings the state up to a position of the log at least, such as that of a command of this process.
    ///
    /// # Errors
    /// As [`Directory::refresh`].
    pub async fn refresh_to(&self, position: Position) -> Result<(), IdentityError> {
        let reading = async {
            let _refreshing = self.refreshing.lock().await;
            while self.position() < position {
                self.read_page().await?;
            }
            Ok(())
        };
        let refreshed = tokio::time::timeout(REFRESH_TIMEOUT, reading).await;
        refreshed.unwrap_or(Err(IdentityError::Timeout(REFRESH_TIMEOUT)))
    }

    /// Applies the next events: those of the tail or, if it is behind, those of the database.
    async fn read_page(&self) -> Result<(), IdentityError> {
        let (after, tail, started_at) = (self.position(), self.log.tail(), Instant::now());
        let events: Vec<Arc<RecordedEvent>> = if after < tail.head() {
            tail.read_after(after, PAGE_EVENTS).await?
        } else {
            let events = self.log.read_after(after, &ReadFilter::default(), PAGE_EVENTS).await?;
            events.into_iter().map(Arc::new).collect()
        };
        match events.last() {
            Some(last) => self.apply(&events, last.position),
            None => *self.complete_at.write().unwrap_or_else(PoisonError::into_inner) = started_at,
        }
        Ok(())
    }

    fn apply(&self, events: &[Arc<RecordedEvent>], last: Position) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let own = events.iter().filter(|event| CATEGORIES.contains(&&*event.stream.category));
        let applied = own.inspect(|event| state.apply(event)).count();
        state.set_position(last);
        drop(state);
        if applied > 0 {
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
            let currency = match self.refresh().await {
                Ok(()) => Currency::Current,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the directory of identities is outdated");
                    Currency::Outdated
                }
            };
            self.changes.send_if_modified(|known| std::mem::replace(known, currency) != currency);
        }
    }

    /// Completes when a key gives another principal than this one, or when that cannot be found out any more.
    pub(crate) async fn ended(&self, id: ApiKeyId, principal: &Principal) {
        let mut changes = self.changes.subscribe();
        loop {
            let is_outdated = *changes.borrow_and_update() == Currency::Outdated;
            let (now, expires_at) = (Utc::now(), self.with(|state| state.expires_at(id)));
            if is_outdated || self.principal(id, now).as_ref() != Some(principal) {
                return;
            }
            let expiry = async {
                match expires_at {
                    // At most a day at once: a timer has an end.
                    Some(at) => tokio::time::sleep((at - now).to_std().unwrap_or_default().min(MAX_TIMER)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = expiry => {}
            }
        }
    }

    /// Whether there is a key with this id, in whatever state.
    pub(crate) fn knows(&self, id: ApiKeyId) -> bool {
        self.with(|state| state.knows(id))
    }

    /// Whether a tenant exists and is not suspended.
    #[must_use]
    pub fn is_active(&self, tenant: &TenantId) -> bool {
        self.with(|state| state.is_active(tenant))
    }

    /// The principal of a key whose secret was verified; none if the key, its account or its tenant is not active.
    pub(crate) fn principal(&self, id: ApiKeyId, now: DateTime<Utc>) -> Option<Principal> {
        self.with(|state| state.principal(id, now))
    }

    /// The tenants of the installation, by id.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not read them.
    pub fn tenants(&self, principal: &Principal) -> Result<Vec<TenantSummary>, Forbidden> {
        principal.authorise_on::<ReadData>(Tenant::CATEGORY, principal.tenant().stream_id())?;
        Ok(self.with(|state| {
            let tenants = state.tenants().into_iter();
            let summary = tenants.filter_map(|tenant| {
                Some(TenantSummary { id: tenant.tenant_id.clone()?, is_suspended: tenant.is_suspended })
            });
            summary.collect()
        }))
    }

    /// The service accounts of a tenant, by id.
    #[must_use]
    pub fn accounts(&self, access: &Access<ReadData>) -> Vec<AccountSummary> {
        self.with(|state| {
            let accounts = state.accounts(access.tenant());
            let summary = accounts.filter_map(|(id, account, roles)| {
                let name = account.name.as_ref()?.to_string();
                Some(AccountSummary { id, name, is_disabled: account.is_disabled, roles })
            });
            summary.collect()
        })
    }

    /// The API keys of a tenant, by id, without their last use; at most `limit`.
    pub(crate) fn keys(&self, access: &Access<ReadData>, limit: usize) -> Vec<KeySummary> {
        self.with(|state| {
            let summary = state.keys(access.tenant()).filter_map(|(id, key)| {
                let terms = key.terms.as_ref()?;
                Some(KeySummary {
                    id,
                    service_account_id: terms.service_account_id,
                    scopes: terms.scopes.iter().map(ToString::to_string).collect(),
                    expires_at: key.expires_at(),
                    is_revoked: key.is_revoked,
                    last_used_at: None,
                })
            });
            summary.take(limit).collect()
        })
    }
}
