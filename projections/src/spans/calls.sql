-- A lookup in the index of the calls by trace for each span, whatever the statistics of the table say.
select c.*, s.place
from unnest($2::text[], $3::text[], $4::uuid[]) with ordinality as s(trace_id, span_id, sent_by, place)
cross join lateral (
    select {columns} from apex.calls c
    where c.tenant_id = $1 and c.trace_id = s.trace_id and c.span_id = s.span_id
        and (s.sent_by = '00000000-0000-0000-0000-000000000000' or c.agent_id = s.sent_by)
        and ($5::uuid[] is null or c.agent_id = any ($5))
    order by c.kind <> 'llm', c.call_id
    limit 1
) c
