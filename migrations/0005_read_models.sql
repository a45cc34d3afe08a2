-- Read models. All of them can be built again from the log.
--
-- Keys begin with the tenant. Money is NUMERIC with trailing zeros trimmed, so that a rebuilt row equals the live one
-- byte for byte, whatever the sizes of the batches.

insert into apex.projection_tables (projection, table_name) values
    ('agents', 'agents'),
    ('tasks', 'tasks'),
    ('calls', 'calls'),
    ('calls', 'usage_quarter_hourly'),
    ('calls', 'usage_daily'),
    ('calls', 'usage_hourly_by_tag'),
    ('memories', 'memories'),
    ('budgets', 'budgets'),
    ('budgets', 'budget_spend'),
    ('budgets', 'budget_months'),
    ('budgets', 'budget_crossings');

create table apex.agents (
    tenant_id     text        not null,
    agent_id      uuid        not null,
    name          text        not null,
    kind          text,
    model         text,
    labels        jsonb       not null,
    status        text        not null,
    reason        text,
    registered_at timestamptz not null,
    changed_at    timestamptz not null,
    version       bigint      not null,
    position      bigint      not null,
    primary key (tenant_id, agent_id)
);
create index agents_by_status on apex.agents (tenant_id, status);

create table apex.tasks (
    tenant_id    text        not null,
    task_id      uuid        not null,
    agent_id     uuid        not null,
    dag_id       uuid,
    title        text        not null,
    status       text        not null,
    percent      smallint    not null,
    note         text,
    outcome      text,
    submitted_at timestamptz not null,
    started_at   timestamptz,
    ended_at     timestamptz,
    version      bigint      not null,
    position     bigint      not null,
    primary key (tenant_id, task_id)
);
create index tasks_by_status on apex.tasks (tenant_id, status);
create index tasks_by_agent on apex.tasks (tenant_id, agent_id);

create table apex.calls (
    tenant_id            text        not null,
    call_id              uuid        not null,
    kind                 text        not null,
    agent_id             uuid,
    task_id              uuid,
    dag_id               uuid,
    conversation         text,
    user_id              text,
    team                 text,
    key                  text,
    provider             text,
    model                text,
    tool                 text,
    service_tier         text,
    speed                text,
    region               text,
    outcome              text,
    tags                 jsonb,
    usage                jsonb       not null,
    usage_assumed        boolean     not null,
    started_at           timestamptz not null,
    latency_ms           bigint,
    first_token_ms       bigint,
    cost                 numeric,
    price_effective_from timestamptz,
    price_tier           text,
    price_book_version   bigint,
    reported_cost        numeric,
    reported_cost_source text,
    error                text,
    trace_id             text,
    span_id              text,
    parent_span_id       text,
    response_id          text,
    request_id           text,
    record_id            text,
    provenance           jsonb,
    source               text        not null,
    version              bigint      not null,
    position             bigint      not null,
    primary key (tenant_id, call_id)
);
create index calls_by_time on apex.calls (tenant_id, started_at, call_id);
create index calls_by_agent on apex.calls (tenant_id, agent_id, started_at);
create index calls_by_task on apex.calls (tenant_id, task_id, started_at);
create index calls_by_dag on apex.calls (tenant_id, dag_id, started_at) where dag_id is not null;
create index calls_by_conversation on apex.calls (tenant_id, conversation, started_at) where conversation is not null;

-- Sums over calls. Reports read them instead of the calls, whichever table answers the dimensions of the report.
--
-- The columns of the sums, which each of the tables copies. This table is dropped after the last of them.
create table apex.usage_sums (
    calls                    bigint      not null,
    tool_calls               bigint      not null,
    failed_calls             bigint      not null,
    unpriced_calls           bigint      not null,
    latency_ms               numeric     not null,
    cost                     numeric     not null,
    reported_cost            numeric     not null,
    -- The sum of each meter; null instead of zero, which takes no space and no time to sum up.
    input_tokens             numeric,
    output_tokens            numeric,
    cache_read_tokens        numeric,
    cache_write_5min_tokens  numeric,
    cache_write_1hour_tokens numeric,
    reasoning_tokens         numeric,
    audio_input_tokens       numeric,
    audio_output_tokens      numeric,
    image_input_tokens       numeric,
    image_output_tokens      numeric,
    images                   numeric,
    requests                 numeric,
    searches                 numeric,
    media_ms                 numeric,
    characters               numeric
);

-- By quarter of an hour, the largest step that divides the days of every time zone, and by all dimensions with few values.
-- `cell` is a hash of these dimensions: it keeps the index short, whatever their number. The hour comes first in the index,
-- so that a report by hour reads the rows in its order.
create table apex.usage_quarter_hourly (
    tenant_id                text        not null,
    hour                     timestamptz not null,
    quarter                  timestamptz not null,
    cell                     uuid        not null,
    agent_id                 uuid,
    user_id                  text,
    team                     text,
    key                      text,
    provider                 text,
    model                    text,
    tool                     text,
    outcome                  text,
    source                   text,
    like apex.usage_sums
);
create unique index usage_quarter_hourly_cell on apex.usage_quarter_hourly (tenant_id, hour, quarter, cell);

-- By day (UTC), and by one dimension with many values, which `dimension` names: the columns of the others are null. A call
-- has a row for each of these dimensions, also for those of which it has no value.
create table apex.usage_daily (
    tenant_id                text        not null,
    dimension                text        not null,
    day                      timestamptz not null,
    task_id                  uuid,
    dag_id                   uuid,
    conversation             text,
    like apex.usage_sums
);
create unique index usage_daily_cell on apex.usage_daily (tenant_id, dimension, day, task_id, dag_id, conversation)
    nulls not distinct;
-- For reports on one value over any time.
create index usage_daily_by_task on apex.usage_daily (tenant_id, task_id, day) where dimension = 'task';
create index usage_daily_by_dag on apex.usage_daily (tenant_id, dag_id, day) where dimension = 'dag';
create index usage_daily_by_conversation on apex.usage_daily (tenant_id, conversation, day)
    where dimension = 'conversation';

-- By hour, and by the value of one declared tag. A call has a row for each of its tags under which it is counted, as its
-- events say. A report by a tag is of one key: it comes before the hour in the index.
create table apex.usage_hourly_by_tag (
    tenant_id                text        not null,
    hour                     timestamptz not null,
    tag_key                  text        not null,
    tag_value                text        not null,
    like apex.usage_sums
);
create unique index usage_hourly_by_tag_cell on apex.usage_hourly_by_tag (tenant_id, tag_key, hour, tag_value);
create index usage_hourly_by_tag_value on apex.usage_hourly_by_tag (tenant_id, tag_key, tag_value, hour);

drop table apex.usage_sums;

create table apex.memories (
    tenant_id    text        not null,
    memory_id    uuid        not null,
    agent_id     uuid        not null,
    content      text        not null,
    tags         text[]      not null,
    realm        text        not null,
    recalls      bigint      not null,
    stored_at    timestamptz not null,
    recalled_at  timestamptz,
    forgotten_at timestamptz,
    version      bigint      not null,
    position     bigint      not null,
    words        tsvector    not null generated always as (to_tsvector('simple', content)) stored,
    primary key (tenant_id, memory_id)
);
create index memories_by_words on apex.memories using gin (words);
create index memories_by_agent on apex.memories (tenant_id, agent_id);

create table apex.budgets (
    tenant_id    text        not null,
    budget_id    uuid        not null,
    name         text        not null,
    scope_kind   text        not null,
    scope_key    text        not null,
    limit_amount numeric     not null,
    currency     text        not null,
    time_zone    text        not null,
    thresholds   integer[]   not null,
    closed       boolean     not null,
    defined_at   timestamptz not null,
    version      bigint      not null,
    position     bigint      not null,
    primary key (tenant_id, budget_id)
);

-- Spending by quarter of an hour, the largest step that divides the months of every time zone: what was spent before a
-- budget was defined.
create table apex.budget_spend (
    tenant_id  text        not null,
    scope_kind text        not null,
    scope_key  text        not null,
    quarter    timestamptz not null,
    amount     numeric     not null,
    primary key (tenant_id, scope_kind, scope_key, quarter)
);

create table apex.budget_months (
    tenant_id text        not null,
    budget_id uuid        not null,
    month     text        not null,
    starts_at timestamptz not null,
    ends_at   timestamptz not null,
    spent     numeric     not null,
    -- The thresholds that the month crossed under the terms in force.
    crossed   integer[]   not null,
    position  bigint      not null,
    primary key (tenant_id, budget_id, month)
);

-- A threshold of a month is crossed once under each version of a budget's terms, in any month that has spending. Alerts
-- are delivered for the latest months only.
create table apex.budget_crossings (
    tenant_id           text    not null,
    budget_id           uuid    not null,
    month               text    not null,
    threshold_percent   integer not null,
    terms_version       bigint  not null,
    spent               numeric not null,
    limit_amount        numeric not null,
    crossed_at_position bigint  not null,
    crossed_by_event    uuid    not null,
    correlation_id      uuid    not null,
    is_delivered        boolean not null,
    -- The event of the alert, once it is in the log.
    alert_position      bigint,
    alerted_at          timestamptz,
    primary key (tenant_id, budget_id, month, threshold_percent, terms_version)
);
create index budget_crossings_to_alert
    on apex.budget_crossings (crossed_at_position, budget_id, month, threshold_percent)
    where is_delivered and alert_position is null;
create index budget_crossings_in_order
    on apex.budget_crossings (tenant_id, crossed_at_position, budget_id, month, threshold_percent);

grant select, insert, update, delete on
    apex.agents, apex.tasks, apex.calls, apex.usage_quarter_hourly, apex.usage_daily, apex.usage_hourly_by_tag,
    apex.memories, apex.budgets, apex.budget_spend, apex.budget_months, apex.budget_crossings
    to apex_app;
