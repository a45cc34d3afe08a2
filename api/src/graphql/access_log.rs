//! Where the requests in access logs came from. The events of access logs are read as all events are.

use super::errors;
use super::scalars::{Timestamp, Uid};
use super::services::{authorise, services};
use async_graphql::{Context, Object, Result, SimpleObject};
use domain::OriginId;
use domain::permissions::ReadAccessLog;
use identity::KnownOrigin;

/// The maximum number of origins that a query returns.
const MAX_ORIGINS: usize = 100;

/// Where requests came from.
#[derive(Debug, SimpleObject)]
pub(crate) struct AccessOrigin {
    /// UUID of the origin, as it occurs in events of the access log.
    uuid: Uid,
    /// IP address of the client; of IPv6, the network of 64 bits. Null if it is not known.
    address: Option<String>,
    /// What the client said that it is: the header `User-Agent`. Null if it sent none.
    device: Option<String>,
    /// Time at which a request from there was first recorded.
    first_seen_at: Timestamp,
}

impl From<KnownOrigin> for AccessOrigin {
    fn from(origin: KnownOrigin) -> Self {
        let KnownOrigin { id, address, device, first_seen_at } = origin;
        Self { uuid: id.0.into(), address, device, first_seen_at: first_seen_at.into() }
    }
}

/// Queries for access logs.
#[derive(Default)]
pub(crate) struct AccessLogQuery;

#[Object]
impl AccessLogQuery {
    /// Reads where requests in the access log of the tenant came from. The access log itself is the events of the category
    /// `access_log`, see `events`. Origins that were deleted are not returned.
    #[graphql(complexity = "uuids.len() * child_complexity")]
    async fn access_origins(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "UUIDs of at most 100 origins.")] uuids: Vec<Uid>,
    ) -> Result<Vec<AccessOrigin>> {
        let access = authorise::<ReadAccessLog>(ctx)?;
        if uuids.len() > MAX_ORIGINS {
            let message = format!("uuids has {} values, and the limit is {MAX_ORIGINS}", uuids.len());
            return Err(errors::bad_input("TOO_MANY_VALUES", message));
        }
        let ids: Vec<_> = uuids.into_iter().map(|id| OriginId(id.0)).collect();
        let origins = services(ctx)?.identities.origins(&access, &ids).await;
        Ok(origins.map_err(|error| errors::identities(&error))?.into_iter().map(AccessOrigin::from).collect())
    }
}
