-- The calls of the tenant of the session after a cursor, in the order of their start. COPY has no parameters: the words in
-- braces are replaced by SQL, times, ids and numbers, never by text: the values of filters are in a setting of the transaction.
-- Agents are joined only if there are too many of them to look their names up in memory: the join takes longer than everything else.
copy (
    select c.call_id, c.kind, c.started_at, c.agent_id, {agent_name} as agent_name, c.task_id, c.dag_id, c.conversation, c.user_id,
           c.team, c.key, c.provider, c.model, c.tool, c.service_tier, c.speed, c.region, c.outcome, c.source, c.tags, c.usage,
           c.usage_assumed, c.latency_ms, c.first_token_ms, c.cost, c.price_tier, c.price_effective_from,
           c.price_book_version, c.reported_cost, c.reported_cost_source, c.trace_id, c.span_id, c.response_id, c.request_id,
           c.record_id, c.version, c.position
    from apex.calls c
    {join}
    where c.tenant_id = current_setting('apex.tenant') {conditions}
    order by c.started_at, c.call_id
    limit {limit}
) to stdout (format binary)
