//! People: users, invitations, and how a person proves to be a user. What an event says is in the log; names, addresses and
//! secrets are rows beside it.

mod attempt;
mod email;
mod hashing;
mod invitations;
mod links;
mod mail;
mod mail_queue;
mod own_account;
mod password;
pub(crate) mod profiles;
mod registration;
mod sign_in;
mod sweep;
mod throttle;
mod totp;
mod totp_rows;
mod users;

pub(crate) use attempt::Attempt;
pub use email::{Email, EmailError};
pub(crate) use hashing::PasswordHasher;
pub use invitations::NewInvitation;
pub use mail::{MailAddress, MailedToken};
pub use mail_queue::{MailQueue, PendingMail, QueueError};
pub use own_account::{NewTotp, OwnAccount, RecoveryCodes};
pub use password::{Password, PasswordError};
pub use registration::{NewPasswordText, Registration};
pub use sign_in::{Credentials, SecondFactor};
pub(crate) use sweep::sweep;
pub(crate) use throttle::SignInThrottle;
pub use users::{NewLink, UserSummary};
pub(crate) use users::{is_unknown, log_failure, rejected};
