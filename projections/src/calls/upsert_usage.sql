-- Adds the sums of a batch to the rows of the usage table. Trailing zeros are trimmed, and a meter whose sum is zero is
-- null, so that a sum is stored in the same form however the events were divided into batches.
--
-- A template: the words in braces are replaced by lists with an item for each meter that the batch uses, each item with a
-- comma before it.
insert into usage_hourly as u (
    tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
    latency_ms, cost, reported_cost{columns}
)
select tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
       latency_ms, trim_scale(cost), trim_scale(reported_cost){values}
from unnest(
    $1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::uuid[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::numeric[], $12::numeric[], $13::numeric[]{parameters}
) as s (
    tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
    latency_ms, cost, reported_cost{columns}
)
on conflict (tenant_id, hour, agent_id, provider, model, task_id) do update set
    calls = u.calls + excluded.calls,
    tool_calls = u.tool_calls + excluded.tool_calls,
    failed_calls = u.failed_calls + excluded.failed_calls,
    unpriced_calls = u.unpriced_calls + excluded.unpriced_calls,
    latency_ms = u.latency_ms + excluded.latency_ms,
    cost = trim_scale(u.cost + excluded.cost),
    reported_cost = trim_scale(u.reported_cost + excluded.reported_cost){updates}
