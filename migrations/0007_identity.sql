-- What identities keep beside the log: hashes of API keys, never the keys. docs/adr/0019-identities.md gives the reasons.
-- `create index` at the end locks apex.streams against appends while it scans the table.

-- The key-encryption keys that hashes were made with. The keys themselves are in a file outside the database. A fingerprint
-- tells a process whether its file has the same key.
create table apex.key_encryption_keys (
    version integer not null primary key check (version >= 1),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    created_at timestamptz not null default clock_timestamp()
);
create trigger append_only before update or delete or truncate on apex.key_encryption_keys
    for each statement execute function apex.refuse_change();
grant select, insert on apex.key_encryption_keys to apex_app;

-- The row of a key is inserted before its event is appended, and is deleted once the key is revoked. A row without an
-- event authenticates nobody.
create table apex.api_key_secrets (
    key_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    hash bytea not null check (octet_length(hash) = 32),
    -- Whether the event is known to be in the log. It is a hint for the sweeper: the event decides.
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    -- To the hour.
    last_used_at timestamptz
);
create index api_key_secrets_unconfirmed on apex.api_key_secrets (created_at) where not is_confirmed;
grant select, insert, delete on apex.api_key_secrets to apex_app;
grant update (is_confirmed, last_used_at) on apex.api_key_secrets to apex_app;

-- The streams that grants are folded from at the start of a process. There are few of them among all streams. Migrations
-- run in a transaction, so that the index cannot be built concurrently: appends wait while the table is scanned.
create index streams_of_identities on apex.streams (category, tenant_id, stream_id)
    where category in ('tenant', 'service_account', 'role_assignment', 'api_key');
