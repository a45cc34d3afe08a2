-- Schedules of reports, statements and exports, and their runs: read models, as docs/adr/0036-schedules.md says.

insert into apex.projection_tables (projection, table_name) values
    ('schedules', 'schedules'),
    ('schedules', 'schedule_runs');

create table apex.schedules (
    tenant_id   text        not null,
    schedule_id uuid        not null,
    name        text        not null,
    status      text        not null,
    -- The definition and the owner as the event has them.
    definition  jsonb       not null,
    owner       jsonb       not null,
    reason      text,
    failure     text,
    defined_at  timestamptz not null,
    changed_at  timestamptz not null,
    last_ran_at timestamptz,
    version     bigint      not null,
    position    bigint      not null,
    primary key (tenant_id, schedule_id)
);
create index schedules_in_order on apex.schedules (tenant_id, defined_at, schedule_id);

-- A row for each event that says what a run, or several that were skipped, ended with.
create table apex.schedule_runs (
    tenant_id   text        not null,
    schedule_id uuid        not null,
    position    bigint      not null,
    outcome     text        not null,
    due_at      timestamptz,
    request     bigint,
    last_due_at timestamptz,
    skipped     bigint,
    period      text,
    period_from timestamptz,
    period_to   timestamptz,
    file        text,
    bytes       bigint,
    sha256      text,
    rows        bigint,
    known_at    bigint,
    reason      text,
    at          timestamptz not null,
    primary key (tenant_id, schedule_id, position)
);

grant select, insert, update, delete on apex.schedules, apex.schedule_runs to apex_app;
