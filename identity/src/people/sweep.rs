//! Deleting rows whose event was never appended, and those of users who were deleted.

use super::profiles::{self, UnconfirmedTable};
use crate::directory::Directory;
use crate::error::IdentityError;
use crate::secrets::Secrets;
use domain::{InvitationId, UserId};
use std::time::Duration;

/// The number of users whose rows are deleted by one transaction.
const ERASED_AT_ONCE: usize = 1000;

/// Of the rows that are older than `age` and not confirmed, the oldest up to a limit: confirms those that the log names, and
/// deletes the others. Deletes the rows of users who were deleted. Returns how many rows were deleted. The directory is brought
/// up to date first: it has every event of a row of that age.
pub(crate) async fn sweep(
    secrets: &Secrets,
    directory: &Directory,
    age: Duration,
    max_rows: i64,
) -> Result<u64, IdentityError> {
    directory.refresh().await?;
    let mut deleted = 0;
    for table in UnconfirmedTable::ALL {
        let rows = profiles::unconfirmed(&secrets.pool, table, age, max_rows).await?;
        let (mut confirmed, mut useless, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for (id, of, tenant) in rows {
            // What cannot be read may name the row.
            let Ok(user) = directory.user(&tenant, UserId(of)) else { continue };
            let is_named = match table {
                UnconfirmedTable::Profiles => user.is_some_and(|user| user.origin.is_some()),
                UnconfirmedTable::Passwords => user.is_some_and(|user| user.password == Some(id)),
                UnconfirmedTable::Totp => user.is_some_and(|user| user.totp == Some(id)),
                UnconfirmedTable::Identities => user.is_some_and(|user| user.identities.contains_key(&id)),
                UnconfirmedTable::Links => {
                    let is_reset = user.is_some_and(|user| user.reset.is_some_and(|(link, _)| link == id));
                    is_reset || directory.has_invitation(&tenant, InvitationId(id))
                }
            };
            if is_named {
                confirmed.push(id);
                users.push(of);
            } else {
                useless.push(id);
            }
        }
        if matches!(table, UnconfirmedTable::Passwords | UnconfirmedTable::Totp) && !users.is_empty() {
            // The process that appended the event did not confirm the row, nor delete the one that the event replaced. That is
            // looked at by the next sweep.
            profiles::unconfirm_replaced(&secrets.pool, table, (&users, &confirmed)).await?;
        }
        if !confirmed.is_empty() || !useless.is_empty() {
            deleted += profiles::decide_unconfirmed(&secrets.pool, table, &confirmed, &useless).await?;
        }
    }
    for users in directory.deleted_users().chunks(ERASED_AT_ONCE) {
        deleted += profiles::erase(&secrets.pool, users).await?;
    }
    Ok(deleted)
}
