-- Partitions of a size that can be set, and further indexes on those that are complete.
--
-- The default stays at 5 million events. A partition is what the rarest read may have to scan: the open one has no
-- index but the primary key and the one by stream, because every further one is paid for by each append. It is also
-- what every stream read has to probe: one descent of an index, and one lock, for each partition. Stream reads are
-- what commands wait for, and PostgreSQL keeps 16 locks of a backend apart from the shared table, so few large
-- partitions are better than many small ones: 1 million would be five times the probes to make a rare scan, of the
-- open partition alone, five times shorter.
--
-- A partition is complete ("sealed") once the head is beyond it. Nothing is ever written to it again, so that an index
-- on it costs no append anything: building it takes a lock that only writers of that partition would wait for.

create table apex.settings (
    singleton      boolean not null primary key default true check (singleton),
    -- Which log this is: an archive folder tells by it whose files it holds.
    log_id         uuid    not null default gen_random_uuid(),
    -- Events in a partition, for partitions yet to be made; see apex.set_partition_size.
    partition_size bigint  not null default 5000000 check (partition_size between 1 and 1000000000)
);
insert into apex.settings default values;
grant select on apex.settings to apex_app;

-- Whether the partition has the indexes of sealed ones.
alter table apex.partitions add column indexed boolean not null default false;

-- As before, but of the size that is set, and numbered on: sizes differ, so a position no longer gives the number.
create or replace function apex.ensure_partitions(ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
    -- One at a time; released at the end of the transaction.
    perform pg_advisory_xact_lock(hashtext('apex.ensure_partitions'));
    select s.partition_size into size from apex.settings s;
    select h.position into head_position from apex.head h;
    loop
        select coalesce(max(p.to_position), 1), coalesce(max(substring(p.name from 8)::bigint), -1) + 1
        into next_from, next_number from apex.partitions p;
        exit when next_from > head_position + ahead * size;
        partition_name := 'events_' || lpad(next_number::text, greatest(6, length(next_number::text)), '0');
        -- Made apart and attached: that hinders neither readers nor appends, while "partition of" would wait for every
        -- open transaction that has read the log, and everybody else behind it.
        execute format('create table apex.%I (like apex.events including defaults, check (position >= %s and position < %s))',
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

-- Sets the size of partitions yet to be made. Those that are made but not begun are made again, so that the new size
-- holds soon. For the owner; appends and readers wait for the moment that it takes.
create function apex.set_partition_size(new_size bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    unused text;
begin
    perform pg_advisory_xact_lock(hashtext('apex.ensure_partitions'));
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
    perform apex.ensure_partitions(2);
end
$$;

-- Indexes the oldest sealed partition that is not indexed yet; returns its name, or null if there is none or another
-- process is at it. By category for readers of all tenants, by tenant and category for those of one: either order
-- serves positions as they come.
create function apex.index_sealed_partition() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    sealed text;
begin
    if not pg_try_advisory_xact_lock(hashtext('apex.index_sealed_partition')) then
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

revoke all on function apex.set_partition_size, apex.index_sealed_partition from public;
grant execute on function apex.index_sealed_partition to apex_app;
