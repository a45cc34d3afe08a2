//! Whole-system tests, against a real PostgreSQL and a real Kafka broker.
//!
//! `make test` starts both. Each test has a database of its own, copied from a migrated template.

mod embedded;
mod harness;
mod log;
