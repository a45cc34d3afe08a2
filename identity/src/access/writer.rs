//! Writing what was noted: the origins beside the log, then the events.

use super::AccessRecorder;
use super::origins::{insert_origins, insert_uses, known_uses};
use super::pending::{Record, Refusal};
use crate::client::Client;
use crate::error::IdentityError;
use crate::key_file::EncryptionKey;
use crate::secrets::Secrets;
use chrono::{DateTime, NaiveDate, Utc};
use commands::{Commands, Component, Context, Principal, current_trace_id};
use domain::access_log::{
    AccessLog, AccessLogCommand, AccessLogEvent, AccessRefused, ContentsRead, CredentialUsed, DataExported, SignedIn,
};
use domain::tenant::Tenant;
use domain::{Name, OriginId, TenantId};
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU64;
use std::sync::PoisonError;
use uuid::Uuid;

/// The maximum number of batches that wait to be tried again.
const MAX_UNSENT: usize = 100;

/// Events of one stream that are appended together.
pub(super) struct Batch {
    command_id: Uuid,
    tenant: TenantId,
    day: NaiveDate,
    events: Vec<AccessLogEvent>,
    /// The pairs of credential and origin whose first use is among the events.
    uses: Vec<(Uuid, Uuid)>,
}

impl AccessRecorder {
    /// Writes what was noted. With `all`, also the refusals of this minute that are still counted. What is written is lost if
    /// this is canceled.
    pub(crate) async fn flush(&self, commands: &Commands, secrets: &Secrets, all: bool) {
        let (records, dropped) = {
            let mut pending = self.pending();
            (pending.take(Utc::now(), all), pending.take_dropped())
        };
        if dropped > 0 {
            tracing::error!(dropped, "records of access were dropped, because they could not be written in time");
        }
        if !records.is_empty() {
            match batches(secrets, &records).await {
                Ok(batches) => self.add_unsent(batches),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "records of access cannot be written; retrying");
                    let mut pending = self.pending();
                    records.into_iter().for_each(|record| pending.wait(record));
                }
            }
        }
        self.send(commands, secrets).await;
    }

    async fn send(&self, commands: &Commands, secrets: &Secrets) {
        let batches = std::mem::take(&mut *self.0.unsent.lock().unwrap_or_else(PoisonError::into_inner));
        let mut left = batches.into_iter();
        while let Some(batch) = left.next() {
            if let Err(error) = append(commands, secrets, &batch).await {
                tracing::warn!(error = &*error, "records of access cannot be appended; retrying");
                self.add_unsent(std::iter::once(batch).chain(left).collect());
                return;
            }
        }
    }
}

/// Records at once in the access log that data of the principal's tenant are exported, by a process that may end before
/// [`Identities::run`](crate::Identities::run) would write it. Nothing is recorded for a tenant that was never created. A record
/// that cannot be written is no reason not to export; the log of the process says it.
pub async fn record_export(commands: &Commands, principal: &Principal, data: &'static str, at: DateTime<Utc>) {
    if let Err(error) = append_export(commands, principal, data, at).await {
        tracing::warn!(error = &*error, data, "an export is not in the access log");
    }
}

async fn append_export(
    commands: &Commands,
    principal: &Principal,
    data: &'static str,
    at: DateTime<Utc>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let tenant = principal.tenant().clone();
    let created = commands.load::<Tenant>(&principal.in_installation(), tenant.stream_id()).await;
    // A tenant whose first events are archived cannot be read, and was created.
    if created.is_ok_and(|created| created.state.tenant_id.is_none()) {
        return Ok(());
    }
    let (subject, client, trace_id) = (principal.actor(), Client::default(), current_trace_id());
    let record = Record::Exported { tenant: tenant.clone(), subject, data, client, trace_id, at };
    let context = Context::new(Principal::component(tenant, Component::Apex), Uuid::now_v7());
    let events = AccessLogCommand::Record(vec![event(&record, None)]);
    commands.execute::<AccessLog>(&context, AccessLog::id(at.date_naive()), events).await?;
    Ok(())
}

async fn append(
    commands: &Commands,
    secrets: &Secrets,
    batch: &Batch,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let principal = Principal::component(batch.tenant.clone(), Component::Apex);
    let context = Context::new(principal, batch.command_id);
    let record = AccessLogCommand::Record(batch.events.clone());
    commands.execute::<AccessLog>(&context, AccessLog::id(batch.day), record).await?;
    insert_uses(&secrets.pool, &batch.tenant, &batch.uses).await?;
    Ok(())
}

/// The events of records, by tenant and day, without uses of credentials that were recorded before. Stores the origins.
async fn batches(secrets: &Secrets, records: &[Record]) -> Result<Vec<Batch>, IdentityError> {
    let pool = &secrets.pool;
    // What came from nowhere, such as the command line, needs no key.
    let key = match records.iter().any(|record| client(record).is_some()) {
        true => Some(secrets.newest_key().await?.key),
        false => None,
    };
    let origins: Vec<_> = records.iter().map(|record| origin_id(key.as_ref(), record)).collect::<Result<_, _>>()?;
    let stored = records.iter().zip(&origins);
    insert_origins(pool, stored.filter_map(|(record, id)| Some((record.tenant(), (*id)?, client(record)?)))).await?;
    let uses: Vec<_> = records.iter().zip(&origins).filter_map(|(record, origin)| use_of(record, *origin)).collect();
    let mut known: HashSet<_> = known_uses(pool, &uses).await?.into_iter().collect();
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (record, origin) in records.iter().zip(&origins) {
        let used = use_of(record, *origin);
        if used.is_some_and(|used| !known.insert(used)) {
            continue;
        }
        let group = groups.entry((record.tenant().clone(), record.at().date_naive())).or_default();
        group.push((event(record, *origin), used));
    }
    let batches = groups.into_iter().flat_map(|((tenant, day), events)| {
        let chunks: Vec<_> = events.chunks(AccessLog::MAX_EVENTS).map(<[_]>::to_vec).collect();
        chunks.into_iter().map(move |chunk| {
            let (events, uses): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
            let (command_id, uses) = (Uuid::now_v7(), uses.into_iter().flatten().collect());
            Batch { command_id, tenant: tenant.clone(), day, events, uses }
        })
    });
    Ok(batches.collect())
}

impl AccessRecorder {
    fn add_unsent(&self, batches: Vec<Batch>) {
        let mut unsent = self.0.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.extend(batches);
        let dropped = unsent.len().saturating_sub(MAX_UNSENT);
        if dropped > 0 {
            // The oldest are kept: they say how it began.
            unsent.truncate(MAX_UNSENT);
            tracing::error!(
                batches = dropped,
                "records of access were dropped, because they could not be written in time"
            );
        }
    }
}

/// Where a record came from; none if several origins are counted together.
fn client(record: &Record) -> Option<&Client> {
    let client = match record {
        Record::Refused { is_of_several_origins: true, .. } => return None,
        Record::Refused { refusal, .. } => &refusal.client,
        Record::Used { client, .. }
        | Record::SignedIn { client, .. }
        | Record::Exported { client, .. }
        | Record::Read { client, .. } => client,
    };
    Some(client).filter(|client| !client.is_unknown())
}

fn origin_id(key: Option<&EncryptionKey>, record: &Record) -> Result<Option<Uuid>, IdentityError> {
    let Some((key, client)) = key.zip(client(record)) else { return Ok(None) };
    let address = client.address().map(|address| address.to_string()).unwrap_or_default();
    let parts = [record.tenant().as_str(), &address, client.user_agent().unwrap_or_default()];
    Ok(Some(key.origin_id(&parts)?))
}

/// The credential and the origin of a use; the nil id is the origin that is not known.
fn use_of(record: &Record, origin: Option<Uuid>) -> Option<(Uuid, Uuid)> {
    match record {
        Record::Used { credential, .. } => Some((*credential, origin.unwrap_or_default())),
        Record::Refused { .. } | Record::SignedIn { .. } | Record::Exported { .. } | Record::Read { .. } => None,
    }
}

fn event(record: &Record, origin: Option<Uuid>) -> AccessLogEvent {
    let origin_id = origin.map(OriginId);
    // An operation may have a name that is too long.
    let name = |text: &Option<String>| text.as_deref().and_then(|text| Name::new(text).ok());
    match record {
        Record::Refused { refusal, count, first_at, last_at, .. } => {
            let Refusal { reason, subject, permission, trace_id, .. } = refusal;
            AccessLogEvent::Refused(AccessRefused {
                reason: *reason,
                subject: name(subject),
                origin_id,
                permission: *permission,
                trace_id: name(trace_id),
                count: NonZeroU64::new(*count).unwrap_or(NonZeroU64::MIN),
                first_at: *first_at,
                last_at: *last_at,
            })
        }
        Record::Used { credential, subject, at, .. } => AccessLogEvent::CredentialUsed(CredentialUsed {
            credential_id: *credential,
            subject: Name::new(subject).ok(),
            origin_id,
            at: *at,
        }),
        Record::SignedIn { user, session, trace_id, at, .. } => AccessLogEvent::SignedIn(SignedIn {
            user_id: *user,
            session_id: *session,
            origin_id,
            trace_id: name(trace_id),
            at: *at,
        }),
        Record::Exported { subject, data, trace_id, at, .. } => AccessLogEvent::DataExported(DataExported {
            subject: Name::new(subject).ok(),
            data: (*data).to_owned(),
            origin_id,
            trace_id: name(trace_id),
            at: *at,
        }),
        Record::Read { subject, operation, trace_id, at, .. } => AccessLogEvent::ContentsRead(ContentsRead {
            subject: Name::new(subject).ok(),
            origin_id,
            operation: name(operation),
            trace_id: name(trace_id),
            at: *at,
        }),
    }
}
