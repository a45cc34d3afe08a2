//! Users, invitations and sessions: the people of a tenant. Passwords and tokens are never read here; the token of a new link
//! is in the payload that creates it, once.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::UserMutation;
pub(crate) use query::{UserQuery, user};
pub(crate) use types::{Invitation, User};
