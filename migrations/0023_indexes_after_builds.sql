-- The tables that a read model is built in have only the indexes that its statements need, which are the unique ones. The others
-- are made at the end of the build, from all rows at once: adding each row to each of them is a good part of what a build costs.

-- As before, without the indexes that are not unique.
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
            select copy.name as copied, original.name as wanted, original.is_unique
            from (
                select c.relname as name, row_number() over (order by i.indexrelid) as place
                from pg_index i join pg_class c on c.oid = i.indexrelid
                where i.indrelid = format('%I.%I', slot, part)::regclass
            ) as copy
            join (
                select c.relname as name, i.indisunique as is_unique, row_number() over (order by i.indexrelid) as place
                from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = shape
            ) as original using (place)
        loop
            if not made.is_unique then
                execute format('drop index %I.%I', slot, made.copied);
            elsif made.copied <> made.wanted then
                execute format('alter index %I.%I rename to %I', slot, made.copied, made.wanted);
            end if;
        end loop;
    end loop;
    if not exists (select from apex.projection_tables where projection = model) then
        raise exception 'there is no read model %', model using errcode = 'undefined_object';
    end if;
end
$$;

-- Makes the indexes that the tables of a version under construction do not have yet. Nothing is written to a table meanwhile.
create function apex.index_projection(model text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    shape regclass;
    missing record;
begin
    for part in select table_name from apex.projection_tables where projection = model order by table_name loop
        shape := coalesce(to_regclass(format('apex_shape.%I', part)), to_regclass(format('apex.%I', part)));
        for missing in
            select c.relname as name, pg_get_indexdef(i.indexrelid) as definition
            from pg_index i join pg_class c on c.oid = i.indexrelid
            where i.indrelid = shape and not i.indisunique and to_regclass(format('apex_next.%I', c.relname)) is null
            order by i.indexrelid
        loop
            -- What follows the name of the table: the method, the columns and the condition.
            execute format('create index %I on apex_next.%I %s', missing.name, part,
                           substr(missing.definition, position(' USING ' in missing.definition)));
        end loop;
    end loop;
end
$$;

revoke all on function apex.index_projection from public;
grant execute on function apex.index_projection to apex_app;
