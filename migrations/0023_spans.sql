-- The spans that exporters of OpenTelemetry send, so that a trace can be drawn. They are derived telemetry beside the log: what
-- is charged by them is in events, and these rows are deleted after a time. docs/adr/0031-spans.md gives the reasons.

-- The traces that have spans here. Who adds spans to a trace locks its row, so that their number is exact.
create table apex.traces (
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]*$' and octet_length(tenant_id) <= 63),
    trace_id uuid not null,
    span_count integer not null check (span_count >= 0),
    -- Whether spans were left out, because there are too many.
    is_truncated boolean not null default false,
    -- The day (UTC) on which spans of the trace last arrived. All spans of a trace expire together.
    seen_on date not null,
    primary key (tenant_id, trace_id)
);
create index traces_by_age on apex.traces (seen_on);

create table apex.spans (
    tenant_id text not null,
    trace_id uuid not null,
    -- The agent that the credential of the exporter is bound to; nil if it is bound to none. No agent changes what another
    -- one sent.
    sent_by uuid not null,
    -- 64 bits, which SQL shows as a signed number.
    span_id bigint not null,
    parent_span_id bigint,
    name text check (octet_length(name) <= 256),
    -- 1 internal, 2 server, 3 client, 4 producer, 5 consumer, as OTLP has them.
    kind smallint check (kind between 1 and 5),
    -- Nanoseconds since 1970. A span without an end was exported while it ran.
    start_ns bigint,
    end_ns bigint,
    -- 0 unset, 1 ok, 2 error, as OTLP has them.
    status smallint not null check (status between 0 and 2),
    status_message text check (octet_length(status_message) <= 1024),
    -- The agent that the attributes of the span name, and the one that those of its resource name.
    agent_id uuid,
    resource_agent_id uuid,
    service text check (octet_length(service) <= 256),
    scope text check (octet_length(scope) <= 256),
    -- Of several exports of a span the one with the latest end is kept, then the one that says more, then any, as long as it is
    -- the same one in whatever order they come: see `ExportedSpan::rank`.
    completeness smallint not null,
    content_id uuid not null,
    primary key (tenant_id, trace_id, sent_by, span_id)
);

select apex.isolate_tenants('apex.traces');
select apex.isolate_tenants('apex.spans');
grant select, insert, update, delete on apex.traces, apex.spans to apex_app;
grant select on apex.traces, apex.spans to apex_reader;

-- The calls of a trace. Most calls of other sources have none.
create index calls_by_trace on apex.calls (tenant_id, trace_id, span_id) where trace_id is not null;

-- Keeps spans of a tenant, at most `max_spans` of a trace. No two of the spans are the same one. Returns the number of spans
-- that were left out because their traces have too many. A span that is known never counts again.
--
-- Every table is read by subqueries that look one primary key up: a join could be planned to read the whole table while its
-- statistics are outdated, as they are while it grows fast.
create function apex.keep_spans(
    of_tenant text, sender uuid, max_spans integer,
    trace_ids uuid[], span_ids bigint[], parent_span_ids bigint[], names text[], kinds smallint[], starts_ns bigint[],
    ends_ns bigint[], statuses smallint[], status_messages text[], agent_ids uuid[], resource_agent_ids uuid[],
    services text[], scopes text[], completenesses smallint[], content_ids uuid[]
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
                        agent_ids, resource_agent_ids, services, scopes, completenesses, content_ids)
                 with ordinality as u(trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                                      status_message, agent_id, resource_agent_id, service, scope, completeness,
                                      content_id, place)
        ), placed as (
            select sent.*, is_known or span_count + count(*) filter (where not is_known)
                       over (partition by trace_id order by place) <= max_spans as is_kept
            from sent
        ), written as (
            insert into apex.spans as s (
                tenant_id, trace_id, sent_by, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                status_message, agent_id, resource_agent_id, service, scope, completeness, content_id
            )
            select of_tenant, trace_id, sender, span_id, parent_span_id, name, kind, start_ns, end_ns, status,
                   status_message, agent_id, resource_agent_id, service, scope, completeness, content_id
            from placed where is_kept
            on conflict (tenant_id, trace_id, sent_by, span_id) do update set
                parent_span_id = excluded.parent_span_id, name = excluded.name, kind = excluded.kind,
                start_ns = excluded.start_ns, end_ns = excluded.end_ns, status = excluded.status,
                status_message = excluded.status_message, agent_id = excluded.agent_id,
                resource_agent_id = excluded.resource_agent_id, service = excluded.service, scope = excluded.scope,
                completeness = excluded.completeness, content_id = excluded.content_id
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

-- Deletes the traces to which no span has come since `days` days ago, the oldest first: as many as have `max_spans` spans
-- together, and at least one. With 0 days all traces expire. Returns the number of traces.
create function apex.delete_expired_traces(days integer, max_spans integer) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    kept_from date := (clock_timestamp() at time zone 'UTC')::date - days + (days = 0)::integer;
    found record;
    spans integer := 0;
    deleted integer := 0;
begin
    for found in
        select t.tenant_id, t.trace_id, t.span_count from apex.traces t
        where t.seen_on < kept_from
        order by t.seen_on
        limit max_spans
        for update skip locked
    loop
        exit when deleted > 0 and spans + found.span_count > max_spans;
        delete from apex.spans s where s.tenant_id = found.tenant_id and s.trace_id = found.trace_id;
        delete from apex.traces t where t.tenant_id = found.tenant_id and t.trace_id = found.trace_id;
        spans := spans + found.span_count;
        deleted := deleted + 1;
    end loop;
    return deleted;
end
$$;

revoke all on function apex.keep_spans, apex.delete_expired_traces from public;
grant execute on function apex.keep_spans, apex.delete_expired_traces to apex_app;
