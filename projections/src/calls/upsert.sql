insert into calls (
    tenant_id, call_id, kind, agent_id, task_id, dag_id, conversation, user_id, team, key, provider, model, tool,
    service_tier, speed, region, outcome, tags, usage, usage_assumed, started_at, latency_ms, first_token_ms, cost,
    price_effective_from, price_tier, price_book_version, reported_cost, reported_cost_source, error, source,
    trace_id, span_id, parent_span_id, response_id, request_id, record_id, provenance, version, position
)
select * from unnest(
    $1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::jsonb[], $19::jsonb[], $20::boolean[], $21::timestamptz[], $22::bigint[], $23::bigint[], $24::numeric[],
    $25::timestamptz[], $26::text[], $27::bigint[], $28::numeric[], $29::text[], $30::text[], $31::text[],
    $32::text[], $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::jsonb[], $39::bigint[],
    $40::bigint[]
)
on conflict (tenant_id, call_id) do update set
    agent_id = excluded.agent_id, task_id = excluded.task_id, dag_id = excluded.dag_id,
    conversation = excluded.conversation, user_id = excluded.user_id, team = excluded.team, key = excluded.key,
    provider = excluded.provider, model = excluded.model, tool = excluded.tool, service_tier = excluded.service_tier,
    speed = excluded.speed, region = excluded.region, outcome = excluded.outcome, tags = excluded.tags,
    usage = excluded.usage, usage_assumed = excluded.usage_assumed, started_at = excluded.started_at,
    latency_ms = excluded.latency_ms, first_token_ms = excluded.first_token_ms, cost = excluded.cost,
    price_effective_from = excluded.price_effective_from, price_tier = excluded.price_tier,
    price_book_version = excluded.price_book_version, reported_cost = excluded.reported_cost,
    reported_cost_source = excluded.reported_cost_source, error = excluded.error, source = excluded.source,
    trace_id = excluded.trace_id, span_id = excluded.span_id, parent_span_id = excluded.parent_span_id,
    response_id = excluded.response_id, request_id = excluded.request_id, record_id = excluded.record_id,
    provenance = excluded.provenance, version = excluded.version, position = excluded.position
