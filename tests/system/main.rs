//! Whole-system tests, against a real PostgreSQL and a real Kafka broker.
//!
//! `make test` starts both. Each test has a database of its own, copied from a migrated template.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod ambiguous_records;
mod append_function;
mod archive;
mod archive_failures;
mod authorisation;
mod budget_model;
mod budgets;
mod call_ids;
mod calls;
mod command_ids;
mod command_line;
mod connections;
mod decisions;
mod embedded;
mod extreme_values;
mod fuzz;
mod graphql;
mod graphql_http;
mod graphql_reads;
mod group_commit;
mod hostile;
mod identities;
mod import;
mod import_limits;
mod jobs;
mod log;
mod meters;
mod metrics;
mod migrations;
mod model;
mod normalization;
mod operators;
mod partitions;
mod prices;
mod private_cluster;
mod projections;
mod readiness;
mod rejections;
mod relay;
mod replay;
mod report;
mod report_filters;
mod resume;
mod rollups;
mod serve;
mod slow_subscribers;
mod snapshots;
mod statements;
mod subscriptions;
mod sums;
mod tags;
mod versions;
mod workers;
