-- The rate limits of tenants are folded by every process as the grants are, so that the index of the streams about
-- identities has their category too. As before, appends wait while apex.streams is scanned.
drop index apex.streams_of_identities;
create index streams_of_identities on apex.streams (category, tenant_id, stream_id)
    where category in ('tenant', 'service_account', 'role_assignment', 'api_key', 'user', 'invitation', 'team', 'role', 'rate_limits');
