-- The event log: one table of events, one head row, one row a stream.
--
-- Appends go through apex.append alone. It numbers events under the lock of the head row, which is held until the
-- commit: position order is commit order, and positions have no gaps. A reader therefore needs
-- `position > checkpoint order by position` and nothing else.
--
-- The application works as the role apex_app, which may read the log and call the functions here; it can neither
-- insert into nor change a table of the log on its own. A trigger refuses changes by everybody else.

create schema if not exists apex;

do $$
begin
    if not exists (select from pg_roles where rolname = 'apex_app') then
        create role apex_app nologin;
    end if;
exception
    -- Another database of the same cluster is being migrated at this moment.
    when duplicate_object or unique_violation then null;
end
$$;

do $$
begin
    if not pg_has_role(current_user, 'apex_app', 'member') then
        execute format('grant apex_app to %I', current_user);
    end if;
end
$$;

grant usage on schema apex to apex_app;
-- So that a program that runs as the application can tell whether the schema fits it.
grant select on _sqlx_migrations to apex_app;

create table apex.events (
    position       bigint      not null primary key,
    tenant_id      text        not null,
    category       text        not null,
    stream_id      uuid        not null,
    version        bigint      not null,
    event_id       uuid        not null,
    type           text        not null,
    schema_version smallint    not null,
    -- json, not jsonb: the bytes are kept as they were written, so that the content hash can be checked.
    payload        json        not null,
    metadata       json        not null,
    recorded_at    timestamptz not null,
    content_hash   bytea       not null
) partition by range (position);

create index events_by_stream on apex.events (stream_id, version);

create table apex.head (
    singleton   boolean     not null primary key default true check (singleton),
    position    bigint      not null,
    recorded_at timestamptz not null
);
insert into apex.head values (true, 0, '-infinity');

create table apex.streams (
    tenant_id text   not null,
    category  text   not null,
    stream_id uuid   not null,
    version   bigint not null,
    -- The receipt of the command that created the stream and did nothing else: most commands are of this kind, and
    -- need no row of their own. Its events are the first ones of the stream.
    first_command uuid,
    first_count   integer,
    primary key (tenant_id, category, stream_id)
) with (fillfactor = 80);

-- What became of every other command: a retry under the same id gets the original positions.
create table apex.receipts (
    tenant_id      text    not null,
    command_id     uuid    not null,
    first_position bigint  not null,
    event_count    integer not null,
    primary key (tenant_id, command_id)
);

create table apex.partitions (
    name          text   not null primary key,
    from_position bigint not null unique,
    to_position   bigint not null unique,
    check (from_position < to_position)
);

create function apex.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception 'the event log is append-only: % on %.% is refused', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or delete or truncate on apex.events
    for each statement execute function apex.refuse_change();

-- Makes partitions until `ahead` empty ones lie before the head; returns how many it made.
create function apex.ensure_partitions(ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    partition_size constant bigint := 5000000;
    head_position bigint;
    next_from bigint;
    made integer := 0;
    partition_name text;
begin
    if ahead < 1 or ahead > 100 then
        raise exception 'ahead is 1 to 100, not %', ahead using errcode = 'invalid_parameter_value';
    end if;
    -- One at a time; released at the end of the transaction.
    perform pg_advisory_xact_lock(hashtext('apex.ensure_partitions'));
    select position into head_position from apex.head;
    loop
        select coalesce(max(to_position), 1) into next_from from apex.partitions;
        exit when next_from > head_position + ahead * partition_size;
        partition_name := format('events_%s', to_char(next_from / partition_size, 'FM000000'));
        -- Made apart and attached: that hinders neither readers nor appends, while "partition of" would wait for every
        -- open transaction that has read the log, and everybody else behind it.
        execute format('create table apex.%I (like apex.events including defaults, check (position >= %s and position < %s))',
                       partition_name, next_from, next_from + partition_size);
        execute format('alter table apex.events attach partition apex.%I for values from (%s) to (%s)',
                       partition_name, next_from, next_from + partition_size);
        execute format('create trigger append_only before update or delete or truncate on apex.%I '
                       'for each statement execute function apex.refuse_change()', partition_name);
        execute format('grant select on apex.%I to apex_app', partition_name);
        insert into apex.partitions values (partition_name, next_from, next_from + partition_size);
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Appends a batch and says of each append what became of it.
--
-- a_*: one entry an append; a_creates says that all it does is to create one stream. s_*: one entry a stream that an
-- append touches, with the append's number (from 1), the version expected (-1: any) and how many events it gets
-- (0: the version is only checked). e_*: one entry an event, in order, with the number of its stream entry. No stream
-- and no command may occur twice in a batch; the caller puts the later one into the next batch.
--
-- status: 'appended' and 'duplicate' give the positions; 'conflict' gives the stream and its current version.
-- Locks are taken in key order, the head last, so that batches never wait for each other in a circle.
--
-- Plans are made while the tables are still empty, and are kept. Look-ups are therefore laterals, which can only be
-- nested loops, without sequential scans: right for any size. What the planner is told not to do it costs at 1e10,
-- which looks worth compiling: jit is off. Rows of streams are written by the place at which they were locked.
create function apex.append(
    a_tenant text[], a_command uuid[], a_creates boolean[],
    s_append integer[], s_tenant text[], s_category text[], s_stream uuid[], s_expected bigint[], s_count integer[],
    e_entry integer[], e_id uuid[], e_type text[], e_schema_version smallint[],
    e_payload text[], e_metadata text[], e_hash bytea[]
) returns table (append integer, status text, first_position bigint, event_count integer,
                 conflict_stream uuid, current_version bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    settled integer[] := '{}'; -- appends that are duplicates or conflicts
    base_versions bigint[];    -- by stream entry: the version before this batch
    stream_rows tid[];         -- by stream entry: the place of its row
    made_rows tid[];           -- the rows of streams that were made here
    is_created boolean[];      -- by stream entry: whether the row was made here
    known_counts integer[];    -- by stream entry: the events of this very command, if it created the stream before
    head_position bigint;
    now_at timestamptz;
    accepted integer;
    done integer;
begin
    -- New streams come with their final version, and with their receipt.
    with made as (
        insert into apex.streams (tenant_id, category, stream_id, version, first_command, first_count)
        select s.tenant, s.category, s.stream, s.events, a.command, s.events
        from unnest(s_append, s_tenant, s_category, s_stream, s_expected, s_count)
             as s (append, tenant, category, stream, expected, events)
        left join unnest(a_command, a_creates) with ordinality as a (command, creates, n)
            on a.n = s.append and a.creates
        where s.expected <= 0 and s.events > 0
        order by 1, 2, 3
        on conflict do nothing
        returning ctid
    )
    select coalesce(array_agg(ctid), '{}') into made_rows from made;

    -- An entry without a row is a stream that does not exist: version 0.
    select array_agg(locked.version order by locked.n), array_agg(locked.place order by locked.n),
           array_agg(locked.created order by locked.n), array_agg(locked.known order by locked.n)
    into base_versions, stream_rows, is_created, known_counts
    from (
        select s.n, row.place, made.place is not null as created,
               case when made.place is null then coalesce(row.version, 0) else 0 end as version,
               case when made.place is null and row.first_command = a.command then row.first_count end as known
        from (
            select * from unnest(s_append, s_tenant, s_category, s_stream) with ordinality
                          as u (append, tenant, category, stream, n)
            order by u.tenant, u.category, u.stream
            offset 0
        ) as s
        left join lateral (
            select st.version, st.ctid as place, st.first_command, st.first_count
            from apex.streams st
            where st.tenant_id = s.tenant and st.category = s.category and st.stream_id = s.stream
            for update
        ) as row on true
        join unnest(a_command) with ordinality as a (command, n) on a.n = s.append
        left join unnest(made_rows) as made (place) on made.place = row.place
    ) as locked;

    -- Only now, under the locks of its streams, can nobody be appending the same command at this moment.
    settled := array(
        select a.n::integer
        from unnest(a_tenant, a_command) with ordinality as a (tenant, command, n)
        cross join lateral (
            select 1 from apex.receipts r where r.tenant_id = a.tenant and r.command_id = a.command offset 0
        ) as receipt
    );
    if cardinality(settled) > 0 then
        return query
        select a.n::integer, 'duplicate'::text, receipt.first_position, receipt.event_count, null::uuid, null::bigint
        from unnest(a_tenant, a_command) with ordinality as a (tenant, command, n)
        cross join lateral (
            select r.first_position, r.event_count from apex.receipts r
            where r.tenant_id = a.tenant and r.command_id = a.command
            offset 0
        ) as receipt
        where a.n = any (settled);
    end if;

    return query
    select distinct on (s.append) s.append, 'duplicate'::text, first.position, s.known, null::uuid, null::bigint
    from unnest(s_append, s_tenant, s_category, s_stream, known_counts)
         as s (append, tenant, category, stream, known)
    cross join lateral (
        select e.position from apex.events e
        where e.stream_id = s.stream and e.version = 1 and e.tenant_id = s.tenant and e.category = s.category
        offset 0
    ) as first
    where s.known is not null and s.append <> all (settled)
    order by s.append;
    get diagnostics done = row_count;
    if done > 0 then
        settled := settled || array(
            select distinct s.append from unnest(s_append, known_counts) as s (append, known)
            where s.known is not null and s.append <> all (settled)
        );
    end if;

    return query
    select distinct on (s.append) s.append, 'conflict'::text, null::bigint, null::integer, s.stream, s.current
    from unnest(s_append, s_stream, s_expected, base_versions) with ordinality
         as s (append, stream, expected, current, n)
    where s.expected >= 0 and s.expected <> s.current and s.append <> all (settled)
    order by s.append, s.n;
    get diagnostics done = row_count;
    if done > 0 then
        settled := settled || array(
            select distinct s.append
            from unnest(s_append, s_expected, base_versions) as s (append, expected, current)
            where s.expected >= 0 and s.expected <> s.current and s.append <> all (settled)
        );
    end if;

    if cardinality(settled) > 0 then
        -- Rows made above for an append that is refused. Nobody has seen them yet.
        delete from apex.streams st
        using unnest(s_append, stream_rows, is_created) as s (append, place, created)
        where s.append = any (settled) and s.created and st.ctid = s.place;
    end if;

    accepted := cardinality(a_command) - cardinality(settled);
    if accepted = 0 then
        return;
    end if;

    if false = any (is_created) then
        update apex.streams st set version = s.current + s.events
        from unnest(s_append, stream_rows, is_created, base_versions, s_count)
             as s (append, place, created, current, events)
        where not s.created and s.events > 0 and s.append <> all (settled) and st.ctid = s.place;
        get diagnostics done = row_count;
        if done <> (
            select count(*) from unnest(s_append, is_created, s_count) as s (append, created, events)
            where not s.created and s.events > 0 and s.append <> all (settled)
        ) then
            raise exception 'a stream moved although it was locked' using errcode = 'internal_error';
        end if;
    end if;

    select h.position, greatest(clock_timestamp(), h.recorded_at) into head_position, now_at
    from apex.head h for update;

    return query
    with entry as materialized (
        select s.n, s.append, s.tenant, s.category, s.stream, s.current
        from unnest(s_append, s_tenant, s_category, s_stream, base_versions) with ordinality
             as s (append, tenant, category, stream, current, n)
        where s.append <> all (settled)
    ), numbered as materialized (
        select head_position + row_number() over (order by e.n) as position,
               entry.append, entry.tenant, entry.category, entry.stream,
               entry.current + row_number() over (partition by e.entry order by e.n) as version,
               e.id, e.type, e.schema_version, e.payload, e.metadata, e.hash
        from unnest(e_entry, e_id, e_type, e_schema_version, e_payload, e_metadata, e_hash) with ordinality
             as e (entry, id, type, schema_version, payload, metadata, hash, n)
        join entry on entry.n = e.entry
    ), inserted as (
        insert into apex.events (position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                                 payload, metadata, recorded_at, content_hash)
        select position, tenant, category, stream, version, id, type, schema_version,
               payload::json, metadata::json, now_at, hash
        from numbered
        order by position
    )
    select append, 'appended'::text, min(position), count(*)::integer, null::uuid, null::bigint
    from numbered
    group by append;

    if false = any (a_creates) then
        insert into apex.receipts (tenant_id, command_id, first_position, event_count)
        select placed.tenant, placed.command, placed.first_position, placed.events
        from (
            select a.tenant, a.command, a.creates, c.events,
                   head_position + 1 + sum(c.events) over (order by a.n) - c.events as first_position
            from unnest(a_tenant, a_command, a_creates) with ordinality as a (tenant, command, creates, n)
            join (
                select s.append, sum(s.events)::integer as events
                from unnest(s_append, s_count) as s (append, events)
                group by s.append
            ) as c on c.append = a.n
            where a.n <> all (settled)
        ) as placed
        where not placed.creates
        on conflict do nothing;
        get diagnostics done = row_count;
        if done <> (
            select count(*) from unnest(a_creates) with ordinality as a (creates, n)
            where not a.creates and a.n <> all (settled)
        ) then
            -- Two processes sent one command id to different streams at the same moment. Nothing is kept; the retry
            -- finds the receipt of the one that won.
            raise exception 'a command was appended by another process at the same moment'
                using errcode = 'serialization_failure';
        end if;
    end if;

    update apex.head h
    set position = h.position + (
            select sum(s.events) from unnest(s_append, s_count) as s (append, events) where s.append <> all (settled)
        ),
        recorded_at = now_at
    returning h.position into head_position;

    -- One a batch; what it misses is found by polling.
    perform pg_notify('apex_log', head_position::text);
end
$$;

-- The first position at or after a time; one past the head if there is none yet. Positions are dense and times do
-- not fall, so a binary search over the primary key is enough.
create function apex.position_at(moment timestamptz) returns bigint
language plpgsql stable as $$
declare
    low bigint := 1;
    high bigint;
    middle bigint;
begin
    select position + 1 into high from apex.head;
    while low < high loop
        middle := (low + high) / 2;
        if (select recorded_at from apex.events where position = middle) < moment then
            low := middle + 1;
        else
            high := middle;
        end if;
    end loop;
    return low;
end
$$;

revoke all on function apex.append, apex.ensure_partitions, apex.position_at from public;
grant execute on function apex.append, apex.ensure_partitions, apex.position_at to apex_app;
grant select on apex.events, apex.head, apex.streams, apex.receipts, apex.partitions to apex_app;

select apex.ensure_partitions(2);
