insert into budget_crossings (
    tenant_id, budget_id, month, threshold_percent, terms_version, spent, limit_amount,
    crossed_at_position, crossed_by_event, correlation_id, is_delivered, alert_position, alerted_at
)
values ($1, $2, $3, $4, $5, trim_scale($6), trim_scale($7), $8, $9, $10, true, $11, $12)
on conflict (tenant_id, budget_id, month, threshold_percent, terms_version) do update set
    spent = excluded.spent, limit_amount = excluded.limit_amount,
    crossed_at_position = excluded.crossed_at_position, crossed_by_event = excluded.crossed_by_event,
    correlation_id = excluded.correlation_id, is_delivered = true,
    alert_position = excluded.alert_position, alerted_at = excluded.alerted_at
