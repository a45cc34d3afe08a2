-- Limits requests to the refusals of their tenant. It is apart from the table for the reason that 0032 gives.
do $$
begin
    if not exists (select from pg_policies where schemaname = 'apex' and tablename = 'budget_refusals') then
        perform apex.isolate_tenants('apex.budget_refusals'::regclass);
    end if;
end
$$;
grant select on apex.budget_refusals to apex_reader;
