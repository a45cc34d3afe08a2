//! Sessions of users: rows, an access token that is checked at each request, and a refresh token that is replaced at each
//! use. Roles are in neither: they are looked up at each request.

mod access_token;
mod checker;
mod config;
mod credentials;
mod open_sessions;
mod operations;
mod refresh_token;
mod rows;
mod signing_keys;

pub use access_token::looks_like_access_token;
pub(crate) use checker::Sessions;
pub use config::SignInConfig;
pub(crate) use credentials::UserCredentials;
pub use operations::{SessionSummary, SessionTokens};
pub(crate) use rows::set_next_credentials;
pub(crate) use signing_keys::delete_old as delete_old_signing_keys;
