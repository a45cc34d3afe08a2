//! What a provider says of itself: its discovery document and its keys, kept for a bounded time.

use super::error::ProviderError;
use super::http::HttpClient;
use domain::error_with_causes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, IssuerUrl, ProviderMetadata};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the document and the keys are used before they are read again.
const MAX_AGE: Duration = Duration::from_hours(1);
/// How long they are used if they cannot be read again.
const MAX_STALE_AGE: Duration = Duration::from_hours(24);
/// How long a provider that could not be reached is not asked again.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// How often the keys are read again because of a token with an unknown key: so many times at once, then once in this time.
const REFETCHES_AT_ONCE: u32 = 3;
const REFETCH_INTERVAL: Duration = Duration::from_secs(20);
/// The longest message about a document that is logged, in bytes.
const MAX_MESSAGE_BYTES: usize = 500;

/// What a document says in addition to OpenID Connect Discovery.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IssuerParameter {
    /// Whether the provider always names itself in its answers (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for IssuerParameter {}

/// A discovery document with the keys.
pub(super) type Metadata = ProviderMetadata<
    IssuerParameter,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Instant)>,
    failure: Option<(String, Instant)>,
}

/// The discovery document and the keys of one provider, as this process knows them.
pub(super) struct MetadataCache {
    issuer: IssuerUrl,
    known: Mutex<Known>,
    /// One task at a time reads. The others wait for its result, not longer than a request may take.
    reading: tokio::sync::Mutex<()>,
    refetches: DefaultDirectRateLimiter,
}

impl MetadataCache {
    pub(super) fn new(issuer: IssuerUrl) -> Self {
        // The interval is a constant that is not zero.
        let quota = Quota::with_period(REFETCH_INTERVAL).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let refetches =
            RateLimiter::direct(quota.allow_burst(NonZeroU32::new(REFETCHES_AT_ONCE).unwrap_or(NonZeroU32::MIN)));
        Self { issuer, known: Mutex::default(), reading: tokio::sync::Mutex::default(), refetches }
    }

    fn with<T>(&self, use_known: impl FnOnce(&mut Known) -> T) -> T {
        use_known(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known and not older than a time.
    fn known(&self, max_age: Duration) -> Option<Arc<Metadata>> {
        self.with(|known| {
            let (metadata, read_at) = known.metadata.as_ref()?;
            (read_at.elapsed() <= max_age).then(|| metadata.clone())
        })
    }

    /// The document and the keys, at most [`MAX_AGE`] old; where they cannot be read, at most [`MAX_STALE_AGE`].
    pub(super) async fn get(&self, http: &HttpClient) -> Result<Arc<Metadata>, ProviderError> {
        if let Some(known) = self.known(MAX_AGE) {
            return Ok(known);
        }
        let _reading = self.reading.lock().await;
        if let Some(known) = self.known(MAX_AGE) {
            return Ok(known);
        }
        let read = match self.recent_failure() {
            Some(failure) => Err(ProviderError::FailedBefore(failure)),
            None => self.read(http).await,
        };
        read.or_else(|error| {
            let stale = self.known(MAX_STALE_AGE).ok_or(error)?;
            tracing::warn!(issuer = %self.issuer.as_str(), "the provider cannot be read: what it said before is used");
            Ok(stale)
        })
    }

    /// The document and the keys, read after those that lack the key of a token; none if they were read too often.
    pub(super) async fn newer_than(
        &self,
        http: &HttpClient,
        old: &Arc<Metadata>,
    ) -> Result<Option<Arc<Metadata>>, ProviderError> {
        let _reading = self.reading.lock().await;
        // Another request has read them meanwhile.
        if let Some(known) = self.known(MAX_AGE).filter(|known| !Arc::ptr_eq(known, old)) {
            return Ok(Some(known));
        }
        if self.refetches.check().is_err() {
            tracing::warn!(issuer = %self.issuer.as_str(), "the keys of the provider were read too often, and are not read again");
            return Ok(None);
        }
        self.read(http).await.map(Some)
    }

    fn recent_failure(&self) -> Option<String> {
        self.with(|known| {
            let recent = known.failure.as_ref().filter(|(_, at)| at.elapsed() <= FAILURE_PAUSE);
            recent.map(|(failure, _)| failure.clone())
        })
    }

    async fn read(&self, http: &HttpClient) -> Result<Arc<Metadata>, ProviderError> {
        let read = Metadata::discover_async(self.issuer.clone(), http).await.map_err(discovery_error);
        match read {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.with(|known| *known = Known { metadata: Some((metadata.clone(), Instant::now())), failure: None });
                Ok(metadata)
            }
            Err(error) => {
                self.with(|known| known.failure = Some((error_with_causes(&error), Instant::now())));
                Err(error)
            }
        }
    }
}

fn discovery_error(error: DiscoveryError<ProviderError>) -> ProviderError {
    match error {
        DiscoveryError::Request(error) => error,
        error => unusable("discovery document or key set", &error),
    }
}

/// The error that a document cannot be used. What a provider sends is cut.
pub(super) fn unusable(document: &'static str, error: &dyn std::error::Error) -> ProviderError {
    let mut message = error_with_causes(error);
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    ProviderError::Document { document, message }
}
