insert into calls (
    tenant_id, call_id, kind, agent_id, task_id, provider, model, tool,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    started_at, latency_ms, cost, price_effective_from, price_tier, price_book_version, reported_cost,
    error, source, version, position
)
select * from unnest(
    $1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
    $14::timestamptz[], $15::bigint[], $16::numeric[], $17::timestamptz[], $18::text[], $19::bigint[], $20::numeric[],
    $21::text[], $22::text[], $23::bigint[], $24::bigint[]
)
on conflict (tenant_id, call_id) do update set
    agent_id = excluded.agent_id, task_id = excluded.task_id, provider = excluded.provider,
    model = excluded.model, tool = excluded.tool, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cache_read_tokens = excluded.cache_read_tokens,
    cache_write_tokens = excluded.cache_write_tokens, reasoning_tokens = excluded.reasoning_tokens,
    started_at = excluded.started_at, latency_ms = excluded.latency_ms, cost = excluded.cost,
    price_effective_from = excluded.price_effective_from, price_tier = excluded.price_tier,
    price_book_version = excluded.price_book_version, reported_cost = excluded.reported_cost,
    error = excluded.error, version = excluded.version, position = excluded.position
