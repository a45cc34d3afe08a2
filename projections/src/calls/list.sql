select {columns}
from apex.calls
where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or call_id = any ($2))
  and ($3::text is null or kind = $3) and ($4::uuid is null or agent_id = $4)
  and ($5::uuid is null or task_id = $5) and ($6::text is null or model = $6)
  and ($7::timestamptz is null or started_at >= $7) and ($8::timestamptz is null or started_at < $8)
  and (not $9 or (kind = 'llm' and cost is null))
  and ($10::timestamptz is null or (started_at, call_id) {after} ($10, $11))
  and ($13::uuid[] is null or agent_id = any ($13))
  and ($14::text is null or provider = $14) and ($15::text is null or tool = $15)
  and ($16::text is null or outcome = $16) and ($17::text is null or conversation = $17)
  and ($18::text is null or trace_id = $18)
order by started_at {direction}, call_id {direction} limit $12
