-- Finds the tasks that were completed in a time range, for the cost of a completed task.
create index tasks_by_end on apex.tasks (tenant_id, ended_at) where status = 'completed';
