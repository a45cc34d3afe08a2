-- Jobs: queues with due jobs are found without a look at those that have only future jobs, finished jobs are deleted
-- without a look at dropped ones, and a job whose kind has no handler any more can be dropped.
-- docs/adr/0017-jobs.md has the reasons.

-- Whether the job is among those by which queues with due jobs are found. The insertion of a job that is due sets it; for
-- one that becomes due later, apex.mark_due_jobs does. It is a hint: whether a job may be taken is what available_at says.
alter table apex.jobs add column is_due boolean not null default false;

create index jobs_due on apex.jobs (kind, queue) where is_due;
create index jobs_not_marked on apex.jobs (kind, available_at) where not is_due and state in ('waiting', 'leased');

-- Retention deletes jobs that are done, and keeps dropped ones.
drop index apex.jobs_finished;
create index jobs_done on apex.jobs (finished_at) where state = 'done';

-- Marks up to `max_jobs` jobs of these kinds that have become due, or whose lease has ended. Returns their number.
create function apex.mark_due_jobs(of_kinds text[], max_jobs integer) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    -- A variable: the end of an index range must not be volatile.
    now_at timestamptz := clock_timestamp();
    of_kind text;
    marked integer := 0;
    marked_of_kind integer;
begin
    foreach of_kind in array of_kinds loop
        update apex.jobs j set is_due = true
        where j.job_id = any (array(
            select n.job_id from apex.jobs n
            where n.kind = of_kind and not n.is_due and n.state in ('waiting', 'leased') and n.available_at <= now_at
            order by n.available_at
            limit max_jobs - marked
            for update skip locked
        ));
        get diagnostics marked_of_kind = row_count;
        marked := marked + marked_of_kind;
    end loop;
    return marked;
end
$$;

-- The queues after a name that have jobs of these kinds to be taken, with the kind, and the number of such jobs up to a
-- limit. Each queue is found by one look into an index of the jobs that are due, however many jobs it has, and however
-- many queues have only future jobs.
create or replace function apex.due_queues(of_kinds text[], after_queue text, max_queues integer, max_jobs integer)
returns table (queue text, kind text, due integer)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    now_at timestamptz := clock_timestamp();
    seen integer := 0;
    -- A queue is named KIND or KIND:DESTINATION.
    last_kind text collate "C" := split_part(after_queue, ':', 1);
    last_queue text collate "C" := after_queue;
begin
    while seen < max_queues loop
        select j.kind, j.queue into kind, queue from apex.jobs j
        where j.is_due and (j.kind, j.queue) > (last_kind, last_queue)
        order by j.kind, j.queue limit 1;
        exit when not found;
        last_kind := kind;
        if not kind = any (of_kinds) then
            -- Behind all queues of the kind: a semicolon follows the colon.
            last_queue := kind || ';';
            continue;
        end if;
        seen := seen + 1;
        last_queue := queue;
        select count(*) into due from (
            select from apex.jobs j
            where j.state in ('waiting', 'leased') and j.queue = last_queue and j.available_at <= now_at
            limit max_jobs
        ) as found_jobs;
        if due > 0 then
            return next;
        end if;
    end loop;
    -- The last row says where the next call continues; null: all queues were seen.
    queue := case when seen >= max_queues then last_queue end;
    kind := null;
    due := null;
    return next;
end
$$;

-- Deletes up to `max_jobs` jobs that were done longer ago than `retention`, the oldest first. Returns their number.
create function apex.delete_done_jobs(retention interval, max_jobs integer) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
    done_before timestamptz := clock_timestamp() - retention;
    deleted integer;
begin
    delete from apex.jobs j where j.job_id = any (array(
        select d.job_id from apex.jobs d
        where d.state = 'done' and d.finished_at < done_before
        order by d.finished_at
        limit max_jobs
        for update skip locked
    ));
    get diagnostics deleted = row_count;
    return deleted;
end
$$;

-- As before, with the end of the index range in a variable, and without the mark.
create or replace function apex.lease_job(of_queue text, lease interval, max_leased integer) returns setof apex.jobs
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    now_at timestamptz;
begin
    perform pg_advisory_xact_lock(1785358335, hashtext(of_queue));
    -- After the lock, which may have been waited for.
    now_at := clock_timestamp();
    if (
        select count(*) from apex.jobs j
        where j.state = 'leased' and j.queue = of_queue and j.available_at > now_at
    ) >= max_leased then
        return;
    end if;
    return query
        update apex.jobs j
        set state = 'leased', attempts = j.attempts + 1, fencing_token = j.fencing_token + 1,
            available_at = clock_timestamp() + lease, is_due = false
        where j.job_id = (
            select n.job_id from apex.jobs n
            where n.state in ('waiting', 'leased') and n.queue = of_queue and n.available_at <= now_at
            order by n.available_at, n.sequence
            limit 1
            for update skip locked
        )
        returning j.*;
end
$$;

-- Sets a dead letter or a dropped job waiting again, or drops a job that is a dead letter, is waiting, or was leased by a
-- runner that has died, and records who decided it. Returns the state that the job had, and whether the decision was
-- made; a state of null if there is no such job. A job in another state is not changed.
drop function apex.decide_job(uuid, text, text, text);
create function apex.decide_job(
    of_job uuid, decided text, decided_by text, because text, out previous_state text, out is_decided boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    job apex.jobs;
begin
    is_decided := false;
    select * into job from apex.jobs j where j.job_id = of_job for update;
    if not found then
        return;
    end if;
    previous_state := job.state;
    if decided = 'retry' and job.state in ('dead', 'dropped') then
        update apex.jobs j
        set state = 'waiting', attempts = 0, available_at = clock_timestamp(), finished_at = null, is_due = true
        where j.job_id = of_job;
    elsif decided = 'drop' and (
        job.state in ('dead', 'waiting') or job.state = 'leased' and job.available_at <= clock_timestamp()
    ) then
        update apex.jobs j set state = 'dropped', finished_at = clock_timestamp(), is_due = false
        where j.job_id = of_job;
    else
        return;
    end if;
    insert into apex.job_decisions (job_id, queue, decision, actor, reason, session_role)
    values (of_job, job.queue, decided, decided_by, because, session_user);
    is_decided := true;
end
$$;

revoke all on function apex.mark_due_jobs, apex.delete_done_jobs, apex.decide_job from public;
grant execute on function apex.mark_due_jobs, apex.delete_done_jobs, apex.decide_job to apex_app;
