-- Limits requests to the invoices of their tenant. It is apart from the tables, which a database from before row-level security can
-- have too: 0010 gives them their policies then.
do $$
declare
    part text;
begin
    foreach part in array array['invoices', 'invoice_variances'] loop
        if not exists (select from pg_policies where schemaname = 'apex' and tablename = part) then
            perform apex.isolate_tenants(format('apex.%I', part)::regclass);
        end if;
    end loop;
end
$$;
grant select on apex.invoices, apex.invoice_variances to apex_reader;
