-- Read models in parts, whatever feeds them: the checkpoints say by what they are divided, so that anybody can tell
-- which events a live version has applied without having its code.

alter table apex.checkpoints
    add column partitioned_by text check (partitioned_by in ('stream', 'tenant'));

-- Calls are worked on in two parts from here on. Both stand where the whole stood.
with whole as (
    delete from apex.checkpoints where name in ('calls', 'calls@next') returning *
)
insert into apex.checkpoints (name, position, updated_at, version, source, partitioned_by)
select name || '/' || part, position, updated_at, version, source, 'stream'
from whole, generate_series(0, 1) as part;

-- A category is fed from one topic at a time: workers that read another one find the row of the first. There are rows of
-- what is fed from Kafka alone; a switch used to leave some behind.
delete from apex.partition_checkpoints p
where not exists (select from apex.checkpoints c where c.follower = p.projection and c.source = 'kafka');
alter table apex.partition_checkpoints add column category text;
update apex.partition_checkpoints set category = regexp_replace(topic, '^.*\.', '');
-- Of two topics, the later one began where everything was applied.
delete from apex.partition_checkpoints p using apex.partition_checkpoints later
where (later.projection, later.category, later.partition, later.partitions)
        = (p.projection, p.category, p.partition, p.partitions)
    and (later.position, later.topic) > (p.position, p.topic);
do $$
begin
    if exists (select from apex.partition_checkpoints group by projection, category having count(distinct partitions) > 1)
    then
        raise exception 'a read model is fed from topics with other numbers of partitions'
            using hint = 'Give it back with `apex worker --source log` of the release before this one.';
    end if;
end
$$;
alter table apex.partition_checkpoints
    alter column category set not null,
    drop constraint partition_checkpoints_pkey,
    add primary key (projection, category, partition);

-- Whose stream it was, so that tenants see the decisions about their own.
alter table apex.parking_decisions add column tenant_id text;
update apex.parking_decisions d set tenant_id = e.tenant_id from apex.events e where e.position = d.position;

-- An order to publish again may leave a relay's position what it was, and must be noticed all the same.
alter table apex.checkpoints add column generation bigint not null default 0;

-- Amounts of money in this state topic are strings from here on: all rows are published again.
update apex.checkpoints set position = 0 where name = 'state:calls';

-- Puts what was built in the place of what is live, with its checkpoints and parked events, and leaves it to whoever
-- fed the one before: from Kafka, partitions that were ahead have not been so in these tables, and begin where these
-- stand. The caller holds the checkpoints of both, and has built up to where the live one stands. Set lock_timeout below
-- deadlock_timeout: a query that holds one of the tables and waits for another is then never the one to give way.
create or replace function apex.switch_projection(model text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    stood bigint;
    old_version integer;
    old_source text;
    stands bigint;
begin
    select max(position), max(version), max(source) into stood, old_version, old_source
    from apex.checkpoints where follower = model;
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
    update apex.checkpoints
    set name = model || substr(name, length(model || '@next') + 1), source = coalesce(old_source, source)
    where follower = model || '@next';
    delete from apex.partition_checkpoints where projection = model;
    delete from apex.parked_events where projection = model;
    update apex.parked_events set projection = model where projection = model || '@next';
end
$$;
