//! The queue of mails, which another crate has.

use domain::{InvitationId, TenantId, UserId};
use std::future::Future;
use std::pin::Pin;

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingMail {
    /// A link to set the password of a user who has asked for one.
    Reset {
        /// The tenant of the user.
        tenant: TenantId,
        /// The user.
        user: UserId,
    },
    /// An invitation, with its token.
    Invitation {
        /// The tenant that the person is invited to.
        tenant: TenantId,
        /// The invitation.
        id: InvitationId,
        /// The version of the key-encryption key that the token is sealed with.
        key_version: i32,
        /// The sealed token.
        sealed: Vec<u8>,
    },
}

/// Why a mail cannot be queued.
pub type QueueError = Box<dyn std::error::Error + Send + Sync>;

/// Takes mails, and sends them in the background.
pub trait MailQueue: Send + Sync {
    /// Stores a mail until it is sent.
    fn enqueue(&self, mail: PendingMail) -> Pin<Box<dyn Future<Output = Result<(), QueueError>> + Send + '_>>;
}
