-- Versions of read models: another version is built beside the live one and takes its place in one transaction.
--
-- A version lives in a schema: `apex` is live, `apex_next` under construction, `apex_old` what was live before, and
-- `apex_check` belongs to whoever verifies, for one transaction that is rolled back. The statements of a projection
-- name their tables without a schema, and the transaction's search_path decides; queries name `apex.…` and find
-- whatever is live at that moment.
--
-- The application calls the functions here and can make, move or drop nothing else: they take the names of tables from
-- apex.projection_tables, which the owner alone writes.

create schema apex_next;
create schema apex_old;
create schema apex_check;
-- The shape of the next version where it differs from the live one: the migration that changes columns or constraints
-- makes an empty table of the same name here.
create schema apex_shape;
grant usage on schema apex_next, apex_old, apex_check to apex_app;

-- The tables of each read model. A migration that adds a read model adds its rows.
create table apex.projection_tables (
    projection text not null,
    table_name text not null primary key
);
insert into apex.projection_tables (projection, table_name) values
    ('agents', 'agents'), ('tasks', 'tasks'), ('calls', 'calls'), ('calls', 'usage_hourly'), ('memories', 'memories'),
    ('budgets', 'budgets'), ('budgets', 'budget_spend'), ('budgets', 'budget_months'), ('budgets', 'budget_crossings');
grant select on apex.projection_tables to apex_app;

-- A read model may be divided into parts with a checkpoint each: NAME/0, NAME/1 and so on. Under construction it is
-- NAME@next. The version is that of the code that writes the tables: other code does not.
alter table apex.checkpoints
    add column follower text generated always as (split_part(name, '/', 1)) stored,
    add column version integer;
update apex.checkpoints set version = 1 where name in (select projection from apex.projection_tables);

create table apex.old_projections (
    projection  text        not null primary key,
    version     integer     not null,
    position    bigint      not null,
    switched_at timestamptz not null default now()
);
grant select on apex.old_projections to apex_app;

alter table apex.parked_events
    add column attempts integer not null default 1,
    add column last_attempt_at timestamptz not null default now();

-- What operators decided about parked events. Kept for good: an event that was skipped is skipped by a rebuild too.
create table apex.parking_decisions (
    id         bigint generated always as identity primary key,
    projection text        not null,
    position   bigint      not null,
    decision   text        not null check (decision in ('retry', 'skip')),
    actor      text        not null,
    reason     text        not null,
    decided_at timestamptz not null default now()
);
create index parking_decisions_by_position on apex.parking_decisions (projection, position);
grant select, insert on apex.parking_decisions to apex_app;

-- Makes the tables of a read model, empty, in a schema; those that are there are dropped.
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
        -- The copies of indexes were named anew, in the order in which the originals were made. The old names are
        -- given back, so that later migrations can go by them.
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

-- Drops what is under construction or what was live before.
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

-- Statistics of what was built, before anybody asks it.
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

-- Puts what was built in the place of what is live, with its checkpoints and parked events. The caller holds the
-- checkpoints of both, and has built up to where the live one stands. Set lock_timeout below deadlock_timeout: a query
-- that holds one of the tables and waits for another is then never the one to give way.
create function apex.switch_projection(model text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    stood bigint;
    old_version integer;
    stands bigint;
begin
    select max(position), max(version) into stood, old_version from apex.checkpoints where follower = model;
    select min(position) into stands from apex.checkpoints where follower = model || '@next';
    if stands is null then
        raise exception 'nothing was built of %', model using errcode = 'object_not_in_prerequisite_state';
    end if;
    if stands < stood then
        raise exception '% is built up to %, the live one stands at %', model, stands, stood
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    for part in select table_name from apex.projection_tables where projection = model order by table_name loop
        execute format('drop table if exists apex_old.%I', part);
        execute format('alter table apex.%I set schema apex_old', part);
        execute format('alter table apex_next.%I set schema apex', part);
    end loop;
    insert into apex.old_projections (projection, version, position)
    values (model, coalesce(old_version, 1), coalesce(stood, 0))
    on conflict (projection) do update set
        version = excluded.version, position = excluded.position, switched_at = excluded.switched_at;
    delete from apex.checkpoints where follower = model;
    update apex.checkpoints set name = model || substr(name, length(model || '@next') + 1)
    where follower = model || '@next';
    delete from apex.parked_events where projection = model;
    update apex.parked_events set projection = model where projection = model || '@next';
end
$$;

revoke all on function apex.make_projection, apex.drop_projection, apex.analyze_projection, apex.switch_projection
    from public;
grant execute on function
    apex.make_projection, apex.drop_projection, apex.analyze_projection, apex.switch_projection to apex_app;
