-- Appending: apex.append, the only function that writes events.
--
-- For every caller, it refuses an event that a reader could not decode. Positions and versions are computed from the
-- locked rows and the events, never taken from the caller. A wrong statement about the versions that it expects, or
-- about the receipts of its commands, can only harm the caller itself.
--
-- A batch locks the streams that it changes. The version of a stream that it only reads is read without a lock, and
-- compared again once the head is locked: from then on no other batch can commit. So two batches that read one common
-- stream do not wait for each other. That a stream does not exist yet is a version like any other.
--
-- The target of a command is the first of its streams. If a command creates its target and can do nothing else, the row
-- of the target is its receipt. Every other command is found in apex.receipts by tenant and command id, even if a retry
-- reads or changes other streams.

-- Whether two requests under one command id are different. A hash that is not known, or has another version byte,
-- counts as equal.
create function apex.is_other_request(known bytea, given bytea) returns boolean
language sql immutable
return known <> given and get_byte(known, 0) = get_byte(given, 0);

-- Appends a batch.
--
-- a_*: one entry per append: the tenant, the command id, whether creating its target is all that the command does and
--      can do, the number of events, the hash of the request (null: not known), and the metadata of its events.
-- k_*: one entry per stream, in the order of its key (id, category, tenant), which is the same for all callers; and the
--      append that creates it and does nothing else (null: none).
-- s_*: one entry for each stream that an append changes or reads, the append's target first: the append, the stream,
--      the expected version (-1: any), and the number of events that the stream gets from earlier appends of the batch.
-- e_*: one entry per event in the order of positions: its index in s_*, and the event itself.
--
-- A command occurs once in a batch. Several appends may change one stream: each expects any version, or the one that
-- the append before it results in.
--
-- Returns a row for each append that is not written, with one of these statuses:
--   duplicate  the command was executed before; with the positions of that execution
--   reused     the same, but the request was a different one
--   conflict   a stream is not at the expected version; with the index of the stream in k_* and its version
--   again      the append follows another one on a stream, and the batch has a refusal: put it into the next batch
-- If anything is written, the last row is 'appended', for append 0, with the first position and the number of events,
-- which have the order of e_*.
--
-- Changed streams are locked in the order of their keys, then new ones are inserted in that order, and the head is
-- locked last, so that batches cannot deadlock. Two processes that create one stream at the same time, or use one
-- command id for two streams, violate a primary key: the later batch fails with a unique violation, and its retry
-- returns the outcome.
--
-- Plans are made while the tables are still empty, and are kept: a plan for the values of each batch would cost more than
-- what it plans. Nested loops over index lookups are right for any size, so all other plans are off. Plans that are off
-- have a cost of 1e10, at which PostgreSQL would compile: jit is off too.
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
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- Per stream: its version (null: it does not exist yet), the command that created it and did nothing else, the hash
    -- of the request of that command, whether the batch has events for it, and the number of events that it gets.
    k_version bigint[];
    k_command uuid[];
    k_request bytea[];
    k_changed boolean[] := array_fill(false, array[coalesce(cardinality(k_stream), 0)]);
    k_events bigint[] := array_fill(0::bigint, array[coalesce(cardinality(k_stream), 0)]);
    -- The streams that the batch reads and does not change.
    k_read integer[];
    -- Per event: its number among the events that its stream gets, from 1.
    e_place bigint[] := '{}';
    metadata json[] := a_metadata::json[];
    is_ordered boolean;
    is_consistent boolean;
    refused boolean;
    entry integer;
    stream record;
    place bigint;
    base bigint;
    now_at timestamptz;
begin
    -- Arrays of unequal lengths could leave gaps between positions, and those with other bounds evade checks.
    if array[array_dims(a_tenant), array_dims(a_command), array_dims(a_creates), array_dims(a_events),
             array_dims(a_request), array_dims(a_metadata)]
            <> array_fill('[1:' || coalesce(cardinality(a_command), 0) || ']', array[6])
        or array[array_dims(k_tenant), array_dims(k_category), array_dims(k_stream), array_dims(k_creator)]
            <> array_fill('[1:' || coalesce(cardinality(k_stream), 0) || ']', array[4])
        or array[array_dims(s_append), array_dims(s_key), array_dims(s_expected), array_dims(s_before)]
            <> array_fill('[1:' || coalesce(cardinality(s_key), 0) || ']', array[4])
        or array[array_dims(e_entry), array_dims(e_id), array_dims(e_type), array_dims(e_schema_version),
                 array_dims(e_payload), array_dims(e_hash)]
            <> array_fill('[1:' || coalesce(cardinality(e_id), 0) || ']', array[6])
    then
        raise exception
            'the arrays of appends, of streams, of entries and of events each have one length, and begin at 1'
            using errcode = 'invalid_parameter_value';
    end if;

    foreach entry in array e_entry loop
        k_changed[s_key[entry]] := true;
    end loop;
    select array_agg(st.version), array_agg(st.first_command), array_agg(st.first_request),
           bool_and((k = 1 or k_stream[k] > k_stream[k - 1]
                     or k_stream[k] = k_stream[k - 1] and (k_category[k] collate "C", k_tenant[k] collate "C")
                                                          > (k_category[k - 1], k_tenant[k - 1])) is true)
    into k_version, k_command, k_request, is_ordered
    from generate_subscripts(k_stream, 1) as k
    left join lateral (
        select st.version, st.first_command, st.first_request from apex.streams st
        where k_changed[k]
            and st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
        for update
    ) as st on true;
    if false = any (k_changed) then
        k_read := array_positions(k_changed, false);
        -- In a statement of its own, which sees what was committed while the first one waited for locks.
        for stream in
            select k, st.version, st.first_command, st.first_request
            from unnest(k_read) as k
            cross join lateral (
                select st.version, st.first_command, st.first_request from apex.streams st
                where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
                offset 0
            ) as st
        loop
            k_version[stream.k] := stream.version;
            k_command[stream.k] := stream.first_command;
            k_request[stream.k] := stream.first_request;
        end loop;
    end if;

    -- Only under the locks of the streams that it changes does a batch see what earlier executions of its commands
    -- wrote. A command that can only create its target is found by the target. Two simultaneous executions of another
    -- command that change different streams violate the primary key of the receipts. What belongs to an append and not
    -- to a stream is checked at its first entry only: a lookup of receipts per stream would take an eighth of a batch's
    -- time.
    select bool_or(s_expected[s] >= 0 and s_expected[s] <> coalesce(k_version[s_key[s]], 0) + s_before[s]
                   or s_append[s] is distinct from s_append[s - 1] and (
                       k_command[s_key[s]] = a_command[s_append[s]]
                       or not a_creates[s_append[s]] and exists (
                           select from apex.receipts r
                           where r.command_id = a_command[s_append[s]] and r.tenant_id = a_tenant[s_append[s]]
                       )
                   )),
           bool_and((k_tenant[s_key[s]] = a_tenant[s_append[s]]
                     and (s_append[s] is not distinct from s_append[s - 1]
                          or octet_length(a_metadata[s_append[s]]) <= 4096
                          and starts_with(a_metadata[s_append[s]], '{"actor":"')
                          and strpos(a_metadata[s_append[s]],
                                     '","command_id":"' || a_command[s_append[s]] || '","correlation_id":"') > 11
                          and (a_request[s_append[s]] is null or octet_length(a_request[s_append[s]]) = 17))) is true)
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
                where k_command[s_key[s]] = a_command[s_append[s]] and s_append[s] is distinct from s_append[s - 1]
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

        -- What is left are first appends to their streams, so that none depends on a refused one.
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

    -- New streams are inserted with their final version and their receipt.
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

    -- From here on no other batch can commit. Streams that an append only reads must still be at the versions read
    -- above; otherwise the whole batch is rolled back, and its retry finds the conflict. Streams that only refused
    -- appends read do not matter.
    if refused then
        -- What refused appends would have changed, others may read.
        k_read := array_positions(k_events, 0);
    end if;
    if k_read <> '{}' and exists (
        select from unnest(k_read) as k
        left join lateral (
            select st.version from apex.streams st
            where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
            offset 0
        ) as now_is on true
        where now_is.version is distinct from k_version[k]
            and (not refused or exists (
                select from generate_subscripts(s_key, 1) as s where s_key[s] = k and a_events[s_append[s]] > 0
            ))
    ) then
        raise exception 'a stream that is only read was changed by another process at the same moment'
            using errcode = 'serialization_failure';
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

    -- One per batch: wakes readers early. They also poll, so that a lost notification only delays them.
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
