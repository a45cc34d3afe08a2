-- Most calls belong to no task, and many to no agent. Their entries in these indexes answer no question, and writing the
-- entries is a good part of what it costs to record a call.
drop index apex.calls_by_agent;
drop index apex.calls_by_task;
create index calls_by_agent on apex.calls (tenant_id, agent_id, started_at) where agent_id is not null;
create index calls_by_task on apex.calls (tenant_id, task_id, started_at) where task_id is not null;
