-- Limits requests to the schedules of their tenant. It is apart from the tables for the reason that 0032 gives.
do $$
declare
    part text;
begin
    foreach part in array array['schedules', 'schedule_runs'] loop
        if not exists (select from pg_policies where schemaname = 'apex' and tablename = part) then
            perform apex.isolate_tenants(format('apex.%I', part)::regclass);
        end if;
    end loop;
end
$$;
grant select on apex.schedules, apex.schedule_runs to apex_reader;
