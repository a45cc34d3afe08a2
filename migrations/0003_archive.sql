-- Archiving: sealed partitions leave the database, oldest first, once a file holds their events.
--
-- The archived events are always the beginning of the log: positions 1 to the last one of the newest archive. A reader
-- therefore needs one number to tell whether events that it asks for are archived, and cannot skip any by mistake.

create table apex.archives (
    -- The name of the partition; the file is NAME.parquet.
    name              text        not null primary key,
    first_position    bigint      not null unique,
    last_position     bigint      not null unique,
    first_recorded_at timestamptz not null,
    last_recorded_at  timestamptz not null,
    -- The directory that the file was written to.
    folder            text        not null,
    bytes             bigint      not null,
    -- The digest of the file.
    sha256            bytea       not null,
    -- The digest of the content hashes of the events, in the order of positions.
    content_sha256    bytea       not null,
    archived_at       timestamptz not null default now(),
    check (first_position <= last_position)
);
create trigger append_only before update or delete or truncate on apex.archives
    for each statement execute function apex.refuse_change();
grant select on apex.archives to apex_app;

-- Keeps the receipts of commands whose events are about to leave the database. The receipt in the row of a stream takes
-- its position from the first event of the stream: this function copies the position to the row, so that a retry still
-- gets it.
--
-- Handles the next 1000 positions of a sealed partition, and returns whether there are more. It locks rows in the same
-- order as appends, which prevents deadlocks, and few at a time, so that appends wait only briefly.
create function apex.keep_receipts(partition_name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
    part apex.partitions;
    first bigint;
    beyond bigint;
begin
    select * into part from apex.partitions p
    where p.name = partition_name and p.to_position <= (select h.position from apex.head h);
    first := greatest(part.from_position, part.receipts_kept_below);
    beyond := least(part.to_position, first + 1000);
    if part is null or first >= beyond then
        return false;
    end if;
    with born as (
        select s.stream_id, s.category, s.tenant_id, e.position
        from apex.events e
        join apex.streams s
            on s.stream_id = e.stream_id and s.category = e.category and s.tenant_id = e.tenant_id
        where e.position >= first and e.position < beyond and e.version = 1
            and s.first_command is not null and s.first_position is null
        order by s.stream_id, s.category, s.tenant_id
        for no key update of s
    )
    update apex.streams s set first_position = born.position from born
    where s.stream_id = born.stream_id and s.category = born.category and s.tenant_id = born.tenant_id;
    update apex.partitions p set receipts_kept_below = beyond where p.name = partition_name;
    return beyond < part.to_position;
end
$$;

-- Records an archive and drops the partition that it holds, in one transaction. It is the only way in which events
-- leave the database. To detach the partition, it waits for all current readers of the log, and new ones wait for it:
-- set lock_timeout.
create function apex.archive_partition(
    partition_name text, first_at timestamptz, last_at timestamptz,
    to_folder text, file_bytes bigint, file_sha256 bytea, events_sha256 bytea
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    part apex.partitions;
    behind text;
begin
    select * into part from apex.partitions p where p.name = partition_name;
    if not found then
        raise exception 'there is no partition %', partition_name using errcode = 'undefined_table';
    end if;
    if part.from_position <> (select coalesce(max(a.last_position), 0) + 1 from apex.archives a) then
        raise exception 'partition % is not the oldest', partition_name
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    if part.to_position > (select h.position from apex.head h) then
        raise exception 'partition % is not complete', partition_name
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    if part.receipts_kept_below < part.to_position then
        raise exception 'receipts of partition % are not kept', partition_name
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    select string_agg(c.name, ', ' order by c.name) into behind
    from apex.checkpoints c where c.position < part.to_position - 1;
    if behind is not null then
        raise exception 'partition % is not passed by: %', partition_name, behind
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    insert into apex.archives (name, first_position, last_position, first_recorded_at, last_recorded_at, folder, bytes,
                               sha256, content_sha256)
    values (part.name, part.from_position, part.to_position - 1, first_at, last_at, to_folder, file_bytes,
            file_sha256, events_sha256);
    delete from apex.partitions p where p.name = part.name;
    execute format('alter table apex.events detach partition apex.%I', part.name);
    execute format('drop table apex.%I', part.name);
end
$$;

-- The first position at or after a time, among those that are not archived; one past the head if there is none yet.
-- Positions have no gaps and times never decrease, so it is a binary search by primary key.
create function apex.position_at(moment timestamptz) returns bigint
language plpgsql stable as $$
declare
    low bigint;
    high bigint;
    middle bigint;
    at timestamptz;
begin
    select coalesce(max(last_position), 0) + 1 into low from apex.archives;
    select position + 1 into high from apex.head;
    while low < high loop
        middle := (low + high) / 2;
        select recorded_at into at from apex.events where position = middle;
        if at is null then
            raise exception 'position % is being archived; try again', middle using errcode = 'serialization_failure';
        end if;
        if at < moment then
            low := middle + 1;
        else
            high := middle;
        end if;
    end loop;
    return low;
end
$$;

revoke all on function apex.keep_receipts, apex.archive_partition, apex.position_at from public;
grant execute on function apex.position_at to apex_app;
