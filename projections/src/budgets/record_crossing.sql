insert into budget_crossings (
    tenant_id, budget_id, month, threshold_percent, terms_version, spent, limit_amount,
    crossed_at_position, crossed_by_event, correlation_id, is_delivered
)
values ($1, $2, $3, $4, $5, trim_scale($6), trim_scale($7), $8, $9, $10, $11)
on conflict do nothing
