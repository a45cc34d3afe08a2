-- Jobs: timers, and effects outside the log, one row per job. A policy inserts them in the transaction that advances
-- its checkpoint, and a runner takes them when they are due. docs/adr/0017-jobs.md gives the reasons.
create table apex.jobs (
    -- Derived from what the job is for, so that it is inserted once. It is the idempotency key of the job's effect.
    job_id uuid not null primary key,
    -- The order of insertion, for jobs that are due at the same time and for lists.
    sequence bigint not null generated always as identity unique,
    kind text collate "C" not null check (kind ~ '^[a-z][a-z0-9-]*$' and octet_length(kind) <= 63),
    -- KIND, or KIND:DESTINATION: a queue has jobs of one kind.
    queue text collate "C" not null check (
        (queue = kind or starts_with(queue, kind || ':')) and octet_length(queue) <= 255
    ),
    -- Null for jobs of the installation.
    tenant_id text,
    payload json not null check (octet_length(payload::text) <= 65536),
    state text not null default 'waiting' check (state in ('waiting', 'leased', 'done', 'dead', 'dropped')),
    -- When the job was to run first; for a recurring job, when its current run was.
    scheduled_at timestamptz not null,
    -- The time from which the job may be taken: its due time, after a failure the time of the retry, and while it is
    -- leased the end of the lease.
    available_at timestamptz not null,
    -- Whether due_queues finds the job's queue by this job. The insertion of a job that is due sets it; for a job that
    -- becomes due later, mark_due_jobs does. It is a hint: available_at decides whether a job may be taken.
    is_due boolean not null default false,
    attempts integer not null default 0 check (attempts >= 0),
    -- The number of leases there have ever been. Unlike the attempts it is never reset, so that it fences every earlier
    -- holder.
    fencing_token bigint not null default 0,
    last_error text check (octet_length(last_error) <= 4096),
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    check ((finished_at is not null) = (state in ('done', 'dead', 'dropped')))
);

-- The next job of a queue is the first entry of its range.
create index jobs_available on apex.jobs (queue, available_at, sequence) where state in ('waiting', 'leased');
create index jobs_leased on apex.jobs (queue) where state = 'leased';
create index jobs_active_by_kind on apex.jobs (kind, available_at) where state in ('waiting', 'leased');
-- The queues with due jobs, and the jobs that are still to be marked as due. With an index of all active jobs instead,
-- each search would visit every queue that has only future jobs.
create index jobs_due on apex.jobs (kind, queue) where is_due;
create index jobs_not_marked on apex.jobs (kind, available_at) where not is_due and state in ('waiting', 'leased');
create index jobs_dead on apex.jobs (kind, sequence) where state = 'dead';
-- Retention deletes jobs that are done. Dead letters and dropped jobs stay.
create index jobs_done on apex.jobs (finished_at) where state = 'done';

grant select, insert, update, delete on apex.jobs to apex_app;

-- The plans of the functions below are made while the table is still empty, and are kept. Sequential and bitmap scans
-- are off, so that each is an index lookup, which is right for any size. The end of an index range is a variable,
-- because it must not be volatile.

-- Marks up to `max_jobs` jobs of these kinds that have become due, or whose lease has ended. Returns their number.
create function apex.mark_due_jobs(of_kinds text[], max_jobs integer) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
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

-- The queues after `after_queue` that have due jobs of these kinds, with the kind and the number of such jobs, counted
-- up to `max_jobs`. The last row has no kind: its queue is where the next call continues, or null if all queues were
-- seen.
--
-- Each queue is found by one lookup in the index of marked jobs, however many jobs it has, and however many queues have
-- only future jobs.
create function apex.due_queues(of_kinds text[], after_queue text, max_queues integer, max_jobs integer)
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
            -- Continues after all queues of the kind, which are named KIND:DESTINATION: a semicolon follows the colon.
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
    queue := case when seen >= max_queues then last_queue end;
    kind := null;
    due := null;
    return next;
end
$$;

-- Leases the next due job of a queue, unless `max_leased` jobs of it are leased, by whichever process. Leases of one
-- queue are granted one at a time, so that the limit holds; a job that another transaction has locked is skipped.
create function apex.lease_job(of_queue text, lease interval, max_leased integer) returns setof apex.jobs
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
    -- Only now: acquiring the lock may have taken a while.
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

-- What operators decided about jobs. Append-only: it outlives the jobs.
create table apex.job_decisions (
    decision_id bigint not null generated always as identity primary key,
    job_id uuid not null,
    queue text not null,
    decision text not null check (decision in ('retry', 'drop')),
    actor text not null check (octet_length(trim(actor)) between 1 and 256),
    reason text not null check (octet_length(reason) <= 65536),
    session_role text not null,
    decided_at timestamptz not null default clock_timestamp()
);
create trigger append_only before update or delete or truncate on apex.job_decisions
    for each statement execute function apex.refuse_change();
grant select on apex.job_decisions to apex_app;

-- Retries a dead letter or a dropped job, or drops a job that is a dead letter, is waiting, or has a lease that ended,
-- and records who decided it. A job in another state is not changed. Returns the state that the job had, null if there
-- is no such job, and whether the decision was carried out.
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

revoke all on function apex.mark_due_jobs, apex.due_queues, apex.lease_job, apex.delete_done_jobs, apex.decide_job
    from public;
grant execute on function apex.mark_due_jobs, apex.due_queues, apex.lease_job, apex.delete_done_jobs, apex.decide_job
    to apex_app;
