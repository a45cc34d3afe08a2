-- A dead letter or a dropped job waits for an operator: another start of a process is no decision about it. A job that is
-- done was not recurring when it ran last.
insert into apex.jobs as j (job_id, kind, queue, payload, scheduled_at, available_at, is_due)
values ($1, $2, $2, '{}', clock_timestamp(), clock_timestamp(), true)
on conflict (job_id) do update set
    state = 'waiting', attempts = 0, finished_at = null,
    scheduled_at = excluded.scheduled_at, available_at = excluded.available_at, is_due = true
where j.state = 'done'
