with followers as (
    select follower, min(position) as position, max(updated_at) as updated_at, max(version) as version
    from apex.checkpoints group by follower
)
select n.name, coalesce(live.position, 0) as position, h.position - coalesce(live.position, 0) as lag_events,
       live.updated_at,
       (select count(*) from apex.parked_events p where p.projection = n.name) as parked_events,
       n.version as code_version, live.version, next.version as next_version, next.position as next_position,
       old.version as old_version
from unnest($1::text[], $2::int[]) with ordinality as n (name, version, number)
cross join apex.head h
left join followers live on live.follower = n.name
left join followers next on next.follower = n.name || '@next'
left join apex.old_projections old on old.projection = n.name
order by n.number
