-- The event log: one table of events, one head row, one row per stream.
--
-- Only apex.append (0002) writes events. It numbers them under the lock of the head row, which is held until the
-- commit: the order of positions is the order of commits, and positions have no gaps. A reader therefore needs
-- `position > checkpoint order by position` and nothing else.
--
-- The application runs as the role apex_app. It reads the log and calls the functions that are granted to it; it can
-- neither insert into a table of the log nor change one. A trigger refuses changes by all other roles.

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
-- Every process checks at its start that the schema is of its own version.
grant select on _sqlx_migrations to apex_app;

-- The constraints check the form of each value, in every partition, and also of rows that the owner inserts. Their
-- regular expressions have no counted repetitions, which would make each check 20 times as expensive.
--
-- They do not check that the type and schema version exist, which only the program knows: read models park an event of
-- an unknown one. Of the content hash they check the length: to compute it here would take a third of an append's time.
-- `apex log verify` finds a wrong hash.
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
    content_hash   bytea       not null,
    -- With the first event of a stream. Later events have the same tenant and category, because apex.append takes them
    -- from the row of the stream.
    constraint events_stream_has_the_form check (
        version > 1
        or tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63
            and category ~ '^[a-z][a-z0-9_]*$' and octet_length(category) <= 63
    ),
    constraint events_type_has_the_form check (
        type ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' and octet_length(type) <= 127 and schema_version >= 1
    ),
    -- A payload is a JSON object other than `{}`, with no space before it. With the metadata it is at most as large as
    -- a Kafka broker accepts, see streams::limits: a larger event would stop the relay.
    constraint events_content_is_bounded check (
        payload::text like '{__%'
        and octet_length(payload::text) + octet_length(metadata::text) <= 900000
        and octet_length(content_hash) = 32
    )
) partition by range (position);

create index events_by_stream on apex.events (stream_id, version);

create table apex.head (
    singleton   boolean     not null primary key default true check (singleton),
    position    bigint      not null,
    recorded_at timestamptz not null
);
insert into apex.head values (true, 0, '-infinity');

-- The primary key begins with the stream id: a search compares 16 bytes at each level of the index, and because ids are
-- ordered by time, inserts of all tenants hit the same few pages.
create table apex.streams (
    tenant_id text   not null,
    category  text   not null,
    stream_id uuid   not null,
    version   bigint not null,
    -- The receipt of the command that created the stream, if it can do nothing else. Most commands are of this kind,
    -- and need no row in receipts. Its events are the first ones of the stream.
    first_command  uuid,
    first_count    integer,
    -- The hash of the request, see apex.receipts.
    first_request  bytea,
    -- The position of the first event, once that event is archived.
    first_position bigint,
    primary key (stream_id, category, tenant_id)
) with (fillfactor = 80);

-- The receipt of every other command: a retry under the same id gets the original positions.
create table apex.receipts (
    tenant_id      text    not null,
    command_id     uuid    not null,
    first_position bigint  not null,
    event_count    integer not null,
    -- The hash of what the client sent: a version byte and the first 16 bytes of a SHA-256, see streams::RequestHash;
    -- null if it is not known. It distinguishes a retry from another request under the same command id.
    request        bytea,
    primary key (command_id, tenant_id)
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

-- Partitions.
--
-- The number of events per partition is a compromise. A read by category or tenant may have to scan the whole open
-- partition, whose only indexes are the primary key and the one by stream, because every further index slows down each
-- append. A read of a stream, for which commands wait, searches one index and takes one lock per partition, and beyond
-- 16 locks of a backend PostgreSQL uses the shared lock table. So few large partitions are better than many small ones.
--
-- A partition is complete ("sealed") once the head is beyond it. Nothing is written to it any more, so indexes on it do
-- not slow down appends.

create table apex.settings (
    singleton      boolean not null primary key default true check (singleton),
    -- The identity of this log, which an archive directory also stores, so that two logs cannot share one.
    log_id         uuid    not null default gen_random_uuid(),
    -- The number of events in each partition that is created from now on, see apex.set_partition_size.
    partition_size bigint  not null default 5000000 check (partition_size between 1 and 1000000000)
);
insert into apex.settings default values;

create table apex.partitions (
    name          text   not null primary key,
    from_position bigint not null unique,
    to_position   bigint not null unique,
    -- Whether the partition has the indexes of sealed ones.
    indexed       boolean not null default false,
    -- Streams that begin in the partition before this position have their first_position, see apex.keep_receipts.
    receipts_kept_below bigint not null default 0,
    check (from_position < to_position)
);

-- Rows that are locked while partitions are created or indexed. Not advisory locks, which any session could hold
-- forever: the application has no privilege to lock these rows except by the functions here.
create table apex.locks (name text not null primary key);
insert into apex.locks values ('partitions'), ('indexes');

-- Creates partitions until `ahead` empty ones lie after the head. Returns how many it created. For the owner.
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
    -- If there is nothing to create, no lock is taken.
    if (select max(p.to_position) from apex.partitions p)
        > (select h.position from apex.head h) + ahead * (select s.partition_size from apex.settings s)
    then
        return 0;
    end if;
    -- One caller at a time; the lock is released at the end of the transaction.
    perform from apex.locks l where l.name = 'partitions' for update;
    select s.partition_size into size from apex.settings s;
    select h.position into head_position from apex.head h;
    loop
        select coalesce(max(p.to_position), 1), coalesce(max(substring(p.name from 8)::bigint), -1) + 1
        into next_from, next_number from apex.partitions p;
        exit when next_from > head_position + ahead * size;
        partition_name := 'events_' || lpad(next_number::text, greatest(6, length(next_number::text)), '0');
        -- Created as a table of its own and attached, which blocks neither readers nor appends. "partition of" would
        -- wait for every open transaction that has read the log, and all later statements would wait behind it.
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

-- The same for the application, limited to 16 because each read of a stream searches all of them. Repeated calls create
-- no more: partitions are counted from the head.
create function apex.ensure_partitions(ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if ahead < 1 or ahead > 16 then
        raise exception 'ahead is 1 to 16, not %', ahead using errcode = 'invalid_parameter_value';
    end if;
    return apex.make_partitions(ahead);
end
$$;

-- Sets the size of partitions that are created from now on. Empty ones are replaced, so that the new size takes effect
-- with the next partition. For the owner; appends and readers wait meanwhile.
create function apex.set_partition_size(new_size bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    unused text;
begin
    perform from apex.locks l where l.name = 'partitions' for update;
    -- Waits for appends in progress and blocks new ones: what is beyond the head stays empty until the end of this
    -- transaction.
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

-- Indexes the oldest sealed partition that is not indexed yet. Returns its name, or null if there is none or another
-- process is indexing. One index is for readers of a category of all tenants, and one for those of a single tenant;
-- both return positions in ascending order.
create function apex.index_sealed_partition() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    sealed text;
begin
    -- If there is nothing to index, no lock is taken.
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
    -- Autovacuum may never visit a partition that is not written to any more. Without statistics, a rare category would
    -- be planned for like a frequent one.
    execute format('analyze apex.%I', sealed);
    update apex.partitions p set indexed = true where p.name = sealed;
    return sealed;
end
$$;

revoke all on function apex.make_partitions, apex.ensure_partitions, apex.set_partition_size,
    apex.index_sealed_partition from public;
grant execute on function apex.ensure_partitions, apex.index_sealed_partition to apex_app;
grant select on apex.events, apex.head, apex.streams, apex.receipts, apex.partitions, apex.settings to apex_app;

select apex.ensure_partitions(2);
