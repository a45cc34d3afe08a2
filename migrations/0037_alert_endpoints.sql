-- Where alerts are sent, beside the log, and deliveries as requests see them. docs/adr/0040-alert-delivery.md gives the reasons.

-- The addresses of endpoints, which may be secret or personal: sealed under a key-encryption key. A row is inserted before its
-- event is appended. One that no endpoint has (any more) is deleted when it is an hour old.
create table apex.alert_destinations (
    destination_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    sealed bytea not null check (octet_length(sealed) <= 8192),
    -- When it was inserted, by the last attempt of the command.
    created_at timestamptz not null default clock_timestamp()
);
select apex.isolate_tenants('apex.alert_destinations');
grant select, insert, delete on apex.alert_destinations to apex_app;
grant update (created_at) on apex.alert_destinations to apex_app;

create index jobs_alert_deliveries on apex.jobs (tenant_id, sequence) where kind = 'alert-delivery';

-- The deliveries of a tenant. Requests may not read jobs, whose payloads have sealed secrets of people: they read this view, with
-- the rights of its owner, of the tenant that the setting of their session names.
create view apex.alert_deliveries with (security_barrier) as
select
    j.tenant_id, j.sequence, j.job_id as delivery_id, (j.payload ->> 'endpoint_id')::uuid as endpoint_id,
    j.payload -> 'alert' ->> 'type' as alert_type, (j.payload -> 'alert' ->> 'budget_id')::uuid as budget_id,
    (j.payload -> 'alert' ->> 'threshold_percent')::integer as threshold_percent,
    j.state, j.attempts, j.last_error, j.created_at, j.available_at, j.finished_at
from apex.jobs j
where j.kind = 'alert-delivery' and j.tenant_id = (select current_setting('apex.tenant', true));
grant select on apex.alert_deliveries to apex_reader;
