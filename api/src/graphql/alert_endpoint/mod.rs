//! Endpoints to which alerts are sent, and deliveries.

mod delivery;
mod input;
mod mutation;
mod query;
mod types;

pub(crate) use delivery::AlertDelivery;
pub(crate) use mutation::AlertEndpointMutation;
pub(crate) use query::AlertEndpointQuery;
