-- PostgreSQL's nested arrays must all have the same length, so the thresholds of each month are passed as text.
insert into budget_months (tenant_id, budget_id, month, starts_at, ends_at, spent, crossed, position)
select tenant, id, month, starts, ends, trim_scale(spent), crossed::integer[], position
from unnest(
    $1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::numeric[], $7::text[], $8::bigint[]
) as n (tenant, id, month, starts, ends, spent, crossed, position)
on conflict (tenant_id, budget_id, month) do update set
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, spent = excluded.spent,
    crossed = excluded.crossed, position = excluded.position
