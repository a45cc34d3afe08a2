//! The prices that Apex ships and the tables that it reads, compared with what other programs make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

mod independent;
mod sheets;
mod tables;
