-- A lookup in the index of the calls by trace for each span, whatever the statistics of the table say.
select c.tenant_id, c.call_id, c.kind, c.agent_id, c.task_id, c.dag_id, c.conversation, c.user_id, c.team, c.key, c.provider,
       c.model, c.tool, c.service_tier, c.speed, c.region, c.outcome, c.tags, c.usage, c.usage_assumed, c.started_at,
       c.latency_ms, c.first_token_ms, c.cost, c.price_effective_from, c.price_tier, c.price_book_version, c.reported_cost,
       c.reported_cost_source, c.error, c.source, c.trace_id, c.span_id, c.parent_span_id, c.response_id, c.request_id,
       c.record_id, c.provenance, c.version, c.position, s.place
from unnest($2::text[], $3::text[], $4::uuid[]) with ordinality as s(trace_id, span_id, sent_by, place)
cross join lateral (
    select * from apex.calls c
    where c.tenant_id = $1 and c.trace_id = s.trace_id and c.span_id = s.span_id
        and (s.sent_by = '00000000-0000-0000-0000-000000000000' or c.agent_id = s.sent_by)
        and ($5::uuid[] is null or c.agent_id = any ($5))
    order by c.kind <> 'llm', c.call_id
    limit 1
) c
