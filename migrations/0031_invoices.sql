-- The read model of invoices of providers, and of how they differ from what was charged. docs/adr/0035-invoices.md gives the
-- reasons.

insert into apex.projection_tables (projection, table_name) values
    ('invoices', 'invoices'),
    ('invoices', 'invoice_variances');

create table apex.invoices (
    tenant_id         text        not null,
    invoice_id        uuid        not null,
    provider          text        not null,
    account           text,
    number            text,
    period_from       date        not null,
    period_to         date        not null,
    currency          text        not null,
    format            text        not null,
    file              text,
    content           uuid        not null,
    revision          bigint      not null,
    lines             bigint      not null,
    recorded_lines    bigint      not null,
    amount            numeric     not null,
    -- Of the last comparison; null before there is one.
    compared_position bigint,
    billed            numeric,
    expected          numeric,
    difference        numeric,
    causes            jsonb,
    variances         bigint,
    tolerance         numeric,
    calls             bigint,
    unpriced_calls    bigint,
    unvalued_lines    bigint,
    reconciled_at     timestamptz,
    recorded_at       timestamptz not null,
    revised_at        timestamptz not null,
    withdrawn_at      timestamptz,
    withdrawn_reason  text,
    version           bigint      not null,
    position          bigint      not null,
    primary key (tenant_id, invoice_id)
);
create index invoices_in_order on apex.invoices (tenant_id, recorded_at, invoice_id);

-- The variances of the last comparison of an invoice.
create table apex.invoice_variances (
    tenant_id         text    not null,
    invoice_id        uuid    not null,
    number            bigint  not null,
    cause             text    not null,
    detail            text    not null,
    day               date    not null,
    model             text,
    meter             text,
    line              bigint,
    lines             bigint  not null,
    billed_quantity   numeric,
    expected_quantity numeric,
    billed            numeric not null,
    expected          numeric not null,
    difference        numeric not null,
    primary key (tenant_id, invoice_id, number)
);

grant select, insert, update, delete on apex.invoices, apex.invoice_variances to apex_app;
