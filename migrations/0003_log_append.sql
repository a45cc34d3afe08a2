-- Appends that cost little more than the rows they write.
--
-- The function of 0001 spent most of its time on statements over materialised arrays, on joins and on sorting. This one
-- takes its arguments in the order of its locks and reads them by subscript, so that the usual batch, in which nothing is
-- refused, is one look-up, one check, and the writes. Several appends to one stream may now go in one batch.

-- Streams and commands are told apart by their ids; tenant and category are the rest of the key. The id first means one
-- comparison of 16 bytes at each step down the index, and time-ordered ids of all tenants keep the same pages warm.
alter table apex.streams drop constraint streams_pkey, add primary key (stream_id, category, tenant_id);
alter table apex.receipts drop constraint receipts_pkey, add primary key (command_id, tenant_id);

-- Where the stream's first event stands, once that event is no longer in apex.events.
alter table apex.streams add column first_position bigint;

drop function apex.append;

-- Appends a batch.
--
-- a_*: one entry an append: whose, by which command, whether all it does is to create one stream, how many events.
-- k_*: one entry a stream, in the order of its key (id, category, tenant), the same for all callers: how many events it
--      gets from all appends together, and which append creates it and does nothing else (null: none).
-- s_*: one entry for each stream that an append touches: the append, the stream, the version expected (-1: any), how many
--      events the stream gets from it (0: the version is only checked), and how many from earlier appends of the batch.
-- e_*: one entry an event in the order of their positions: its append, its stream, its place among the events that the
--      stream gets, and the event itself.
--
-- No command may occur twice in a batch. An append may follow another on one stream; if it expects a version, then the
-- one that the other leaves behind.
--
-- Returns a row for each append that is not written: 'duplicate' with the positions of the first time, 'conflict' with
-- the place of the stream in k_* and its version, 'again' for one that follows others on a stream while something in the
-- batch was refused: whether its turn came is for the next batch to find out. Last, if anything is written, a row
-- 'appended' of append 0 with the first position and the number of events: they stand in the order of e_*.
--
-- Streams are locked in key order, then new ones are inserted in key order, the head comes last: batches never wait for
-- each other in a circle. Two processes that create one stream at the same moment, or use one command id for two
-- streams, meet in a primary key: the later batch fails with a unique violation, and finds out when it is tried again.
--
-- Plans are made while the tables are still empty, and are kept. Nested loops over index look-ups are right for any size,
-- so the planner gets no choice. What it is told not to do it costs at 1e10, which looks worth compiling: jit is off.
create function apex.append(
    a_tenant text[], a_command uuid[], a_creates boolean[], a_events integer[], a_metadata text[],
    k_tenant text[], k_category text[], k_stream uuid[], k_events bigint[], k_creator integer[],
    s_append integer[], s_key integer[], s_expected bigint[], s_events bigint[], s_before bigint[],
    e_append integer[], e_key integer[], e_place bigint[], e_id uuid[], e_type text[], e_schema_version smallint[],
    e_payload text[], e_hash bytea[]
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
    metadata json[] := a_metadata::json[];
    refused boolean;
    base bigint;
    now_at timestamptz;
begin
    select array_agg(st.version), array_agg(st.first_command) into k_version, k_command
    from generate_subscripts(k_stream, 1) as k
    left join lateral (
        select st.version, st.first_command from apex.streams st
        where st.stream_id = k_stream[k] and st.category = k_category[k] and st.tenant_id = k_tenant[k]
        for update
    ) as st on true;

    -- Only now, under the locks of its streams, can nobody be appending the same command at this moment. A command that
    -- only creates a stream is found by the stream.
    select bool_or(s_expected[s] >= 0 and s_expected[s] <> coalesce(k_version[s_key[s]], 0) + s_before[s]
                   or k_command[s_key[s]] = a_command[s_append[s]]
                   or not a_creates[s_append[s]] and exists (
                       select from apex.receipts r
                       where r.command_id = a_command[s_append[s]] and r.tenant_id = a_tenant[s_append[s]]
                   ))
    into refused
    from generate_subscripts(s_key, 1) as s;

    if refused then
        for append, status, first_position, event_count, conflict_key, current_version in
            select distinct on (verdict.append) verdict.append, verdict.status, verdict.first_position,
                   verdict.event_count, verdict.conflict_key, verdict.current_version
            from (
                select a as append, 'duplicate' as status, r.first_position, r.event_count,
                       null::integer as conflict_key, null::bigint as current_version, 0 as s
                from generate_subscripts(a_command, 1) as a
                join apex.receipts r on r.command_id = a_command[a] and r.tenant_id = a_tenant[a]
                where not a_creates[a]
                union all
                select s_append[s], 'duplicate', coalesce(st.first_position, e.position), st.first_count, null, null, 0
                from generate_subscripts(s_key, 1) as s
                join apex.streams st on st.stream_id = k_stream[s_key[s]] and st.category = k_category[s_key[s]]
                    and st.tenant_id = k_tenant[s_key[s]]
                left join apex.events e on e.stream_id = st.stream_id and e.version = 1
                    and e.category = st.category and e.tenant_id = st.tenant_id
                where k_command[s_key[s]] = a_command[s_append[s]]
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
        select array_agg(of_stream.events order by of_stream.k) into k_events
        from (
            select s_key[s] as k, sum(case when a_events[s_append[s]] > 0 then s_events[s] else 0 end)::bigint as events
            from generate_subscripts(s_key, 1) as s
            group by s_key[s]
        ) as of_stream;
        select array_agg(e_append[e] order by e), array_agg(e_key[e] order by e), array_agg(e_place[e] order by e),
               array_agg(e_id[e] order by e), array_agg(e_type[e] order by e), array_agg(e_schema_version[e] order by e),
               array_agg(e_payload[e] order by e), array_agg(e_hash[e] order by e)
        into e_append, e_key, e_place, e_id, e_type, e_schema_version, e_payload, e_hash
        from generate_subscripts(e_id, 1) as e
        where a_events[e_append[e]] > 0;
        if e_id is null then
            return;
        end if;
    end if;

    -- New streams come with their final version, and with their receipt.
    if array_position(k_version, null) is not null then
        insert into apex.streams (tenant_id, category, stream_id, version, first_command, first_count)
        select k_tenant[k], k_category[k], k_stream[k], k_events[k], a_command[k_creator[k]], a_events[k_creator[k]]
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
    select base + e, k_tenant[e_key[e]], k_category[e_key[e]], k_stream[e_key[e]],
           coalesce(k_version[e_key[e]], 0) + e_place[e], e_id[e], e_type[e], e_schema_version[e],
           e_payload[e]::json, metadata[e_append[e]], now_at, e_hash[e]
    from generate_subscripts(e_id, 1) as e;

    if false = any (a_creates) then
        insert into apex.receipts (tenant_id, command_id, first_position, event_count)
        select a_tenant[placed.a], a_command[placed.a], base + 1 + placed.before, a_events[placed.a]
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

revoke all on function apex.append from public;
grant execute on function apex.append to apex_app;
