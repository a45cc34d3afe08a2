//! Mails as jobs: their payloads have ids and sealed tokens, and nothing that names a person.

use chrono::Utc;
use domain::{InvitationId, TenantId, UserId, derived_id};
use identity::{MailQueue, PendingMail, QueueError};
use policies::{Jobs, NewJob};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::pin::Pin;

/// The kind of the jobs.
pub(super) const KIND: &str = "mail";
/// A person who asks for a link again within this time is mailed one link.
const RESET_WINDOW_SECONDS: i64 = 60;

/// What a job has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mail", deny_unknown_fields)]
pub(super) enum Payload {
    Reset { user_id: UserId },
    Invitation { invitation_id: InvitationId, key_version: i32, sealed: String },
}

/// Stores mails as jobs.
#[derive(Debug, Clone)]
pub struct JobQueue {
    pool: PgPool,
    jobs: Jobs,
}

impl JobQueue {
    /// The queue of a database.
    #[must_use]
    pub fn new(pool: PgPool, jobs: Jobs) -> Self {
        Self { pool, jobs }
    }

    async fn insert(&self, mail: PendingMail) -> Result<(), QueueError> {
        let job = job(mail, Utc::now().timestamp())?;
        let mut connection = self.pool.acquire().await?;
        self.jobs.insert(&mut connection, &[job]).await?;
        self.jobs.wake();
        Ok(())
    }
}

impl MailQueue for JobQueue {
    fn enqueue(&self, mail: PendingMail) -> Pin<Box<dyn Future<Output = Result<(), QueueError>> + Send + '_>> {
        Box::pin(self.insert(mail))
    }
}

/// The job of a mail.
fn job(mail: PendingMail, now: i64) -> Result<NewJob, serde_json::Error> {
    use base64::Engine as _;
    let (id, tenant, payload): (_, TenantId, _) = match mail {
        PendingMail::Reset { tenant, user } => {
            let window = (now / RESET_WINDOW_SECONDS).to_string();
            let id = derived_id(&["reset_mail", tenant.as_str(), &user.to_string(), &window]);
            (id, tenant, Payload::Reset { user_id: user })
        }
        PendingMail::Invitation { tenant, id, key_version, sealed } => {
            let sealed = base64::engine::general_purpose::STANDARD.encode(sealed);
            let job_id = derived_id(&["invitation_mail", tenant.as_str(), &id.to_string()]);
            (job_id, tenant, Payload::Invitation { invitation_id: id, key_version, sealed })
        }
    };
    let payload = serde_json::to_value(payload)?;
    Ok(NewJob { id, kind: KIND, destination: None, tenant: Some(tenant), payload, due_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_person_who_asks_twice_within_a_minute_is_mailed_once() {
        let reset = |user: u128, now| {
            let (tenant, user) = ("acme".parse().unwrap(), UserId(Uuid::from_u128(user)));
            job(PendingMail::Reset { tenant, user }, now).unwrap().id
        };
        assert_eq!(reset(1, 600), reset(1, 659));
        assert_ne!(reset(1, 600), reset(1, 660));
        assert_ne!(reset(1, 600), reset(2, 600));
    }
}
