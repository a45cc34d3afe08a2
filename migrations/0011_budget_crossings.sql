-- A threshold of a month is crossed once under each version of a budget's terms, and in months of long ago too; alerts
-- are raised for the latest months alone. Version 2 of the read model of budgets records this.
--
-- Processes of older code are stopped first: they can append nothing from here on.

alter table apex.budget_months add column crossed integer[] not null default '{}';

alter table apex.budget_crossings
    add column terms_version bigint not null default 1,
    add column is_delivered boolean not null default true;
update apex.budget_crossings c set terms_version = b.version
from apex.budgets b where (b.tenant_id, b.budget_id) = (c.tenant_id, c.budget_id);
alter table apex.budget_crossings
    drop constraint budget_crossings_pkey,
    add primary key (tenant_id, budget_id, month, threshold_percent, terms_version);

drop index apex.budget_crossings_to_alert;
create index budget_crossings_to_alert
    on apex.budget_crossings (crossed_at_position, budget_id, month, threshold_percent)
    where is_delivered and alert_position is null;
create index budget_crossings_in_order
    on apex.budget_crossings (tenant_id, crossed_at_position, budget_id, month, threshold_percent);
