-- Sign-in by identity providers (OpenID Connect): who a user is there, beside the log, where it can be erased.
-- docs/adr/0025-sign-in-by-provider.md gives the reasons. A row is inserted before its event is appended; a row that no event
-- names is of nobody, and is deleted after an hour. Locks apex.user_profiles for a moment.

-- A user whom a provider names without a verified address has none.
alter table apex.user_profiles alter column email drop not null;

-- Identities: a subject of an issuer is one user of a tenant. Deleted when the user is erased.
create table apex.user_identities (
    identity_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    user_id uuid not null,
    -- The provider by which the identity was linked, as the settings name it.
    provider text not null check (provider ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(provider) <= 32),
    issuer text not null check (octet_length(issuer) between 1 and 512),
    subject text not null check (octet_length(subject) between 1 and 255),
    -- Whether the event is known to be in the log. It is a hint for the sweeper: the event decides.
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp()
);
create unique index user_identities_subject on apex.user_identities (tenant_id, issuer, subject);
create index user_identities_user on apex.user_identities (user_id);
create index user_identities_unconfirmed on apex.user_identities (created_at) where not is_confirmed;
grant select, insert, delete on apex.user_identities to apex_app;
grant update (is_confirmed) on apex.user_identities to apex_app;
select apex.isolate_tenants('apex.user_identities');

-- The sign-ins by a provider that came back, so that none comes back twice. What they are about is in a cookie of the browser,
-- and is refused once it has expired. Deleted after that.
create table apex.used_sign_in_states (
    state_id uuid not null primary key,
    expires_at timestamptz not null
);
create index used_sign_in_states_expiry on apex.used_sign_in_states (expires_at);
grant select, insert, delete on apex.used_sign_in_states to apex_app;
