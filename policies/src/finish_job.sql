-- The next state, the delay of a retry, and the interval of a recurring job or the time of its next run are given. A recurring
-- job with an interval skips the runs that it missed; one with a time does not.
update apex.jobs j set
    state = $3,
    attempts = case when $5::double precision is null and $7::timestamptz is null then j.attempts else 0 end,
    scheduled_at = next_run.at,
    available_at = case
        when $4::double precision is not null then clock_timestamp() + make_interval(secs => $4)
        else next_run.at
    end,
    last_error = $6,
    is_due = false,
    finished_at = case when $3 in ('done', 'dead') then clock_timestamp() end
from (
    select o.job_id, case
        when $7::timestamptz is not null then $7
        when $5::double precision is null then o.scheduled_at
        else o.scheduled_at + make_interval(secs => $5 * (
            1 + floor(greatest(extract(epoch from clock_timestamp() - o.scheduled_at), 0)::double precision / $5)))
    end as at
    from apex.jobs o where o.job_id = $1
) as next_run
where j.job_id = next_run.job_id and j.fencing_token = $2 and j.state = 'leased'
