//! What receives records over the network, in whatever form they are sent: the commands, and the agents and tasks that are
//! known to exist.

use crate::connection::Connection;
use crate::formats::langfuse::Trace;
use crate::formats::recent::Recent;
use crate::importer::Importer;
use crate::outcome::ImportError;
use crate::owners::Owners;
use crate::retry::RetryPolicy;
use crate::text::clip;
use commands::{Commands, Error, Principal};
use domain::call::Call;
use domain::memory::Memory;
use domain::permissions::{Forbidden, SendCommand};
use domain::price_book::PriceBook;
use domain::task::Task;
use domain::{AgentId, Aggregate as _, ImportId, TenantId, derived_id};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error as ThisError;
use uuid::Uuid;

/// Why something was not received. Some of it may be in the log; a retry of all of it changes nothing about that.
#[derive(Debug, ThisError)]
pub enum ReceiveError {
    /// The principal may not report calls, or not those of another agent.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The log is busy or unreachable: a retry may succeed.
    #[error("the log is busy or unreachable; retry")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something failed that a retry does not help.
    #[error("the request could not be recorded")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ReceiveError {
    /// What an error of a command means.
    pub(crate) fn of<E: std::error::Error + Send + Sync + 'static>(error: Error<E>) -> Self {
        match error {
            Error::Forbidden(forbidden) => Self::Forbidden(forbidden),
            error if error.is_retryable() => Self::Unavailable(error.into()),
            error => Self::Internal(error.into()),
        }
    }

    /// What an error of an import means.
    #[must_use]
    pub fn of_import(error: ImportError) -> Self {
        match error {
            ImportError::Call(error) => Self::of(error),
            ImportError::Trace(error) => Self::of(error),
            ImportError::Agent(error) => Self::of(error),
            ImportError::Task(error) => Self::of(error),
            ImportError::TagKeys(error) => Self::of(error),
            ImportError::Refused(error) => Self::Internal(error.into()),
        }
    }
}

/// The id of the import that a request is whose sender gives none: the same content sent for the same agent is the same import.
#[must_use]
pub fn of_content(content_id: Uuid, agent: Option<AgentId>) -> ImportId {
    let agent = agent.map(|agent| agent.to_string()).unwrap_or_default();
    derived_id(&["import", "request", &agent, &content_id.to_string()]).into()
}

/// Receives records over the network.
#[derive(Clone)]
pub struct Receiver {
    pub(crate) commands: Commands,
    owners: Arc<Owners>,
    /// The names of traces that batches of Langfuse's SDKs have given lately.
    traces: Arc<Mutex<Recent<(TenantId, String), Trace>>>,
}

/// The maximum number of traces in each of two generations whose names are remembered.
const MAX_TRACES: usize = 10_000;
/// The longest id of a trace that is remembered, in bytes.
const MAX_TRACE_ID_BYTES: usize = 256;

impl Receiver {
    /// A receiver that reports by these commands.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands, owners: Arc::default(), traces: Arc::new(Mutex::new(Recent::new(MAX_TRACES))) }
    }

    /// Checks that a principal may report calls, also for a request that has none.
    ///
    /// # Errors
    /// [`Forbidden`] if it may not.
    pub fn authorise(principal: &Principal) -> Result<(), Forbidden> {
        Self::agents_of(principal).map(drop)
    }

    /// The agents of which alone a principal may report calls, in the order of their ids; none if it may report those of all.
    ///
    /// # Errors
    /// [`Forbidden`] if it may report none.
    pub fn agents_of(principal: &Principal) -> Result<Option<Vec<AgentId>>, Forbidden> {
        let access = principal.authorise_on::<SendCommand>(Call::CATEGORY, Uuid::nil())?;
        Ok(access.agents().map(<[_]>::to_vec))
    }

    /// Checks that a principal may record calls, tasks or memories; which of them is decided for each.
    ///
    /// # Errors
    /// [`Forbidden`] if it may record none of them.
    pub fn authorise_any(principal: &Principal) -> Result<(), Forbidden> {
        let may = |category| principal.authorise_on::<SendCommand>(category, Uuid::nil()).map(|_| ());
        may(Call::CATEGORY).or_else(|refused| may(Task::CATEGORY).or(may(Memory::CATEGORY)).map_err(|_| refused))
    }

    /// An importer that reports as a principal, at the prices of now, what belongs to an import if there is one. It retries for a
    /// moment only: the client of a request retries it.
    ///
    /// # Errors
    /// [`ReceiveError`] if the prices cannot be read.
    pub async fn importer(
        &self,
        principal: Arc<Principal>,
        import_id: Option<ImportId>,
    ) -> Result<Importer, ReceiveError> {
        self.importer_with(principal, import_id, RetryPolicy::short()).await
    }

    /// What is known of a trace, with what a former batch said of it.
    pub(crate) fn remembered_trace(&self, tenant: &TenantId, id: &str, given: Trace) -> Trace {
        let key = (tenant.clone(), clip(id, MAX_TRACE_ID_BYTES).to_owned());
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = traces.get(&key).cloned() else {
            if given.name.is_some() || given.session.is_some() || given.user.is_some() {
                traces.insert(key, given.clone());
            }
            return given;
        };
        let Trace { name, session, user } = given;
        let merged = Trace { name: name.or(known.name), session: session.or(known.session), user: user.or(known.user) };
        traces.insert(key, merged.clone());
        merged
    }

    pub(crate) async fn importer_with(
        &self,
        principal: Arc<Principal>,
        import_id: Option<ImportId>,
        retry: RetryPolicy,
    ) -> Result<Importer, ReceiveError> {
        let prices = self.commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await;
        let (commands, run_id) = (self.commands.clone(), Uuid::now_v7());
        let connection = Connection { commands, principal, retry, import_id, run_id };
        Ok(Importer::of(connection, prices.map_err(ReceiveError::of)?, self.owners.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::call::CallError;

    /// A retry is asked for only where it may help, and no text that a client gets has the cause.
    #[test]
    fn errors_of_an_import_are_those_of_their_commands() {
        let of = |error: Error<CallError>| ReceiveError::of_import(ImportError::Call(error));
        assert!(matches!(of(Error::Contended), ReceiveError::Unavailable(_)));
        for permanent in [Error::CommandIdReused, Error::TooManyAggregates { limit: 3 }] {
            let cause = permanent.to_string();
            let error = of(permanent);
            assert!(matches!(error, ReceiveError::Internal(_)) && !error.to_string().contains(&cause), "{error:?}");
        }
        let forbidden = Principal::shared_token(
            "default".parse().unwrap(),
            domain::Name::new("exporter").unwrap(),
            Vec::new(),
            domain::permissions::Scopes::All,
        );
        let forbidden = Receiver::authorise(&forbidden.unwrap()).unwrap_err();
        assert!(matches!(of(forbidden.into()), ReceiveError::Forbidden(_)));
    }
}
