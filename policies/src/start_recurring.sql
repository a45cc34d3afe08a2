insert into apex.jobs as j (job_id, kind, queue, payload, scheduled_at, available_at)
values ($1, $2, $2, '{}', clock_timestamp(), clock_timestamp())
on conflict (job_id) do update set
    state = 'waiting', attempts = 0, finished_at = null,
    scheduled_at = excluded.scheduled_at, available_at = excluded.available_at
where j.state in ('done', 'dead', 'dropped')
