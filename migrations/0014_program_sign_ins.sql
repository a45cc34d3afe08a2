-- How a person lets a program act for it, such as the command line: docs/adr/0026-command-line-and-mail.md. A row lives for minutes:
-- from when a program asks (device flow) or a person agrees (loopback flow) until the program has its session.

create table apex.program_sign_ins (
    sign_in_id uuid not null primary key,
    kind text not null check (kind in ('device', 'loopback')),
    key_encryption_key integer not null references apex.key_encryption_keys (version),
    -- Keyed hash of the code that the program presents for its session.
    code_hash bytea not null check (octet_length(code_hash) = 32),
    -- Keyed hash of the code that the person types; none in the loopback flow.
    user_code_hash bytea check (octet_length(user_code_hash) = 32),
    -- SHA-256 of the verifier that the program presents with its code; none in the device flow.
    challenge bytea check (octet_length(challenge) = 32),
    -- What asked, for the person to recognise. Personal, and deleted with the row.
    user_agent text check (octet_length(user_agent) <= 256),
    address text check (octet_length(address) <= 64),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    -- How long the program has to wait between two questions, and when it last asked.
    interval_seconds integer not null default 5 check (interval_seconds between 1 and 60),
    last_polled_at timestamptz,
    -- Who decided; none before.
    tenant_id text check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    user_id uuid,
    -- The session in which the person decided: the session of the program rests on the same credentials.
    session_id uuid,
    is_approved boolean,
    -- When the code was used, which it is once.
    redeemed_at timestamptz,
    check ((kind = 'device') = (user_code_hash is not null)),
    check ((kind = 'loopback') = (challenge is not null)),
    check ((tenant_id is null) = (is_approved is null) and (user_id is null) = (is_approved is null)
        and (session_id is null) = (is_approved is null))
);
create unique index program_sign_ins_user_code on apex.program_sign_ins (user_code_hash) where user_code_hash is not null;
create index program_sign_ins_expiry on apex.program_sign_ins (expires_at);
create index program_sign_ins_user on apex.program_sign_ins (user_id) where user_id is not null;
select apex.isolate_tenants('apex.program_sign_ins');
grant select, insert, delete on apex.program_sign_ins to apex_app;
grant update (interval_seconds, last_polled_at, tenant_id, user_id, session_id, is_approved, redeemed_at)
    on apex.program_sign_ins to apex_app;
