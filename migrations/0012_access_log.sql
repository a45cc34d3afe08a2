-- Where requests came from, for the access log. Events have the id of an origin, so that what is personal about it can be
-- deleted without changing the log. docs/adr/0024-access-log.md gives the reasons.
create table apex.access_origins (
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    -- A keyed hash of the address and the device, so that equal origins have equal ids and none can be guessed.
    origin_id uuid not null,
    address text check (octet_length(address) <= 64),
    device text check (octet_length(device) <= 256),
    first_seen_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, origin_id)
);
create index access_origins_by_age on apex.access_origins (first_seen_at);

-- The origins that each credential was used from, so that a use is recorded once for each of them.
create table apex.credential_origins (
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    credential_id uuid not null,
    origin_id uuid not null,
    first_used_at timestamptz not null default clock_timestamp(),
    primary key (credential_id, origin_id)
);
grant select, insert, delete on apex.access_origins, apex.credential_origins to apex_app;

select apex.isolate_tenants('apex.access_origins');
select apex.isolate_tenants('apex.credential_origins');
