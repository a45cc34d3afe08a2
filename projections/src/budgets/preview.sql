select kind, usage, started_at, cost
from apex.calls
where tenant_id = $1 and started_at >= $2 and started_at < $3
  and ($4::uuid is null or agent_id = $4) and ($5::uuid is null or task_id = $5)
  and ($6::uuid is null or dag_id = $6) and ($7::text is null or conversation = $7)
  and ($8::text is null or user_id = $8) and ($9::text is null or team = $9)
  and ($10::text is null or key = $10) and ($11::text is null or provider = $11)
  and ($12::text is null or model = $12) and ($13::text is null or tool = $13)
  and ($14::jsonb is null or tags @> $14)
order by started_at, call_id limit $15
