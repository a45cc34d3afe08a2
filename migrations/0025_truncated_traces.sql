-- Spans beyond the limit of a request are in no trace, and their traces say so, as those with too many spans do. A trace may have
-- no other span yet: then its row is the first that is known of it, and expires as others do.
create function apex.truncate_traces(of_tenant text, trace_ids uuid[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    -- In the order of the ids, as `apex.keep_spans` locks them.
    insert into apex.traces as t (tenant_id, trace_id, span_count, is_truncated, seen_on)
    select distinct of_tenant, u.trace_id, 0, true, (clock_timestamp() at time zone 'UTC')::date
    from unnest(trace_ids) as u(trace_id) order by 2
    on conflict (tenant_id, trace_id) do update
        set is_truncated = true, seen_on = greatest(t.seen_on, excluded.seen_on);
$$;

revoke all on function apex.truncate_traces from public;
grant execute on function apex.truncate_traces to apex_app;
