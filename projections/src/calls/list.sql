select tenant_id, call_id, kind, agent_id, task_id, dag_id, conversation, user_id, team, key, provider, model, tool,
       service_tier, speed, region, outcome, tags, usage, usage_assumed, started_at, latency_ms, first_token_ms,
       cost, price_effective_from, price_tier, price_book_version, reported_cost, reported_cost_source, error,
       source, trace_id, span_id, parent_span_id, response_id, request_id, record_id, provenance, version, position
from apex.calls
where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or call_id = any ($2))
  and ($3::text is null or kind = $3) and ($4::uuid is null or agent_id = $4)
  and ($5::uuid is null or task_id = $5) and ($6::text is null or model = $6)
  and ($7::timestamptz is null or started_at >= $7) and ($8::timestamptz is null or started_at < $8)
  and (not $9 or (kind = 'llm' and cost is null))
  and ($10::timestamptz is null or (started_at, call_id) > ($10, $11))
  and ($13::uuid[] is null or agent_id = any ($13))
order by started_at, call_id limit $12
