insert into budgets (
    tenant_id, budget_id, name, scope_kind, scope_key, limit_amount, currency, time_zone, thresholds, closed,
    defined_at, version, position
)
values ($1, $2, $3, $4, $5, trim_scale($6), $7, $8, $9, false, $10, $11, $12)
on conflict (tenant_id, budget_id) do update set
    name = excluded.name, limit_amount = excluded.limit_amount, currency = excluded.currency,
    time_zone = excluded.time_zone, thresholds = excluded.thresholds, version = excluded.version,
    position = excluded.position
