-- The prompts, responses and other texts that spans carry, where an operator has switched on that they are kept: see
-- docs/adr/0031-spans.md. They are a column of the span, so that they are those of the export that is kept, and are deleted
-- and isolated with it. It is read by nothing but what shows them.
alter table apex.spans add column contents json check (octet_length(contents::text) <= 2097152);

-- As before, with the texts of each span. Servers of the version before leave them out.
drop function apex.keep_spans(
    text, uuid, integer, uuid[], bigint[], bigint[], text[], smallint[], bigint[], bigint[], smallint[], text[], uuid[], uuid[],
    text[], text[], smallint[], uuid[]
);
create function apex.keep_spans(
    of_tenant text, sender uuid, max_spans integer,
    trace_ids uuid[], span_ids bigint[], parent_span_ids bigint[], names text[], kinds smallint[], starts_ns bigint[],
    ends_ns bigint[], statuses smallint[], status_messages text[], agent_ids uuid[], resource_agent_ids uuid[],
    services text[], scopes text[], completenesses smallint[], content_ids uuid[],
    all_contents text[] default null
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    today date := (clock_timestamp() at time zone 'UTC')::date;
    counted record;
    left_out integer := 0;
begin
    -- In the order of the ids, so that requests with the same traces wait for each other instead of deadlocking.
    insert into apex.traces as t (tenant_id, trace_id, span_count, seen_on)
    select distinct of_tenant, u.trace_id, 0, today from unnest(trace_ids) as u(trace_id) order by 2
    on conflict (tenant_id, trace_id) do update set seen_on = greatest(t.seen_on, excluded.seen_on);

    -- The rows of the traces are locked now, and this statement sees all spans that others have added.
    for counted in
        with sent as (
            select u.*,
                   (select t.span_count from apex.traces t
                    where t.tenant_id = of_tenant and t.trace_id = u.trace_id) as span_count,
                   (select true from apex.spans s
                    where s.tenant_id = of_tenant and s.trace_id = u.trace_id and s.sent_by = sender
                        and s.span_id = u.span_id) is not null as is_known
            from unnest(trace_ids, span_ids, parent_span_ids, names, kinds, starts_ns, ends_ns, statuses, status_messages,
                        agent_ids, resource_agent_ids, services, scopes, completenesses, content_ids, all_contents)
                 with ordinality as u(trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                                      status_message, agent_id, resource_agent_id, service, scope, completeness,
                                      content_id, contents, place)
        ), placed as (
            select sent.*, is_known or span_count + count(*) filter (where not is_known)
                       over (partition by trace_id order by place) <= max_spans as is_kept
            from sent
        ), written as (
            insert into apex.spans as s (
                tenant_id, trace_id, sent_by, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                status_message, agent_id, resource_agent_id, service, scope, completeness, content_id, contents
            )
            select of_tenant, trace_id, sender, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                   status_message, agent_id, resource_agent_id, service, scope, completeness, content_id, contents::json
            from placed where is_kept
            on conflict (tenant_id, trace_id, sent_by, span_id) do update set
                parent_span_id = excluded.parent_span_id, name = excluded.name, kind = excluded.kind,
                start_ns = excluded.start_ns, end_ns = excluded.end_ns, status = excluded.status,
                status_message = excluded.status_message, agent_id = excluded.agent_id,
                resource_agent_id = excluded.resource_agent_id, service = excluded.service, scope = excluded.scope,
                completeness = excluded.completeness, content_id = excluded.content_id,
                contents = excluded.contents
            where (coalesce(excluded.end_ns, 0), excluded.completeness, excluded.content_id)
                > (coalesce(s.end_ns, 0), s.completeness, s.content_id)
        )
        select trace_id, count(*) filter (where is_kept and not is_known) as added,
               count(*) filter (where not is_kept) as omitted
        from placed group by trace_id
    loop
        if counted.added > 0 or counted.omitted > 0 then
            update apex.traces t
            set span_count = t.span_count + counted.added, is_truncated = t.is_truncated or counted.omitted > 0
            where t.tenant_id = of_tenant and t.trace_id = counted.trace_id;
        end if;
        left_out := left_out + counted.omitted;
    end loop;
    return left_out;
end
$$;

revoke all on function apex.keep_spans from public;
grant execute on function apex.keep_spans to apex_app;
