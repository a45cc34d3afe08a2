-- Those of each span before those of records of logs, which are in the order of their times.
with k as (
    select * from unnest($2::uuid[], $3::uuid[], $4::bigint[]) with ordinality as k(trace_id, sent_by, span_id, place)
)
select place, contents
from (
    select k.place, s.contents::text as contents, 0 as source, null::bigint as time_ns, null::uuid as record_id
    from k
    join apex.spans s
        on s.tenant_id = $1 and s.trace_id = k.trace_id and s.sent_by = k.sent_by and s.span_id = k.span_id
    where s.contents is not null
    union all
    select k.place, c.contents::text, 1, c.time_ns, c.record_id
    from k
    join apex.span_log_contents c
        on c.tenant_id = $1 and c.trace_id = k.trace_id and c.sent_by = k.sent_by and c.span_id = k.span_id
) found
order by place, source, time_ns, record_id
