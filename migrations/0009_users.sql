-- What is kept about people beside the log: names and addresses, which can be erased, secrets, and sessions.
-- docs/adr/0022-people-and-sessions.md gives the reasons. A row is inserted before its event is appended; a row without an
-- event authenticates nobody, and is deleted after an hour.

-- Who a user is. Deleted when the user is erased.
create table apex.user_profiles (
    user_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    -- Normalized: it is compared as it is.
    email text not null check (octet_length(email) between 3 and 254),
    display_name text check (octet_length(display_name) between 1 and 256),
    -- Whether the event is known to be in the log. It is a hint for the sweeper: the event decides.
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    -- When a person last asked for a link to set the password anew.
    reset_requested_at timestamptz
);
create unique index user_profiles_email on apex.user_profiles (tenant_id, email);
create index user_profiles_unconfirmed on apex.user_profiles (created_at) where not is_confirmed;
grant select, insert, delete on apex.user_profiles to apex_app;
grant update (email, display_name, is_confirmed, reset_requested_at) on apex.user_profiles to apex_app;

-- Hashes of passwords. The one that counts is named by the last event about the user's password.
create table apex.user_passwords (
    credential_id uuid not null primary key,
    user_id uuid not null,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    -- In the PHC string format, which names the algorithm and its parameters.
    hash text not null check (hash like '$argon2id$%' and octet_length(hash) <= 512),
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp()
);
create index user_passwords_user on apex.user_passwords (user_id);
create index user_passwords_unconfirmed on apex.user_passwords (created_at) where not is_confirmed;
grant select, insert, delete on apex.user_passwords to apex_app;
grant update (is_confirmed) on apex.user_passwords to apex_app;

-- Secrets of one-time codes (TOTP), encrypted under a key-encryption key.
create table apex.user_totp_secrets (
    credential_id uuid not null primary key,
    user_id uuid not null,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    sealed bytea not null check (octet_length(sealed) <= 256),
    -- The last time step whose code was accepted. Codes of it and of earlier ones are refused.
    last_step bigint not null default 0 check (last_step >= 0),
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp()
);
create index user_totp_secrets_user on apex.user_totp_secrets (user_id);
create index user_totp_secrets_unconfirmed on apex.user_totp_secrets (created_at) where not is_confirmed;
grant select, insert, delete on apex.user_totp_secrets to apex_app;
grant update (is_confirmed, last_step) on apex.user_totp_secrets to apex_app;

-- Keyed hashes of recovery codes, which replace a one-time code once. A row is deleted when its code is used.
create table apex.user_recovery_codes (
    credential_id uuid not null references apex.user_totp_secrets (credential_id) on delete cascade,
    hash bytea not null check (octet_length(hash) = 32),
    primary key (credential_id, hash)
);
grant select, insert, delete on apex.user_recovery_codes to apex_app;

-- Keyed hashes of the tokens in links: invitations, whose id is that of the invitation, and links that set a password.
create table apex.user_links (
    link_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    -- The user whose password the link sets; none for an invitation.
    user_id uuid,
    -- The address of the person who is invited; none for a link that sets a password. Erased with the row.
    email text check (octet_length(email) between 3 and 254),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    hash bytea not null check (octet_length(hash) = 32),
    is_confirmed boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    check ((user_id is null) <> (email is null))
);
create index user_links_unconfirmed on apex.user_links (created_at) where not is_confirmed;
create index user_links_expiry on apex.user_links (expires_at);
create index user_links_user on apex.user_links (user_id) where user_id is not null;
grant select, insert, delete on apex.user_links to apex_app;
grant update (is_confirmed) on apex.user_links to apex_app;

-- Sessions. They are rows and not events: there is one for each sign-in, and what they say is personal.
create table apex.user_sessions (
    session_id uuid not null primary key,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    user_id uuid not null,
    created_at timestamptz not null default clock_timestamp(),
    -- When its tokens were last renewed.
    last_used_at timestamptz not null default clock_timestamp(),
    -- The end of the session, however often its tokens are renewed.
    expires_at timestamptz not null,
    revoked_at timestamptz,
    -- The refresh token that is valid, by its number and keyed hash. It is replaced by compare-and-set.
    refresh_number bigint not null default 1 check (refresh_number >= 1),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    refresh_hash bytea not null check (octet_length(refresh_hash) = 32),
    refresh_expires_at timestamptz not null,
    user_agent text check (octet_length(user_agent) <= 256),
    address text check (octet_length(address) <= 64)
);
create index user_sessions_user on apex.user_sessions (user_id, created_at desc);
create index user_sessions_expiry on apex.user_sessions (expires_at);
grant select, insert, delete on apex.user_sessions to apex_app;
grant update (last_used_at, revoked_at, refresh_number, key_encryption_key, refresh_hash, refresh_expires_at, user_agent, address)
    on apex.user_sessions to apex_app;

-- The keys that access tokens are signed with: the private one encrypted under a key-encryption key.
create table apex.session_signing_keys (
    key_id uuid not null primary key,
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    sealed bytea not null check (octet_length(sealed) <= 256),
    public_key bytea not null check (octet_length(public_key) = 32),
    created_at timestamptz not null default clock_timestamp()
);
grant select, insert, delete on apex.session_signing_keys to apex_app;
