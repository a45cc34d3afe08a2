insert into budget_spend as s (tenant_id, scope_kind, scope_key, quarter, amount)
select tenant, kind, key, quarter, trim_scale(amount)
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::numeric[])
    as n (tenant, kind, key, quarter, amount)
on conflict (tenant_id, scope_kind, scope_key, quarter) do update set
    amount = trim_scale(s.amount + excluded.amount)
