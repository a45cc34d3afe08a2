//! The tables of origins, beside the log.

use crate::client::Client;
use crate::error::IdentityError;
use chrono::{DateTime, Utc};
use domain::{OriginId, TenantId};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// Where requests came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrigin {
    /// The id in events of the access log.
    pub id: OriginId,
    /// The IP address.
    pub address: Option<String>,
    /// What the client said that it is.
    pub device: Option<String>,
    /// When a request from there was first recorded.
    pub first_seen_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct OriginRow {
    origin_id: Uuid,
    address: Option<String>,
    device: Option<String>,
    first_seen_at: DateTime<Utc>,
}

/// Where requests of a tenant came from, for those ids that are known, by id.
pub(crate) async fn read_origins(
    pool: &PgPool,
    tenant: &TenantId,
    ids: &[OriginId],
) -> Result<Vec<KnownOrigin>, IdentityError> {
    let rows: Vec<OriginRow> = sqlx::query_as(
        "select origin_id, address, device, first_seen_at from apex.access_origins
         where tenant_id = $1 and origin_id = any ($2) order by origin_id",
    )
    .bind(tenant.as_str())
    .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let known = |OriginRow { origin_id, address, device, first_seen_at }| KnownOrigin {
        id: OriginId(origin_id),
        address,
        device,
        first_seen_at,
    };
    Ok(rows.into_iter().map(known).collect())
}

pub(super) async fn insert_origins<'a>(
    pool: &PgPool,
    origins: impl Iterator<Item = (&'a TenantId, Uuid, &'a Client)>,
) -> Result<(), IdentityError> {
    let (mut tenants, mut ids, mut addresses, mut devices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (tenant, id, client) in origins {
        tenants.push(tenant.as_str());
        ids.push(id);
        addresses.push(client.address().map(|address| address.to_string()));
        devices.push(client.user_agent());
    }
    sqlx::query(
        "insert into apex.access_origins (tenant_id, origin_id, address, device)
         select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) on conflict do nothing",
    )
    .bind(tenants)
    .bind(ids)
    .bind(addresses)
    .bind(devices)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn known_uses(pool: &PgPool, uses: &[(Uuid, Uuid)]) -> Result<Vec<(Uuid, Uuid)>, IdentityError> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let (credentials, origins): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
    let known = sqlx::query_as(
        "select credential_id, origin_id from apex.credential_origins
         where (credential_id, origin_id) in (select * from unnest($1::uuid[], $2::uuid[]))",
    );
    Ok(known.bind(credentials).bind(origins).fetch_all(pool).await?)
}

pub(super) async fn insert_uses(pool: &PgPool, tenant: &TenantId, uses: &[(Uuid, Uuid)]) -> Result<(), IdentityError> {
    if uses.is_empty() {
        return Ok(());
    }
    let (credentials, origins): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
    sqlx::query(
        "insert into apex.credential_origins (tenant_id, credential_id, origin_id)
         select $1, * from unnest($2::uuid[], $3::uuid[]) on conflict do nothing",
    )
    .bind(tenant.as_str())
    .bind(credentials)
    .bind(origins)
    .execute(pool)
    .await?;
    Ok(())
}
