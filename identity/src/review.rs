//! The access review: the rows of the directory, with the last use of each key.

use crate::directory::{Basis, ReviewKey, ReviewRow};
use crate::error::IdentityError;
use crate::identities::{Identities, MAX_LISTED};
use chrono::{DateTime, Utc};
use domain::permissions::{Access, ReadIdentities};
use std::collections::HashMap;

impl Identities {
    /// Who can do what in a tenant at a time, by account and user: at most `limit` rows, and at most [`MAX_LISTED`], after one of
    /// them. It is as of the last [`Directory::refresh`](crate::Directory::refresh).
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the last uses of keys cannot be read.
    pub async fn review(
        &self,
        access: &Access<ReadIdentities>,
        after: Option<ReviewKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<ReviewRow>, IdentityError> {
        let mut rows = self.directory().review(access, after, limit.min(MAX_LISTED), now);
        let key_id = |row: &ReviewRow| match &row.basis {
            Basis::Key(key) => Some(key.id.0),
            Basis::Grant(_) => None,
        };
        let ids: Vec<_> = rows.iter().filter_map(key_id).collect();
        if ids.is_empty() {
            return Ok(rows);
        }
        let uses: HashMap<_, _> = self.secrets().last_uses(&ids).await?.into_iter().collect();
        for row in &mut rows {
            if let Basis::Key(key) = &mut row.basis {
                key.last_used_at = uses.get(&key.id.0).copied();
            }
        }
        Ok(rows)
    }
}
