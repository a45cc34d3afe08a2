select k.kind,
       (select count(*) from (
            select from apex.jobs j where j.kind = k.kind and j.state = 'waiting' limit $2
       ) as waiting) as waiting,
       (select count(*) from (
            select from apex.jobs j where j.kind = k.kind and j.state = 'dead' limit $2
       ) as dead) as dead_letters,
       greatest(coalesce(extract(epoch from clock_timestamp() - (
            select min(j.available_at) from apex.jobs j where j.kind = k.kind and j.state in ('waiting', 'leased')
       )), 0), 0)::double precision as lag_seconds
from unnest($1::text[]) as k (kind)
order by k.kind
