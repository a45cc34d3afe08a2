-- What a session rests on, and how many second factors were wrong. docs/adr/0022-people-and-sessions.md gives the reasons.
--
-- A session has the ids of the password and of the secret of one-time codes that the user's stream named when the user signed
-- in, none where there was none. The session that changes them has the ids after the change too. It is valid while the stream
-- names either pair. Sessions that began before this migration have neither: their users sign in again.
alter table apex.user_sessions
    add column password_id uuid,
    add column totp_id uuid,
    add column next_password_id uuid,
    add column next_totp_id uuid;
grant update (password_id, totp_id, next_password_id, next_totp_id) on apex.user_sessions to apex_app;

-- The codes and recovery codes that were wrong since the last right one, counted before each is checked.
alter table apex.user_totp_secrets
    add column failures integer not null default 0 check (failures >= 0),
    add column last_failure_at timestamptz;
grant update (failures, last_failure_at) on apex.user_totp_secrets to apex_app;

