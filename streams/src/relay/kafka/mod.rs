//! Publishing with the Kafka client, which only builds with the feature `kafka` contain.

mod ack_window;
mod constants;
mod error;
mod leader_lock;
mod message;
mod producer;
mod publisher;
mod sender;
mod state;
mod topics;

pub use error::RelayError;
pub use message::{MessageError, decode};
pub use publisher::Relay;
pub use state::StateRelay;
