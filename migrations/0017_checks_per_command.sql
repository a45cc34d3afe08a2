-- What belongs to a command is checked once per command, and no longer once per stream that the command changes or reads:
-- the lookups in apex.receipts took an eighth of a batch's time.
--
-- The form of tenant and category is checked with the first event of a stream. Later events have the same tenant and
-- category, because apex.append takes them from the row of the stream.
--
-- Arrays of unequal lengths or other lower bounds are refused: events could leave a gap before them, and checks be evaded.
alter table apex.events
    drop constraint events_stream_has_the_form,
    drop constraint events_content_is_bounded,
    add constraint events_stream_has_the_form check (
        version > 1
        or tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63
            and category ~ '^[a-z][a-z0-9_]*$' and octet_length(category) <= 63
    ) not valid,
    -- A payload is a JSON object with a key, and nothing before it. Together with the metadata it is as large as a Kafka
    -- broker accepts, see streams::limits: a larger event would stop the relay.
    add constraint events_content_is_bounded check (
        payload::text like '{__%'
        and octet_length(payload::text) + octet_length(metadata::text) <= 900000
        and octet_length(content_hash) = 32
    ) not valid;

-- Appends a batch.
--
-- a_*: one entry per append: the tenant, the command id, whether creating its target is all that the command does and can
--      do, the number of events, the hash of the request (null: not known), and the metadata of its events.
-- k_*: one entry per stream, in the order of its key (id, category, tenant), which is the same for all callers; and the
--      append that creates it and does nothing else (null: none).
-- s_*: one entry for each stream that an append changes or reads, the append's target first: the append, the stream, the
--      expected version (-1: any), and the number of events that the stream gets from earlier appends of the batch.
-- e_*: one entry per event in the order of positions: its index in s_*, and the event itself.
--
-- A command occurs once in a batch. An append may follow another on one stream; if it expects a version, then the one
-- that the other results in.
--
-- Returns a row for each append that is not written: 'duplicate' with the positions of the first execution, 'reused' with
-- the same if that was a different request, 'conflict' with the index of the stream in k_* and its version, 'again' for
-- one that follows others on a stream while something in the batch was refused: the next batch decides about it. Last, if
-- anything is written, a row 'appended' of append 0 with the first position and the number of events, in the order of e_*.
--
-- Changed streams are locked in the order of their keys, then new ones are inserted in that order, and the head is locked
-- last, so that batches never wait for each other in a circle. Two processes that create one stream at the same time, or
-- use one command id for two streams, violate a primary key: the later batch fails with a unique violation, and learns
-- the outcome when it is tried again.
--
-- Plans are made while the tables are still empty, and are kept. Nested loops over index lookups are right for any size,
-- so the planner gets no choice. The cost of what it is told not to do is 1e10, which looks worth compiling: jit is off.
create or replace function apex.append(
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
    k_request bytea[];  -- the hash of the request of that command
    k_changed boolean[] := array_fill(false, array[coalesce(cardinality(k_stream), 0)]); -- whether the batch has events for it
    k_events bigint[] := array_fill(0::bigint, array[coalesce(cardinality(k_stream), 0)]); -- the number of events that it gets
    e_place bigint[] := '{}'; -- the number of the event among those of its stream
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
        raise exception 'the arrays of appends, of streams, of entries and of events each have one length, and begin at 1'
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
        -- In a statement of its own: what committed while the locks were waited for is seen.
        for stream in
            select k, st.version, st.first_command, st.first_request
            from generate_subscripts(k_stream, 1) as k
            cross join lateral (
                select st.version, st.first_command, st.first_request from apex.streams st
                where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
                offset 0
            ) as st
            where not k_changed[k]
        loop
            k_version[stream.k] := stream.version;
            k_command[stream.k] := stream.first_command;
            k_request[stream.k] := stream.first_request;
        end loop;
    end if;

    -- Only now, under the locks of the streams that it changes, does a batch see what earlier executions of its commands
    -- wrote. A command that can only create its target is found by the target; two executions of another command that
    -- change different streams at the same moment meet in the primary key of the receipts.
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

        -- Nothing of what is left follows anything.
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

    -- No other batch can commit any more. What an append reads and does not change must still be what it was decided on; if
    -- it is not, the whole batch is undone and tried again, which finds the conflict. What only refused appends read does
    -- not matter any more.
    if 0 = any (k_events) and exists (
        select from generate_subscripts(k_stream, 1) as k
        left join lateral (
            select st.version from apex.streams st
            where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
            offset 0
        ) as now_is on true
        where k_events[k] = 0 and now_is.version is distinct from k_version[k]
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
