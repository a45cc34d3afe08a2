//! How connections end.

use tokio_tungstenite::tungstenite::Error as FrameError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// The code and reason of a close frame. Codes from 4400 on are those of the protocol.
#[derive(Debug)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Close {
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    pub(super) fn bad_message(reason: impl Into<String>) -> Self {
        Self::new(4400, reason)
    }

    pub(super) fn going_away() -> Self {
        Self::new(1001, "the server is shutting down")
    }
}

/// Why a connection ends.
pub(super) enum End {
    /// The server closes the connection.
    Closed(Close),
    /// The server closes the connection because the client sent a frame that cannot be read; nothing after it can be read
    /// either.
    Unreadable(Close),
    /// The client disconnected without a close frame.
    Disconnected,
    /// The client sent a close frame.
    ClosedByClient,
    /// The client did not read a message in time. Its subscriptions end, and the connection may continue.
    SendTimeout,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Closed(close)
    }
}

impl From<axum::Error> for End {
    /// The codes are those of RFC 6455, section 7.4.1.
    fn from(error: axum::Error) -> Self {
        let error = error.into_inner();
        let (code, reason) = match error.downcast_ref() {
            Some(FrameError::Capacity(_)) => (1009, "the message is too large"),
            Some(FrameError::Utf8(_)) => (1007, "the message is not UTF-8"),
            Some(FrameError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) | None => {
                return Self::Disconnected;
            }
            Some(FrameError::Protocol(_)) => (1002, "the frame violates the WebSocket protocol"),
            Some(_) => return Self::Disconnected,
        };
        Self::Unreadable(Close::new(code, reason))
    }
}
