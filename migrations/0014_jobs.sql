-- Jobs: effects outside the log and timers, a row each. A policy writes them in the transaction that moves its checkpoint,
-- and a runner takes them when they are due. docs/adr/0017-jobs.md has the reasons.
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
    -- When the job was to run first; of a recurring job, when its current run was.
    scheduled_at timestamptz not null,
    -- Since when it may be taken: when it is due, after a failure when it is retried, while it is leased the end of the
    -- lease.
    available_at timestamptz not null,
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
create index jobs_dead on apex.jobs (kind, sequence) where state = 'dead';
create index jobs_finished on apex.jobs (state, finished_at) where state in ('done', 'dropped');

grant select, insert, update, delete on apex.jobs to apex_app;

-- The queues after a name that have jobs of these kinds to be taken, with the kind, and the number of such jobs up to a
-- limit. Each queue is found by one look into the index, however many jobs it has.
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
    seen integer := 0;
    last_queue text collate "C" := after_queue;
begin
    while seen < max_queues loop
        select j.queue, j.kind into queue, kind from apex.jobs j
        where j.state in ('waiting', 'leased') and j.queue > last_queue
        order by j.queue limit 1;
        exit when not found;
        seen := seen + 1;
        last_queue := queue;
        continue when not kind = any (of_kinds);
        select count(*) into due from (
            select from apex.jobs j
            where j.state in ('waiting', 'leased') and j.queue = last_queue and j.available_at <= clock_timestamp()
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

-- Leases the next due job of a queue, unless `max_leased` jobs of it are leased, by whichever process. Leases of one queue
-- are given one at a time, so that the limit holds; nobody waits for a job that another transaction has locked.
create function apex.lease_job(of_queue text, lease interval, max_leased integer) returns setof apex.jobs
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
begin
    perform pg_advisory_xact_lock(1785358335, hashtext(of_queue));
    if (
        select count(*) from apex.jobs j
        where j.state = 'leased' and j.queue = of_queue and j.available_at > clock_timestamp()
    ) >= max_leased then
        return;
    end if;
    return query
        update apex.jobs j
        set state = 'leased', attempts = j.attempts + 1, fencing_token = j.fencing_token + 1,
            available_at = clock_timestamp() + lease
        where j.job_id = (
            select n.job_id from apex.jobs n
            where n.state in ('waiting', 'leased') and n.queue = of_queue and n.available_at <= clock_timestamp()
            order by n.available_at, n.sequence
            limit 1
            for update skip locked
        )
        returning j.*;
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

-- Sets a dead job waiting again, or drops a job that is dead or waiting, and records who decided it. Returns the state
-- that the job had; null if there is no such job. A job in another state is not changed.
create function apex.decide_job(of_job uuid, decided text, decided_by text, because text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    job apex.jobs;
begin
    select * into job from apex.jobs j where j.job_id = of_job for update;
    if not found then
        return null;
    end if;
    if decided = 'retry' and job.state = 'dead' then
        update apex.jobs j
        set state = 'waiting', attempts = 0, available_at = clock_timestamp(), finished_at = null
        where j.job_id = of_job;
    elsif decided = 'drop' and job.state in ('dead', 'waiting') then
        update apex.jobs j set state = 'dropped', finished_at = clock_timestamp() where j.job_id = of_job;
    else
        return job.state;
    end if;
    insert into apex.job_decisions (job_id, queue, decision, actor, reason, session_role)
    values (of_job, job.queue, decided, decided_by, because, session_user);
    return job.state;
end
$$;

revoke all on function apex.due_queues, apex.lease_job, apex.decide_job from public;
grant execute on function apex.due_queues, apex.lease_job, apex.decide_job to apex_app;
