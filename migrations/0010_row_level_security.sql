-- Row-level security: what requests read is limited to one tenant by the database too, below the filters of the code.
-- docs/adr/0021-row-level-security.md gives the reasons. Locks every table for a moment, and scans none.
--
-- apex_reader is the role of the connections that serve reads of requests. It sees the rows of the tenant that the setting
-- `apex.tenant` of its session names, and none without the setting. apex_app, the role of everything else (commands, the
-- tail, projections, policies and their jobs, the relay, identities), sees all rows by a policy of its own. The owner of
-- the tables is not subject to policies; nobody else bypasses them.
--
-- apex_app is a member of apex_reader, so that every login that is a member of apex_app can work as both.

do $$
begin
    if not exists (select from pg_roles where rolname = 'apex_reader') then
        create role apex_reader nologin;
    end if;
exception
    -- Another database of the same cluster is being migrated at this moment.
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception '% may not create the role apex_reader: as a superuser, run "create role apex_reader nologin; '
            'grant apex_reader to apex_app", then `apex migrate` again', current_user
            using errcode = 'insufficient_privilege';
end
$$;

do $$
begin
    if not pg_has_role('apex_app', 'apex_reader', 'member') then
        grant apex_reader to apex_app;
    end if;
exception
    when unique_violation then null;
    when insufficient_privilege then
        raise exception '% may not grant the role apex_reader: as a superuser, run "grant apex_reader to apex_app", then '
            '`apex migrate` again', current_user
            using errcode = 'insufficient_privilege';
end
$$;

grant usage on schema apex to apex_reader;

-- Limits apex_reader to the rows of its tenant in a table, and lets apex_app see and change all rows. For the owner.
--
-- The setting is read by a subquery, which is evaluated once per statement instead of once per row.
create function apex.isolate_tenants(of_table regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format('alter table %s enable row level security', of_table);
    execute format('create policy own_tenant on %s for select to apex_reader '
                   'using (tenant_id = (select current_setting(''apex.tenant'', true)))', of_table);
    execute format('create policy all_tenants on %s to apex_app using (true) with check (true)', of_table);
end
$$;
revoke all on function apex.isolate_tenants from public;

-- Every table with rows of tenants: those of the log and its partitions, read models in all of their versions, and what
-- commands, workers and identities keep.
do $$
declare
    found regclass;
begin
    for found in
        select c.oid::regclass
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where n.nspname in ('apex', 'apex_next', 'apex_old', 'apex_check', 'apex_shape') and c.relkind in ('r', 'p')
        order by c.relkind desc, c.oid
    loop
        perform apex.isolate_tenants(found);
    end loop;
end
$$;

-- What requests read. Not among it: receipts, snapshots, jobs and the hashes of API keys, which only commands, workers and
-- the authenticator read; and the partitions of events, because the policies of a table do not hold in its partitions.
-- Partitions have policies of their own nevertheless, in case one is granted some day.
grant select on apex.events, apex.streams, apex.parked_events, apex.parking_decisions to apex_reader;
-- Without rows of tenants: which positions are archived, and what the read models have applied.
grant select on apex.archives, apex.checkpoints to apex_reader;

-- All versions of a read model: another one than the live one may be switched to.
do $$
declare
    found regclass;
begin
    for found in
        select c.oid::regclass
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join apex.projection_tables t on t.table_name = c.relname
        where n.nspname in ('apex', 'apex_next', 'apex_old') and c.relkind = 'r'
    loop
        execute format('grant select on %s to apex_reader', found);
    end loop;
end
$$;

-- As before, and new partitions have policies. They are granted to apex_app only.
create or replace function apex.make_partitions(ahead integer) returns integer
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
        perform apex.isolate_tenants(format('apex.%I', partition_name)::regclass);
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

-- As before, and the tables have policies. They are readable for requests once they are switched to: apex_reader may not
-- use the schema that they are built in.
create or replace function apex.make_projection(model text, slot text) returns void
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
        perform apex.isolate_tenants(format('%I.%I', slot, part)::regclass);
        execute format('grant select, insert, update, delete on %I.%I to apex_app', slot, part);
        execute format('grant select on %I.%I to apex_reader', slot, part);
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

-- Text search. Under a policy PostgreSQL does not use an index with an operator that is not leakproof, such as `@@`: it would
-- read every memory of the tenant. This function searches with the rights of the owner of the tables, and takes the
-- tenant from the same setting as the policy: no argument can name another one.
--
-- Returns the first `max_memories` memories after (`after_time`, `after_id`) in the order in which they were stored, under the
-- conditions of the statement that lists memories. Conditions that are null are not applied. The plan is made for the
-- values of each call: whether the index is of use depends on the words.
create function apex.find_memories(
    search text, only_ids uuid[], visible_to uuid, in_realm text, with_tag text, bound_to uuid,
    after_time timestamptz, after_id uuid, max_memories bigint
) returns table (
    tenant_id text, memory_id uuid, agent_id uuid, content text, tags text[], realm text, recalls bigint,
    stored_at timestamptz, recalled_at timestamptz, forgotten_at timestamptz, version bigint, "position" bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    own_tenant text := current_setting('apex.tenant', true);
    words_to_find tsquery := websearch_to_tsquery('simple', search);
begin
    return query
        select m.tenant_id, m.memory_id, m.agent_id, m.content, m.tags, m.realm, m.recalls, m.stored_at, m.recalled_at,
               m.forgotten_at, m.version, m.position
        from apex.memories m
        where m.tenant_id = own_tenant and m.words @@ words_to_find
            and (cardinality(only_ids) = 0 and m.forgotten_at is null or m.memory_id = any (only_ids))
            and (visible_to is null or m.agent_id = visible_to or m.realm <> 'private')
            and (bound_to is null or m.agent_id = bound_to or m.realm <> 'private')
            and (in_realm is null or m.realm = in_realm) and (with_tag is null or with_tag = any (m.tags))
            and (after_time is null or (m.stored_at, m.memory_id) > (after_time, after_id))
        order by m.stored_at, m.memory_id
        limit max_memories;
end
$$;
revoke all on function apex.find_memories from public;
grant execute on function apex.find_memories to apex_reader;
