//! A history that is too short.

use thiserror::Error;

/// Too few hours of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{needed_hours} hours of history are needed, and there are {found_hours}")]
pub struct TooShort {
    /// The fewest hours that are needed.
    pub needed_hours: usize,
    /// The hours that there are, from the first one with a call on.
    pub found_hours: usize,
}
