//! Sending alerts to endpoints: webhooks, chats, on-call services and e-mail addresses.
//!
//! A delivery is a job. It is sent at least once, always under the same id, by which a receiver recognises what it has. Requests go to
//! addresses that other tenants chose, so that they reach public addresses only, or those that the operator allows.

mod address;
mod client;
mod handler;
mod message;
mod sweep;

pub use client::{AlertClient, AlertClientError};
pub use handler::{AlertHandler, MAX_DELIVERIES_OF_ENDPOINT};
pub use sweep::AddressSweep;
