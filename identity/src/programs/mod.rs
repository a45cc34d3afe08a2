//! Letting a program act for a person, such as the command line: the device flow (RFC 8628), where the person types a code that
//! the program shows, and the loopback flow (RFC 8252 with PKCE, RFC 7636), where the browser hands a code to the program.
//!
//! Either ends in a session of the person, for the program alone. What the program presents is a secret that is stored as a
//! keyed hash, lives for minutes and is used once.

mod decide;
mod redeem;
mod rows;
mod user_code;

pub use decide::{NewDeviceSignIn, ProgramSignIn};
pub use redeem::RedeemError;
