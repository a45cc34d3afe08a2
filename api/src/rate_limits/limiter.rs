//! The limits in force, and what is left of them.

use super::bucket::{Bucket, WINDOW};
use super::defaults::DefaultLimits;
use super::limited::{Limited, Scope, seconds};
use super::open::{OpenCounts, OpenSubscription};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use commands::{Principal, Subject};
use domain::TenantId;
use domain::rate_limits::{LimitAmount, LimitValues, LimitedResource, LimitedSubject};
use identity::Identities;
use metrics::{counter, describe_counter};
use moka::sync::Cache;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The maximum number of buckets in memory, of about 300 bytes each.
const MAX_BUCKETS: u64 = 100_000;
/// How long a bucket is kept without being used: it is full again before.
const IDLE: Duration = WINDOW.saturating_add(Duration::from_secs(1));
/// How long a client is told to wait for a subscription to end.
const RETRY_OPEN: Duration = Duration::from_secs(1);

/// The headers of draft-ietf-httpapi-ratelimit-headers-11.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit");

/// Whose a bucket or an open subscription is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Address(IpAddr),
    Tenant(TenantId),
    /// A credential of a tenant. All shared tokens of the settings are one.
    Subject(TenantId, Option<LimitedSubject>),
}

impl Owner {
    fn scope(&self) -> Scope {
        match self {
            Self::Address(_) => Scope::Address,
            Self::Tenant(_) => Scope::Tenant,
            Self::Subject(..) => Scope::Subject,
        }
    }
}

/// A limit of a caller, and what is left of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitUsage {
    pub(crate) scope: Scope,
    pub(crate) resource: LimitedResource,
    pub(crate) limit: LimitAmount,
    pub(crate) remaining: u32,
    /// The time in which an empty bucket is full again; none for what is open at the same time.
    pub(crate) window: Option<Duration>,
}

/// The limits of this process, with what is left of them.
pub(crate) struct RateLimiter {
    defaults: DefaultLimits,
    identities: Identities,
    buckets: Cache<(Owner, LimitedResource), Arc<Bucket>>,
    open: Arc<OpenCounts<Owner>>,
}

/// The credential of a principal.
fn subject(principal: &Principal) -> Option<LimitedSubject> {
    match principal.subject() {
        Subject::ServiceAccount { key, .. } => Some(LimitedSubject::ApiKey(*key)),
        Subject::SharedToken { .. } | Subject::CommandLine | Subject::Component(_) => None,
    }
}

impl RateLimiter {
    pub(crate) fn new(defaults: DefaultLimits, identities: Identities) -> Self {
        let buckets = Cache::builder().max_capacity(MAX_BUCKETS).time_to_idle(IDLE).build();
        Self { defaults, identities, buckets, open: Arc::default() }
    }

    /// The limits of a caller: those of its credential before those of its tenant, which all of its credentials share, so
    /// that what the first refuses is not taken from the others.
    fn limits(&self, principal: &Principal) -> [(Owner, LimitValues); 2] {
        let (tenant, subject) = (principal.tenant(), subject(principal));
        let (of_tenant, of_subject) = self.identities.directory().rate_limits(tenant, subject);
        [
            (Owner::Subject(tenant.clone(), subject), of_subject.or(self.defaults.subject)),
            (Owner::Tenant(tenant.clone()), of_tenant.or(self.defaults.tenant)),
        ]
    }

    /// The bucket of an owner. One of another amount, because the limit was changed, is replaced by a full one.
    fn bucket(&self, owner: Owner, resource: LimitedResource, amount: LimitAmount) -> Arc<Bucket> {
        let new = || Arc::new(Bucket::new(amount));
        self.buckets.entry((owner, resource)).or_insert_with_if(new, |known| known.amount != amount).into_value()
    }

    fn take(&self, owner: Owner, resource: LimitedResource, limit: LimitAmount, units: u64) -> Result<(), Limited> {
        let scope = owner.scope();
        let taken = self.bucket(owner, resource, limit).take(units);
        taken.map_err(|refused| count(Limited::by_bucket(scope, resource, limit, refused)))?;
        counter!("apex_rate_limit_used_total", "scope" => scope.key(), "resource" => resource.key()).increment(units);
        Ok(())
    }

    /// Takes from what an address may request. It is asked before the credential is.
    pub(crate) fn request_of_address(&self, address: IpAddr) -> Result<(), Limited> {
        let Some(limit) = self.defaults.address_requests else { return Ok(()) };
        self.take(Owner::Address(address), LimitedResource::Requests, limit, 1)
    }

    /// Takes from what a caller may use in a minute.
    pub(crate) fn take_from(
        &self,
        principal: &Principal,
        resource: LimitedResource,
        units: u64,
    ) -> Result<(), Limited> {
        for (owner, limits) in self.limits(principal) {
            if let Some(limit) = limits.of(resource) {
                self.take(owner, resource, limit, units)?;
            }
        }
        Ok(())
    }

    /// Counts a subscription of a caller as open.
    pub(crate) fn open_subscription(&self, principal: &Principal) -> Result<OpenSubscription, Limited> {
        let resource = LimitedResource::Subscriptions;
        let limits = self.limits(principal).map(|(owner, limits)| (owner, limits.of(resource)));
        let opened = self.open.try_open(limits.clone().map(|(owner, limit)| (owner, limit.map(LimitAmount::get))));
        opened.map_err(|full| {
            let (scope, limit) =
                limits.get(full).map_or((Scope::Tenant, None), |(owner, limit)| (owner.scope(), *limit));
            // Only a limit is reached.
            let limit = limit.unwrap_or(LimitAmount::ONE);
            count(Limited { scope, resource, limit, retry_after: Some(RETRY_OPEN) })
        })
    }

    /// What is left of the limits of a caller.
    pub(crate) fn usage(&self, principal: &Principal) -> Vec<LimitUsage> {
        let mut usage = Vec::new();
        for (owner, limits) in self.limits(principal) {
            for resource in LimitedResource::ALL {
                let Some(limit) = limits.of(resource) else { continue };
                let (remaining, window) = match resource {
                    LimitedResource::Subscriptions => (limit.get().saturating_sub(self.open.count(&owner)), None),
                    _ => (self.bucket(owner.clone(), resource, limit).remaining(), Some(WINDOW)),
                };
                usage.push(LimitUsage { scope: owner.scope(), resource, limit, remaining, window });
            }
        }
        usage
    }

    /// Adds the headers about what is left of the limits of a caller.
    pub(crate) fn add_headers(&self, principal: &Principal, headers: &mut HeaderMap) {
        for (owner, limits) in self.limits(principal) {
            for resource in [LimitedResource::Requests, LimitedResource::IngestBytes] {
                if let Some(limit) = limits.of(resource) {
                    add_headers(&self.bucket(owner.clone(), resource, limit), owner.scope(), resource, headers);
                }
            }
        }
    }

    /// Adds the headers about what is left of the limit of an address.
    pub(crate) fn add_address_headers(&self, address: IpAddr, headers: &mut HeaderMap) {
        if let Some(limit) = self.defaults.address_requests {
            let bucket = self.bucket(Owner::Address(address), LimitedResource::Requests, limit);
            add_headers(&bucket, Scope::Address, LimitedResource::Requests, headers);
        }
    }
}

/// Adds an item to the lists of both headers. The unit of complexity is none of those that the draft registers.
fn add_headers(bucket: &Bucket, scope: Scope, resource: LimitedResource, headers: &mut HeaderMap) {
    let name = format!("\"{}-{}\"", scope.key(), resource.key());
    let unit = if resource == LimitedResource::IngestBytes { ";qu=\"content-bytes\"" } else { "" };
    let policy = format!("{name};q={}{unit};w={}", bucket.amount, WINDOW.as_secs());
    let remaining = format!("{name};r={};t={}", bucket.remaining(), seconds(bucket.reset_after()));
    for (header, value) in [(POLICY, policy), (REMAINING, remaining)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(header, value);
        }
    }
}

fn count(limited: Limited) -> Limited {
    let (scope, resource) = (limited.scope.key(), limited.resource.key());
    counter!("apex_rate_limited_total", "scope" => scope, "resource" => resource).increment(1);
    limited
}

/// Describes the metrics of rate limits, and registers the counters of refusals at zero.
pub(crate) fn register_metrics() {
    describe_counter!(
        "apex_rate_limited_total",
        "Requests that a limit refused, by whose limit it is and what is limited."
    );
    describe_counter!(
        "apex_rate_limit_used_total",
        "What was taken from limits, by whose limit it is and what is limited."
    );
    for (scope, resource) in Scope::ALL.into_iter().flat_map(|scope| LimitedResource::ALL.map(|kind| (scope, kind))) {
        if scope == Scope::Address && resource != LimitedResource::Requests {
            continue;
        }
        counter!("apex_rate_limited_total", "scope" => scope.key(), "resource" => resource.key()).increment(0);
    }
}
