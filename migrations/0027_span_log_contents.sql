-- The prompts, responses and other texts that records of logs carry for spans, where an operator has switched on that they are
-- kept. A record comes by another request than its span, perhaps before it, and a span may have many: see
-- docs/adr/0031-spans.md.
create table apex.span_log_contents (
    tenant_id text not null,
    trace_id uuid not null,
    -- As in apex.spans.
    sent_by uuid not null,
    span_id bigint not null,
    -- An id of the content: a record that is sent again is the same one.
    record_id uuid not null,
    -- Nanoseconds since 1970.
    time_ns bigint,
    contents json not null check (octet_length(contents::text) <= 2097152),
    primary key (tenant_id, trace_id, sent_by, span_id, record_id)
);

select apex.isolate_tenants('apex.span_log_contents');
grant select, insert, update, delete on apex.span_log_contents to apex_app;
grant select on apex.span_log_contents to apex_reader;

alter table apex.traces add column log_record_count integer not null default 0 check (log_record_count >= 0);

-- Keeps the texts of records of a tenant: at most `max_records` of a trace, and `max_bytes` bytes and `max_of_span` records of a
-- span, those that come first. Returns the number of records that were left out. A record that is known never counts again, and
-- only one that is kept prolongs its trace: what an exporter sends each day is deleted as what it sent once.
create function apex.keep_span_log_contents(
    of_tenant text, sender uuid, max_records integer, max_of_span integer, max_bytes integer,
    trace_ids uuid[], span_ids bigint[], record_ids uuid[], times_ns bigint[], all_contents text[]
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    today date := (clock_timestamp() at time zone 'UTC')::date;
    sent record;
    of_span record;
    left_out integer := 0;
begin
    -- In the order of the ids, as apex.keep_spans locks them. The update changes nothing: it locks.
    insert into apex.traces as t (tenant_id, trace_id, span_count, seen_on)
    select distinct of_tenant, u.trace_id, 0, today from unnest(trace_ids) as u(trace_id) order by 2
    on conflict (tenant_id, trace_id) do update set seen_on = t.seen_on;

    for sent in
        select u.* from unnest(trace_ids, span_ids, record_ids, times_ns, all_contents)
            with ordinality as u(trace_id, span_id, record_id, time_ns, content, place)
        order by place
    loop
        select count(*) as records, coalesce(sum(octet_length(c.contents::text)), 0) as bytes,
               coalesce(bool_or(c.record_id = sent.record_id), false) as is_known
        into of_span
        from apex.span_log_contents c
        where c.tenant_id = of_tenant and c.trace_id = sent.trace_id and c.sent_by = sender and c.span_id = sent.span_id;
        continue when of_span.is_known;
        update apex.traces t set log_record_count = t.log_record_count + 1, seen_on = greatest(t.seen_on, today)
        where t.tenant_id = of_tenant and t.trace_id = sent.trace_id and t.log_record_count < max_records
            and of_span.records < max_of_span and of_span.bytes + octet_length(sent.content) <= max_bytes;
        if found then
            insert into apex.span_log_contents (tenant_id, trace_id, sent_by, span_id, record_id, time_ns, contents)
            values (of_tenant, sent.trace_id, sender, sent.span_id, sent.record_id, sent.time_ns, sent.content::json);
        else
            left_out := left_out + 1;
        end if;
    end loop;
    return left_out;
end
$$;

-- As before, with the texts of records.
create or replace function apex.delete_expired_traces(days integer, max_spans integer) returns integer
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
    expired record;
    spans integer := 0;
    deleted integer := 0;
begin
    for expired in
        select t.tenant_id, t.trace_id, t.span_count + t.log_record_count as row_count from apex.traces t
        where t.seen_on < kept_from
        order by t.seen_on
        limit max_spans
        for update skip locked
    loop
        exit when deleted > 0 and spans + expired.row_count > max_spans;
        delete from apex.spans s where s.tenant_id = expired.tenant_id and s.trace_id = expired.trace_id;
        delete from apex.span_log_contents c where c.tenant_id = expired.tenant_id and c.trace_id = expired.trace_id;
        delete from apex.traces t where t.tenant_id = expired.tenant_id and t.trace_id = expired.trace_id;
        spans := spans + expired.row_count;
        deleted := deleted + 1;
    end loop;
    return deleted;
end
$$;

revoke all on function apex.keep_span_log_contents from public;
grant execute on function apex.keep_span_log_contents to apex_app;
