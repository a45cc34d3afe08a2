-- By the clock, not by the start of the transaction: what waited for the lock of a checkpoint is due after what the
-- earlier holder inserted.
insert into apex.jobs (job_id, kind, queue, tenant_id, payload, scheduled_at, available_at, is_due)
select n.job_id, n.kind, n.queue, n.tenant_id, n.payload::json, n.due_at, n.due_at, n.due_at <= clock_timestamp()
from (
    select u.job_id, u.kind, u.queue, u.tenant_id, u.payload, coalesce(u.due_at, clock_timestamp()) as due_at, u.n
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        with ordinality as u (job_id, kind, queue, tenant_id, payload, due_at, n)
    order by u.n
) as n
order by n.n
on conflict (job_id) do nothing
