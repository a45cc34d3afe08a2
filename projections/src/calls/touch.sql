update calls set version = touched.version, position = touched.position
from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) touched (tenant_id, call_id, version, position)
where calls.tenant_id = touched.tenant_id and calls.call_id = touched.call_id
