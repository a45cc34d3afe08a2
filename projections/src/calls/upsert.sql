insert into calls (
    tenant_id, call_id, kind, agent_id, task_id, provider, model, tool, usage,
    started_at, latency_ms, cost, price_effective_from, price_tier, price_book_version, reported_cost,
    error, source, version, position
)
select * from unnest(
    $1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::jsonb[],
    $10::timestamptz[], $11::bigint[], $12::numeric[], $13::timestamptz[], $14::text[], $15::bigint[], $16::numeric[],
    $17::text[], $18::text[], $19::bigint[], $20::bigint[]
)
on conflict (tenant_id, call_id) do update set
    agent_id = excluded.agent_id, task_id = excluded.task_id, provider = excluded.provider,
    model = excluded.model, tool = excluded.tool, usage = excluded.usage,
    started_at = excluded.started_at, latency_ms = excluded.latency_ms, cost = excluded.cost,
    price_effective_from = excluded.price_effective_from, price_tier = excluded.price_tier,
    price_book_version = excluded.price_book_version, reported_cost = excluded.reported_cost,
    error = excluded.error, version = excluded.version, position = excluded.position
