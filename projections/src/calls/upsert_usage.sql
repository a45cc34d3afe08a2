-- Adds the sums of a batch to the rows of a rollup. Trailing zeros are trimmed, and a meter whose sum is zero is null, so
-- that a sum is stored in the same form however the events were divided into batches.
--
-- A template: the words in braces are replaced by the table, its key columns, its conflict target, the types of the
-- parameters, and by lists with an item for each meter that the batch uses, each item with a comma before it.
insert into {table} as u (
    {keys}, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls, latency_ms, cost, reported_cost, compared_cost,
    compared_reported_cost{columns}
)
select {keys}, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls,
       latency_ms, trim_scale(cost), trim_scale(reported_cost), nullif(trim_scale(compared_cost), 0),
       nullif(trim_scale(compared_reported_cost), 0){values}
from unnest({parameters}) as s (
    {keys}, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls, latency_ms, cost, reported_cost, compared_cost,
    compared_reported_cost{columns}
)
on conflict ({cell}) do update set
    calls = u.calls + excluded.calls,
    tool_calls = u.tool_calls + excluded.tool_calls,
    failed_calls = u.failed_calls + excluded.failed_calls,
    unpriced_calls = u.unpriced_calls + excluded.unpriced_calls,
    assumed_calls = u.assumed_calls + excluded.assumed_calls,
    latency_ms = u.latency_ms + excluded.latency_ms,
    cost = trim_scale(u.cost + excluded.cost),
    reported_cost = trim_scale(u.reported_cost + excluded.reported_cost),
    compared_cost = nullif(trim_scale(coalesce(u.compared_cost, 0) + coalesce(excluded.compared_cost, 0)), 0),
    compared_reported_cost = nullif(
        trim_scale(coalesce(u.compared_reported_cost, 0) + coalesce(excluded.compared_reported_cost, 0)), 0){updates}
