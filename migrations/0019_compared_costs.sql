-- Sums by which reports compare the charged cost with the one that sources reported: over the calls that have both. Null
-- instead of zero, as for meters. docs/adr/0028-price-sources.md gives the reasons.
alter table apex.usage_quarter_hourly add column compared_cost numeric, add column compared_reported_cost numeric;
alter table apex.usage_daily add column compared_cost numeric, add column compared_reported_cost numeric;
alter table apex.usage_hourly_by_tag add column compared_cost numeric, add column compared_reported_cost numeric;
