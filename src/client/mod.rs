//! A client of an Apex server: GraphQL and the routes of sessions over HTTP, with a token or the session of `apex login`.

mod credentials;
mod download;
mod error;
mod graphql;
mod http;
mod page;
mod sending;
mod session;
mod upload;

pub use credentials::{CredentialsFile, LockedFile, StoredSession};
pub use download::Download;
pub use error::{ClientError, CredentialsError};
pub use graphql::Client;
#[cfg(test)]
pub(crate) use graphql::HEAD;
pub use http::{Answer, Http};
pub use page::{Page, PageInfo};
pub use sending::Content;
pub use session::{NewTokens, SessionStore};
pub use upload::UploadError;
