-- Followers of the log: their checkpoints, the events that they could not apply, the versions of read models, and
-- snapshots. All of it is derived from the log, except decisions about parked events.

-- Every follower has a row: a read model NAME, or one row per shard, NAME/0, NAME/1 and so on; a version of it that is
-- being built, NAME@next; a policy, policy:NAME; and the relay, relay:kafka.
create table apex.checkpoints (
    name           text        not null primary key,
    position       bigint      not null,
    updated_at     timestamptz not null default now(),
    follower       text        generated always as (split_part(name, '/', 1)) stored,
    -- The version of the code that writes the tables; other code does not write them.
    version        integer,
    -- What the shards of a read model are divided by, so that any process can tell which events were applied.
    partitioned_by text        check (partitioned_by in ('stream', 'tenant')),
    -- Changes with every request to publish events again, so that a relay notices one that leaves the position as it
    -- is.
    generation     bigint      not null default 0
);

-- Events that a projection could not apply, and all later ones of the same streams.
create table apex.parked_events (
    projection      text        not null,
    position        bigint      not null,
    tenant_id       text        not null,
    category        text        not null,
    stream_id       uuid        not null,
    cause           text        not null,
    parked_at       timestamptz not null default now(),
    attempts        integer     not null default 1,
    last_attempt_at timestamptz not null default now(),
    primary key (projection, position)
);
grant select, insert, update, delete on apex.checkpoints, apex.parked_events to apex_app;

-- What operators decided about parked events. Decisions are kept, because a rebuild skips the same events. Beside the
-- actor, whom the application names, each has the database role that made it, which the application cannot choose.
create table apex.parking_decisions (
    id               bigint      generated always as identity primary key,
    projection       text        not null,
    position         bigint      not null,
    tenant_id        text        not null,
    decision         text        not null check (decision in ('retry', 'skip')),
    actor            text        not null,
    reason           text        not null,
    session_role     text        not null,
    application_role text        not null,
    decided_at       timestamptz not null default now()
);
create index parking_decisions_by_position on apex.parking_decisions (projection, position);
create trigger append_only before update or delete or truncate on apex.parking_decisions
    for each statement execute function apex.refuse_change();
grant select on apex.parking_decisions to apex_app;

-- Records a decision about a parked event.
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

-- Versions of read models: a new version is built beside the live one and replaces it in one transaction.
--
-- Each version is in a schema: `apex` has the live one, `apex_next` the one that is being built, `apex_old` the one
-- that was live before, and `apex_check` one that a verification builds in a transaction that it rolls back. The
-- statements of a projection name tables without a schema, so that the search_path of the transaction decides. Queries
-- name `apex.…`, and so read the version that is live at that moment.
--
-- The application calls the functions below, and cannot create, move or drop anything else: they take the names of
-- tables from apex.projection_tables, to which only the owner writes.

create schema apex_next;
create schema apex_old;
create schema apex_check;
-- The shape of the next version, where it differs from the live one: a migration that changes columns or constraints
-- creates an empty table of the same name here.
create schema apex_shape;
grant usage on schema apex_next, apex_old, apex_check to apex_app;

-- The tables of each read model. A migration that adds a read model adds its rows.
create table apex.projection_tables (
    projection text not null,
    table_name text not null primary key
);
grant select on apex.projection_tables to apex_app;

-- The versions in apex_old: up to which position each was built, and when it was replaced.
create table apex.old_projections (
    projection  text        not null primary key,
    version     integer     not null,
    position    bigint      not null,
    switched_at timestamptz not null default now()
);
grant select on apex.old_projections to apex_app;

-- Creates empty tables of a read model in a schema, in place of those that are there.
create function apex.make_projection(model text, slot text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    shape regclass;
    made record;
begin
    if slot not in ('apex_next', 'apex_check') then
        raise exception 'nothing is built in %', slot using errcode = 'invalid_parameter_value';
    end if;
    for part in select table_name from apex.projection_tables where projection = model order by table_name loop
        shape := coalesce(to_regclass(format('apex_shape.%I', part)), to_regclass(format('apex.%I', part)));
        execute format('drop table if exists %I.%I', slot, part);
        execute format('create table %I.%I (like %s including all)', slot, part, shape);
        execute format('grant select, insert, update, delete on %I.%I to apex_app', slot, part);
        -- The copies of indexes got new names, in the order in which the originals were made. They get the original
        -- names back, so that later migrations can use them.
        for made in
            select copy.name as copied, original.name as wanted
            from (
                select c.relname as name, row_number() over (order by i.indexrelid) as place
                from pg_index i join pg_class c on c.oid = i.indexrelid
                where i.indrelid = format('%I.%I', slot, part)::regclass
            ) as copy
            join (
                select c.relname as name, row_number() over (order by i.indexrelid) as place
                from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = shape
            ) as original using (place)
            where copy.name <> original.name
        loop
            execute format('alter index %I.%I rename to %I', slot, made.copied, made.wanted);
        end loop;
    end loop;
    if not exists (select from apex.projection_tables where projection = model) then
        raise exception 'there is no read model %', model using errcode = 'undefined_object';
    end if;
end
$$;

-- Drops the version of a read model that is being built, or the one that was live before.
create function apex.drop_projection(model text, slot text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
begin
    if slot not in ('apex_next', 'apex_old') then
        raise exception 'nothing is dropped from %', slot using errcode = 'invalid_parameter_value';
    end if;
    for part in select table_name from apex.projection_tables where projection = model loop
        execute format('drop table if exists %I.%I', slot, part);
    end loop;
    if slot = 'apex_next' then
        delete from apex.checkpoints where follower = model || '@next';
        delete from apex.parked_events where projection = model || '@next';
    else
        delete from apex.old_projections where projection = model;
    end if;
end
$$;

-- Collects statistics of the version that was built, before its first query.
create function apex.analyze_projection(model text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
begin
    for part in select table_name from apex.projection_tables where projection = model loop
        execute format('analyze apex_next.%I', part);
    end loop;
end
$$;

-- Replaces the live tables of a read model by those that were built, with their checkpoints and parked events. The
-- caller holds the checkpoints of both and has built up to the position of the live one. Set lock_timeout below
-- deadlock_timeout: a query that holds one of the tables and waits for another is then never the one that is cancelled.
create function apex.switch_projection(model text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    live_position bigint;
    live_version integer;
    next_position bigint;
begin
    select max(position), max(version) into live_position, live_version
    from apex.checkpoints where follower = model;
    select min(position) into next_position from apex.checkpoints where follower = model || '@next';
    if next_position is null then
        raise exception 'nothing was built of %', model using errcode = 'object_not_in_prerequisite_state';
    end if;
    if next_position < live_position then
        raise exception '% is built up to %, the live one is at %', model, next_position, live_position
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    for part in select table_name from apex.projection_tables where projection = model order by table_name loop
        execute format('drop table if exists apex_old.%I', part);
        execute format('alter table apex.%I set schema apex_old', part);
        execute format('alter table apex_next.%I set schema apex', part);
    end loop;
    insert into apex.old_projections (projection, version, position)
    values (model, coalesce(live_version, 1), coalesce(live_position, 0))
    on conflict (projection) do update set
        version = excluded.version, position = excluded.position, switched_at = excluded.switched_at;
    delete from apex.checkpoints where follower = model;
    update apex.checkpoints set name = model || substr(name, length(model || '@next') + 1)
    where follower = model || '@next';
    delete from apex.parked_events where projection = model;
    update apex.parked_events set projection = model where projection = model || '@next';
end
$$;

revoke all on function apex.record_parking_decision, apex.make_projection, apex.drop_projection,
    apex.analyze_projection, apex.switch_projection from public;
grant execute on function apex.record_parking_decision, apex.make_projection, apex.drop_projection,
    apex.analyze_projection, apex.switch_projection to apex_app;

-- Snapshots of the states of long streams, so that loading an aggregate does not read all events. Any row may be
-- deleted at any time: the stream is then folded from its first event again.
create table apex.snapshots (
    tenant_id   text        not null,
    category    text        not null,
    stream_id   uuid        not null,
    -- The last event that is part of the state. Its id distinguishes another history, such as that of a restored log.
    version     bigint      not null,
    position    bigint      not null,
    event_id    uuid        not null,
    recorded_at timestamptz not null,
    -- A fingerprint of the code that folded it. Other code does not read it.
    format      text        not null,
    state       json        not null,
    taken_at    timestamptz not null default now(),
    primary key (stream_id, category, tenant_id)
);
grant select, insert, update, delete on apex.snapshots to apex_app;
