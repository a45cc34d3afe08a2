-- The log accepts nothing that a reader could stumble over, whoever calls apex.append and however.
--
-- What has a form of its own is checked by constraints of apex.events. They hold for every partition, and for rows that
-- the owner writes; rows from before this migration are not looked at, so that it takes no time: readers pass over what
-- they cannot decode. What follows from other things is computed by apex.append: positions and versions come from the
-- locked rows and the events themselves, never from numbers that the caller sends. What the caller says of itself, it may
-- be wrong about to its own harm alone: the versions that it expects, and the receipts of its commands. Which types and
-- schema versions exist is the program's knowledge: an event of another one is parked by the read models.
--
-- The content hash is checked for its length only. To compute it here would take about a third of what an append takes;
-- `apex log verify` finds a wrong one.
--
-- Regular expressions are of the cheap kind, without counted repetitions: those made each check 20 times as expensive.
alter table apex.events
    add constraint events_stream_has_the_form check (
        tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63
        and category ~ '^[a-z][a-z0-9_]*$' and octet_length(category) <= 63
    ) not valid,
    add constraint events_type_has_the_form check (
        type ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' and octet_length(type) <= 127 and schema_version >= 1
    ) not valid,
    -- As much as a broker takes, see streams::append: a larger event would stop the relay.
    add constraint events_content_is_bounded check (
        json_typeof(payload) = 'object' and octet_length(payload::text) > 2
        and octet_length(payload::text) + octet_length(metadata::text) <= 900000
        and octet_length(content_hash) = 32
    ) not valid;

-- What the client sent, as a version byte and the first 16 bytes of a SHA-256: see streams::RequestHash. Null where it is
-- not known. A command that is sent again with other content is told apart by it.
alter table apex.streams add column first_request bytea;
alter table apex.receipts add column request bytea;

-- Whether two requests under one command id are different ones. What is not known, or was hashed in another way, counts as
-- the same.
create function apex.is_other_request(known bytea, given bytea) returns boolean
language sql immutable
return known <> given and get_byte(known, 0) = get_byte(given, 0);

drop function apex.append;

-- Appends a batch.
--
-- a_*: one entry an append: whose, by which command, whether all it does is to create one stream, how many events, the
--      hash of the request (null: not known), and the metadata of its events.
-- k_*: one entry a stream, in the order of its key (id, category, tenant), the same for all callers, and which append
--      creates it and does nothing else (null: none).
-- s_*: one entry for each stream that an append touches: the append, the stream, the version expected (-1: any), and how
--      many events the stream gets from earlier appends of the batch.
-- e_*: one entry an event in the order of their positions: its place in s_*, and the event itself.
--
-- No command may occur twice in a batch. An append may follow another on one stream; if it expects a version, then the
-- one that the other leaves behind.
--
-- Returns a row for each append that is not written: 'duplicate' with the positions of the first time, 'reused' with the
-- same where the request was another one, 'conflict' with the place of the stream in k_* and its version, 'again' for one
-- that follows others on a stream while something in the batch was refused: whether its turn came is for the next batch
-- to find out. Last, if anything is written, a row 'appended' of append 0 with the first position and the number of
-- events: they stand in the order of e_*.
--
-- Streams are locked in key order, then new ones are inserted in key order, the head comes last: batches never wait for
-- each other in a circle. Two processes that create one stream at the same moment, or use one command id for two
-- streams, meet in a primary key: the later batch fails with a unique violation, and finds out when it is tried again.
--
-- Plans are made while the tables are still empty, and are kept. Nested loops over index look-ups are right for any size,
-- so the planner gets no choice. What it is told not to do it costs at 1e10, which looks worth compiling: jit is off.
create function apex.append(
    a_tenant text[], a_command uuid[], a_creates boolean[], a_events integer[], a_request bytea[], a_metadata text[],
    k_tenant text[], k_category text[], k_stream uuid[], k_creator integer[],
    s_append integer[], s_key integer[], s_expected bigint[], s_before bigint[],
    e_entry integer[], e_id uuid[], e_type text[], e_schema_version smallint[], e_payload text[], e_hash bytea[]
) returns table (append integer, status text, first_position bigint, event_count integer,
                 conflict_key integer, current_version bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
    k_version bigint[]; -- null: the stream does not exist yet
    k_command uuid[];   -- the command that created it and did nothing else
    k_request bytea[];  -- what was sent with that command
    k_events bigint[] := array_fill(0::bigint, array[cardinality(k_stream)]); -- how many the stream gets
    e_place bigint[] := '{}'; -- among the events that the stream gets
    metadata json[] := a_metadata::json[];
    is_ordered boolean;
    is_consistent boolean;
    refused boolean;
    entry integer;
    place bigint;
    base bigint;
    now_at timestamptz;
begin
    select array_agg(st.version), array_agg(st.first_command), array_agg(st.first_request),
           bool_and((k = 1 or k_stream[k] > k_stream[k - 1]
                     or k_stream[k] = k_stream[k - 1] and (k_category[k] collate "C", k_tenant[k] collate "C")
                                                          > (k_category[k - 1], k_tenant[k - 1])) is true)
    into k_version, k_command, k_request, is_ordered
    from generate_subscripts(k_stream, 1) as k
    left join lateral (
        select st.version, st.first_command, st.first_request from apex.streams st
        where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
        for update
    ) as st on true;

    -- Only now, under the locks of its streams, can nobody be appending the same command at this moment. A command that
    -- only creates a stream is found by the stream.
    select bool_or(s_expected[s] >= 0 and s_expected[s] <> coalesce(k_version[s_key[s]], 0) + s_before[s]
                   or k_command[s_key[s]] = a_command[s_append[s]] and s = any (e_entry)
                   or not a_creates[s_append[s]] and exists (
                       select from apex.receipts r
                       where r.command_id = a_command[s_append[s]] and r.tenant_id = a_tenant[s_append[s]]
                   )),
           bool_and((k_tenant[s_key[s]] = a_tenant[s_append[s]]
                    and octet_length(a_metadata[s_append[s]]) <= 4096
                    and starts_with(a_metadata[s_append[s]], '{"actor":"')
                    and strpos(a_metadata[s_append[s]],
                               '","command_id":"' || a_command[s_append[s]] || '","correlation_id":"') > 11
                     and (a_request[s_append[s]] is null or octet_length(a_request[s_append[s]]) = 17)) is true)
    into refused, is_consistent
    from generate_subscripts(s_key, 1) as s;
    if is_ordered is not true then
        raise exception 'the streams of a batch are in the order of their ids, categories and tenants, each once'
            using errcode = 'invalid_parameter_value';
    end if;
    if is_consistent is not true then
        raise exception 'an append has streams of its own tenant, and metadata that begins with an actor, with the '
            'command id of the append, and with a correlation id, in at most 4096 bytes'
            using errcode = 'invalid_parameter_value';
    end if;

    if refused then
        for append, status, first_position, event_count, conflict_key, current_version in
            select distinct on (verdict.append) verdict.append, verdict.status, verdict.first_position,
                   verdict.event_count, verdict.conflict_key, verdict.current_version
            from (
                select a as append, case when apex.is_other_request(r.request, a_request[a]) then 'reused'
                                         else 'duplicate' end as status,
                       r.first_position, r.event_count,
                       null::integer as conflict_key, null::bigint as current_version, 0 as s
                from generate_subscripts(a_command, 1) as a
                join apex.receipts r on r.command_id = a_command[a] and r.tenant_id = a_tenant[a]
                where not a_creates[a]
                union all
                select s_append[s], case when apex.is_other_request(k_request[s_key[s]], a_request[s_append[s]])
                                         then 'reused' else 'duplicate' end,
                       coalesce(st.first_position, e.position), st.first_count, null, null, 0
                from generate_subscripts(s_key, 1) as s
                join apex.streams st on st.stream_id = k_stream[s_key[s]] and st.category = k_category[s_key[s]]
                    and st.tenant_id = k_tenant[s_key[s]]
                left join apex.events e on e.stream_id = st.stream_id and e.version = 1
                    and e.category = st.category and e.tenant_id = st.tenant_id
                where k_command[s_key[s]] = a_command[s_append[s]] and s = any (e_entry)
                union all
                select s_append[s], 'conflict', null, null, s_key[s], coalesce(k_version[s_key[s]], 0), s
                from generate_subscripts(s_key, 1) as s
                where s_expected[s] >= 0 and s_before[s] = 0 and s_expected[s] <> coalesce(k_version[s_key[s]], 0)
            ) as verdict
            order by verdict.append, verdict.s
        loop
            a_events[append] := 0;
            return next;
        end loop;

        for append, status, first_position, event_count, conflict_key, current_version in
            select distinct s_append[s], 'again', null::bigint, null::integer, null::integer, null::bigint
            from generate_subscripts(s_key, 1) as s
            where s_before[s] > 0 and a_events[s_append[s]] > 0
        loop
            a_events[append] := 0;
            return next;
        end loop;

        -- What is left is all there is: nothing of it follows anything.
        select array_agg(e_entry[e] order by e), array_agg(e_id[e] order by e), array_agg(e_type[e] order by e),
               array_agg(e_schema_version[e] order by e), array_agg(e_payload[e] order by e),
               array_agg(e_hash[e] order by e)
        into e_entry, e_id, e_type, e_schema_version, e_payload, e_hash
        from generate_subscripts(e_id, 1) as e
        where a_events[s_append[e_entry[e]]] > 0;
        if e_id is null then
            return;
        end if;
    end if;

    -- Each event gets the next version of its stream.
    foreach entry in array e_entry loop
        place := k_events[s_key[entry]] + 1;
        k_events[s_key[entry]] := place;
        e_place := e_place || place;
    end loop;

    -- New streams come with their final version, and with their receipt.
    if array_position(k_version, null) is not null then
        insert into apex.streams (tenant_id, category, stream_id, version, first_command, first_count, first_request)
        select k_tenant[k], k_category[k], k_stream[k], k_events[k], a_command[k_creator[k]], a_events[k_creator[k]],
               a_request[k_creator[k]]
        from generate_subscripts(k_stream, 1) as k
        where k_version[k] is null and k_events[k] > 0;
    end if;
    if array_remove(k_version, null) <> '{}' then
        update apex.streams st set version = k_version[k] + k_events[k]
        from generate_subscripts(k_stream, 1) as k
        where k_version[k] is not null and k_events[k] > 0
            and st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k];
    end if;

    update apex.head h
    set position = h.position + cardinality(e_id), recorded_at = greatest(clock_timestamp(), h.recorded_at)
    returning h.position - cardinality(e_id), h.recorded_at into base, now_at;

    -- A stream that did not exist had no row to lock. Who depends on its absence looks again, now that nobody else can
    -- commit, and begins anew where it was made in the meantime.
    if 0 = any (k_events) and exists (
        select from generate_subscripts(k_stream, 1) as k
        join lateral (
            select from apex.streams st
            where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
            offset 0
        ) as made on true
        where k_version[k] is null and k_events[k] = 0
    ) then
        raise exception 'a stream was made by another process at the same moment' using errcode = 'serialization_failure';
    end if;

    insert into apex.events (position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                             payload, metadata, recorded_at, content_hash)
    select base + e, k_tenant[s_key[e_entry[e]]], k_category[s_key[e_entry[e]]], k_stream[s_key[e_entry[e]]],
           coalesce(k_version[s_key[e_entry[e]]], 0) + e_place[e], e_id[e], e_type[e], e_schema_version[e],
           e_payload[e]::json, metadata[s_append[e_entry[e]]], now_at, e_hash[e]
    from generate_subscripts(e_id, 1) as e;

    if false = any (a_creates) then
        insert into apex.receipts (tenant_id, command_id, first_position, event_count, request)
        select a_tenant[placed.a], a_command[placed.a], base + 1 + placed.before, a_events[placed.a],
               a_request[placed.a]
        from (
            select a, sum(a_events[a]) over (order by a) - a_events[a] as before
            from generate_subscripts(a_events, 1) as a
        ) as placed
        where not a_creates[placed.a] and a_events[placed.a] > 0;
    end if;

    -- One a batch; what it misses is found by polling.
    perform pg_notify('apex_log', (base + cardinality(e_id))::text);

    append := 0;
    status := 'appended';
    first_position := base + 1;
    event_count := cardinality(e_id);
    conflict_key := null;
    current_version := null;
    return next;
end
$$;

revoke all on function apex.append, apex.is_other_request from public;
grant execute on function apex.append to apex_app;

-- Locks of what is made and indexed ahead of need. Rows that the application cannot lock on its own; the advisory locks
-- that these were could be held for ever by any session.
create table apex.locks (name text not null primary key);
insert into apex.locks values ('partitions'), ('indexes');

-- Makes partitions until `ahead` empty ones lie before the head; returns how many it made. For the owner.
create function apex.make_partitions(ahead integer) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    size bigint;
    head_position bigint;
    next_from bigint;
    next_number bigint;
    made integer := 0;
    partition_name text;
begin
    if ahead < 1 or ahead > 100 then
        raise exception 'ahead is 1 to 100, not %', ahead using errcode = 'invalid_parameter_value';
    end if;
    -- Whoever has nothing to make holds no lock.
    if (select max(p.to_position) from apex.partitions p)
        > (select h.position from apex.head h) + ahead * (select s.partition_size from apex.settings s)
    then
        return 0;
    end if;
    -- One at a time; released at the end of the transaction.
    perform from apex.locks l where l.name = 'partitions' for update;
    select s.partition_size into size from apex.settings s;
    select h.position into head_position from apex.head h;
    loop
        select coalesce(max(p.to_position), 1), coalesce(max(substring(p.name from 8)::bigint), -1) + 1
        into next_from, next_number from apex.partitions p;
        exit when next_from > head_position + ahead * size;
        partition_name := 'events_' || lpad(next_number::text, greatest(6, length(next_number::text)), '0');
        -- Made apart and attached: that hinders neither readers nor appends, while "partition of" would wait for every
        -- open transaction that has read the log, and everybody else behind it.
        execute format('create table apex.%I (like apex.events including defaults including constraints, '
                       'check (position >= %s and position < %s))',
                       partition_name, next_from, next_from + size);
        execute format('alter table apex.events attach partition apex.%I for values from (%s) to (%s)',
                       partition_name, next_from, next_from + size);
        execute format('create trigger append_only before update or delete or truncate on apex.%I '
                       'for each statement execute function apex.refuse_change()', partition_name);
        execute format('grant select on apex.%I to apex_app', partition_name);
        insert into apex.partitions (name, from_position, to_position)
        values (partition_name, next_from, next_from + size);
        made := made + 1;
    end loop;
    return made;
end
$$;

-- As before, but no more than 16: each of them is probed by whoever reads a stream. However often it is called, the head
-- is what they are counted from.
create or replace function apex.ensure_partitions(ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if ahead < 1 or ahead > 16 then
        raise exception 'ahead is 1 to 16, not %', ahead using errcode = 'invalid_parameter_value';
    end if;
    return apex.make_partitions(ahead);
end
$$;

create or replace function apex.set_partition_size(new_size bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    unused text;
begin
    perform from apex.locks l where l.name = 'partitions' for update;
    -- Appends at work end first, and none begins: what is beyond the head now stays empty until the end of this.
    lock table apex.events in access exclusive mode;
    update apex.settings set partition_size = new_size;
    for unused in
        select p.name from apex.partitions p where p.from_position > (select h.position from apex.head h)
    loop
        execute format('alter table apex.events detach partition apex.%I', unused);
        execute format('drop table apex.%I', unused);
        delete from apex.partitions p where p.name = unused;
    end loop;
    perform apex.make_partitions(2);
end
$$;

create or replace function apex.index_sealed_partition() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    sealed text;
begin
    -- Whoever has nothing to index holds no lock.
    if not exists (
        select from apex.partitions p join apex.head h on p.to_position <= h.position where not p.indexed
    ) then
        return null;
    end if;
    perform from apex.locks l where l.name = 'indexes' for update skip locked;
    if not found then
        return null;
    end if;
    select p.name into sealed
    from apex.partitions p join apex.head h on p.to_position <= h.position
    where not p.indexed
    order by p.from_position
    limit 1;
    if sealed is null then
        return null;
    end if;
    execute format('create index if not exists %I on apex.%I (category, position)', sealed || '_by_category', sealed);
    execute format('create index if not exists %I on apex.%I (tenant_id, category, position)',
                   sealed || '_by_tenant', sealed);
    -- A partition that is never written to again may never be looked at by autovacuum: without statistics a rare
    -- category looks like a frequent one.
    execute format('analyze apex.%I', sealed);
    update apex.partitions p set indexed = true where p.name = sealed;
    return sealed;
end
$$;

revoke all on function apex.make_partitions from public;

-- Decisions about parked events are recorded with the role that made them, which the application cannot choose, beside the
-- actor that it names; and they stay as they are.
alter table apex.parking_decisions
    add column session_role text,
    add column application_role text;
create trigger append_only before update or delete or truncate on apex.parking_decisions
    for each statement execute function apex.refuse_change();
revoke insert on apex.parking_decisions from apex_app;

-- Records a decision about an event that is parked.
create function apex.record_parking_decision(
    of_projection text, at_position bigint, decided text, decided_by text, because text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    tenant text;
begin
    select p.tenant_id into tenant from apex.parked_events p
    where p.projection = of_projection and p.position = at_position;
    if not found then
        raise exception 'no event of % is parked at position %', of_projection, at_position
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    if octet_length(trim(decided_by)) not between 1 and 256 or octet_length(because) > 65536 then
        raise exception 'a decision has an actor of 1 to 256 bytes and a reason of at most 65536'
            using errcode = 'invalid_parameter_value';
    end if;
    insert into apex.parking_decisions
        (projection, position, decision, actor, reason, tenant_id, session_role, application_role)
    values (of_projection, at_position, decided, decided_by, because, tenant, session_user,
            coalesce(nullif(current_setting('role'), 'none'), session_user));
end
$$;

revoke all on function apex.record_parking_decision from public;
grant execute on function apex.record_parking_decision to apex_app;
