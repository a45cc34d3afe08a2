-- Read models that are fed from Kafka, by partitions of topics.
--
-- A projection is fed from the log or from Kafka, never from both. Its checkpoint says in either case that everything
-- up to there is applied. From Kafka, partitions may be ahead of it: the rows here say how far.

alter table apex.checkpoints
    add column source text not null default 'log' check (source in ('log', 'kafka'));

create table apex.partition_checkpoints (
    projection text    not null,
    topic      text    not null,
    partition  integer not null,
    -- How many the topic had. With another number of partitions, streams move between them.
    partitions integer not null,
    -- Of the log: what the partition has up to there is applied.
    position   bigint  not null,
    primary key (projection, topic, partition)
);

grant select, insert, update, delete on apex.partition_checkpoints to apex_app;
