-- Who was refused by budgets, and why, by minute: a read model, as docs/budgets.md says.

insert into apex.projection_tables (projection, table_name) values ('budget_refusals', 'budget_refusals');

-- Counts of a tenant are kept for 90 days before its last refusal.
create table apex.budget_refusals (
    tenant_id  text        not null,
    budget_id  uuid        not null,
    minute     timestamptz not null,
    reason     text        not null,
    -- The dimension that had no value; empty unless that is the reason.
    dimension  text        not null,
    -- The agent of the call; empty if it was not stated.
    agent      text        not null,
    -- The credential, such as key:UUID or user:UUID; empty if it is neither.
    credential text        not null,
    refusals   bigint      not null,
    position   bigint      not null,
    primary key (tenant_id, budget_id, minute, reason, dimension, agent, credential)
);
create index budget_refusals_by_minute on apex.budget_refusals (tenant_id, minute);

grant select, insert, update, delete on apex.budget_refusals to apex_app;
