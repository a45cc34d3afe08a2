-- Adds the sums of a batch to the rows of the usage table. Trailing zeros are trimmed, so that a sum is stored in the
-- same form however the events were divided into batches.
insert into usage_hourly as u (
    tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, latency_ms,
    cost, reported_cost
)
select tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
       input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, latency_ms,
       trim_scale(cost), trim_scale(reported_cost)
from unnest(
    $1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::uuid[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
    $11::numeric[], $12::numeric[], $13::numeric[], $14::numeric[], $15::numeric[], $16::numeric[],
    $17::numeric[], $18::numeric[]
) as s (
    tenant_id, hour, agent_id, provider, model, task_id, calls, tool_calls, failed_calls, unpriced_calls,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, latency_ms,
    cost, reported_cost
)
on conflict (tenant_id, hour, agent_id, provider, model, task_id) do update set
    calls = u.calls + excluded.calls,
    tool_calls = u.tool_calls + excluded.tool_calls,
    failed_calls = u.failed_calls + excluded.failed_calls,
    unpriced_calls = u.unpriced_calls + excluded.unpriced_calls,
    input_tokens = u.input_tokens + excluded.input_tokens,
    output_tokens = u.output_tokens + excluded.output_tokens,
    cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
    reasoning_tokens = u.reasoning_tokens + excluded.reasoning_tokens,
    latency_ms = u.latency_ms + excluded.latency_ms,
    cost = trim_scale(u.cost + excluded.cost),
    reported_cost = trim_scale(u.reported_cost + excluded.reported_cost)
