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


-- Roles may be granted on single agents, so that an access may be limited to several of them. Otherwise the function is the one
-- of 0010.
drop function apex.find_memories;
create function apex.find_memories(
    search text, only_ids uuid[], visible_to uuid, in_realm text, with_tag text, readers uuid[],
    after_time timestamptz, after_id uuid, max_memories bigint
) returns table (
    tenant_id text, memory_id uuid, agent_id uuid, content text, tags text[], realm text, recalls bigint,
    stored_at timestamptz, recalled_at timestamptz, forgotten_at timestamptz, version bigint, "position" bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    own_tenant text := current_setting('apex.tenant', true);
    words_to_find tsquery := websearch_to_tsquery('simple', search);
begin
    return query
        select m.tenant_id, m.memory_id, m.agent_id, m.content, m.tags, m.realm, m.recalls, m.stored_at, m.recalled_at,
               m.forgotten_at, m.version, m.position
        from apex.memories m
        where m.tenant_id = own_tenant and m.words @@ words_to_find
            and (cardinality(only_ids) = 0 and m.forgotten_at is null or m.memory_id = any (only_ids))
            and (visible_to is null or m.agent_id = visible_to or m.realm <> 'private')
            and (readers is null or m.agent_id = any (readers) or m.realm <> 'private')
            and (in_realm is null or m.realm = in_realm) and (with_tag is null or with_tag = any (m.tags))
            and (after_time is null or (m.stored_at, m.memory_id) > (after_time, after_id))
        order by m.stored_at, m.memory_id
        limit max_memories;
end
$$;
revoke all on function apex.find_memories from public;
grant execute on function apex.find_memories to apex_reader;
