-- How many of the calls in a sum have usage that their reader assumed, because their records do not state it: reports show them
-- beside the calls without a price. docs/reports.md says what they are.
alter table apex.usage_quarter_hourly add column assumed_calls bigint not null default 0;
alter table apex.usage_daily add column assumed_calls bigint not null default 0;
alter table apex.usage_hourly_by_tag add column assumed_calls bigint not null default 0;
