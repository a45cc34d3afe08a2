-- Snapshots: what the events of a long stream come to, so that loading an aggregate does not read them all.
--
-- Derived from the log, like the read models. A row may be deleted at any time, and so may all of them: then streams are
-- folded from their first event again.

create table apex.snapshots (
    tenant_id   text        not null,
    category    text        not null,
    stream_id   uuid        not null,
    -- The last event that is part of the state. Its id tells another history apart, such as that of a restored log.
    version     bigint      not null,
    position    bigint      not null,
    event_id    uuid        not null,
    recorded_at timestamptz not null,
    -- A fingerprint of the code that folded it. Other code does not read it.
    format      text        not null,
    state       json        not null,
    taken_at    timestamptz not null default now(),
    primary key (stream_id, category, tenant_id)
);

grant select, insert, update, delete on apex.snapshots to apex_app;
