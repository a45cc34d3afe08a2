-- The tables with a column that names a tenant that lack row-level security, or have other policies than the two.
select n.nspname || '.' || c.relname
    || case when c.relrowsecurity then ' has other policies' else ' has no row-level security' end
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname like 'apex%' and c.relkind in ('r', 'p')
    and exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname like '%tenant%' and not a.attisdropped
    )
    and (not c.relrowsecurity or array(
        select concat_ws(' ', p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check)
        from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname order by p.policyname
    ) <> array[
        'all_tenants PERMISSIVE {apex_app} ALL true true',
        'own_tenant PERMISSIVE {apex_reader} SELECT (tenant_id = ( SELECT current_setting(''apex.tenant''::text, true) AS current_setting))'
    ])
order by 1
