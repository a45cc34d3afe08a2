//! Mail: the queue of mails, which are jobs, and what sends them.

mod handler;
mod queue;
mod transport;

pub use handler::MailHandler;
pub use queue::JobQueue;
pub use transport::{MailSettingsError, Transport};
