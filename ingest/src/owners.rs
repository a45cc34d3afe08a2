//! The agents and tasks that records name: created the first time that one of them is seen.

use crate::call_id::import_command_id;
use crate::connection::Connection;
use crate::outcome::ImportError;
use crate::record::{AgentRef, TaskRef};
use chrono::{DateTime, Utc};
use commands::Error;
use domain::agent::{Agent, AgentCommand, Profile};
use domain::task::{Task, TaskCommand, TaskSpec};
use domain::{Aggregate, Labels, TenantId};
use std::collections::HashSet;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The maximum number of agents and tasks remembered as created. Beyond it they are created again, which changes
/// nothing.
const MAX_CREATED: usize = 100_000;

/// The agents and tasks that are known to exist.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    created: Mutex<HashSet<(TenantId, Uuid)>>,
}

/// What an aggregate is remembered by.
type Key = (TenantId, Uuid);

/// The commands that create an aggregate, each with the name of its step.
type Steps<C> = [(&'static str, C); 2];

impl Owners {
    /// Creates an agent and a task if they are not known. A credential that may report calls, but not create agents or tasks,
    /// reports the calls all the same.
    pub(crate) async fn create(
        &self,
        connection: &Connection,
        agent: Option<&AgentRef>,
        task: Option<&TaskRef>,
        at: DateTime<Utc>,
    ) -> Result<(), ImportError> {
        let key = |id| (connection.principal.tenant().clone(), id);
        if let Some(agent) = agent {
            let id = agent.id.0;
            let execute = |step, command| execute::<Agent>(connection, id, step, command);
            self.create_once(key(id), || registration(agent, at), execute).await.map_err(ImportError::Agent)?;
        }
        if let Some(task) = task {
            let id = task.id.0;
            let execute = |step, command| execute::<Task>(connection, id, step, command);
            self.create_once(key(id), || submission(task, at), execute).await.map_err(ImportError::Task)?;
        }
        Ok(())
    }

    /// Executes the commands that create an aggregate, unless it is known to exist.
    async fn create_once<C, E, F>(
        &self,
        key: Key,
        steps: impl FnOnce() -> Steps<C>,
        execute: impl Fn(&'static str, C) -> F,
    ) -> Result<(), Error<E>>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<(), Error<E>>>,
    {
        if self.is_known(&key) {
            return Ok(());
        }
        for (step, command) in steps() {
            // Boxed, as it is large and most agents and tasks are known.
            match Box::pin(execute(step, command)).await {
                // An agent that has another name, or was stopped since, exists.
                Ok(()) | Err(Error::Rejected(_)) => {}
                // It may not exist: another credential may create it.
                Err(Error::Forbidden(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.add(key);
        Ok(())
    }

    fn is_known(&self, key: &Key) -> bool {
        self.created.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn add(&self, key: Key) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        if created.len() > MAX_CREATED {
            created.clear();
        }
        created.insert(key);
    }
}

fn registration(agent: &AgentRef, at: DateTime<Utc>) -> Steps<AgentCommand> {
    let profile = Profile { name: agent.name.clone(), kind: None, model: None, labels: Labels::default() };
    [("register", AgentCommand::Register { profile, at }), ("activate", AgentCommand::Activate { at })]
}

/// Submits and starts the task without checking whether its agent accepts work: the task started in the past.
fn submission(task: &TaskRef, at: DateTime<Utc>) -> Steps<TaskCommand> {
    let spec = TaskSpec { title: task.title.clone(), agent_id: task.agent_id, dag_id: None };
    [("submit", TaskCommand::Submit { spec, at }), ("start", TaskCommand::Start { at })]
}

/// Executes one step of the creation of an aggregate.
async fn execute<A: Aggregate>(
    connection: &Connection,
    id: Uuid,
    step: &'static str,
    command: A::Command,
) -> Result<(), Error<A::Error>> {
    let context = connection.context(import_command_id(step, &[&id.to_string()]));
    let attempt = || connection.commands.execute_on_new::<A>(&context, id, command.clone());
    connection.retry.run(attempt).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use commands::Principal;
    use domain::Name;
    use domain::agent::AgentError;
    use domain::permissions::{Forbidden, Scopes, SendCommand};
    use std::cell::RefCell;

    fn key() -> Key {
        ("default".parse().unwrap(), Uuid::nil())
    }

    fn forbidden() -> Forbidden {
        let principal =
            Principal::shared_token(key().0, Name::new("exporter").unwrap(), Vec::new(), Scopes::All).unwrap();
        principal.authorise_on::<SendCommand>("agent", Uuid::nil()).unwrap_err()
    }

    /// The steps that are executed where commands have a result.
    async fn executed(
        owners: &Owners,
        result: impl Fn() -> Result<(), Error<AgentError>>,
    ) -> (Vec<&'static str>, Result<(), Error<AgentError>>) {
        let executed = RefCell::new(Vec::new());
        let execute = |step, ()| {
            executed.borrow_mut().push(step);
            std::future::ready(result())
        };
        let steps = || [("register", ()), ("activate", ())];
        let created = owners.create_once(key(), steps, execute).await;
        (executed.into_inner(), created)
    }

    #[tokio::test]
    async fn what_a_credential_may_not_create_is_created_by_the_next_one_that_may() {
        let owners = Owners::default();
        let (steps, created) = executed(&owners, || Err(forbidden().into())).await;
        assert!(created.is_ok(), "the calls are reported all the same");
        assert_eq!(steps, ["register"]);
        assert_eq!(executed(&owners, || Err(Error::Contended)).await.0, ["register"]);
        assert_eq!(executed(&owners, || Ok(())).await.0, ["register", "activate"]);
        assert_eq!(executed(&owners, || Ok(())).await.0, [""; 0], "it is known to exist");
    }

    #[tokio::test]
    async fn what_rejects_its_creation_exists() {
        let owners = Owners::default();
        let rejected = || Err(Error::Rejected(AgentError::NotRegistered));
        assert_eq!(executed(&owners, rejected).await.0, ["register", "activate"]);
        assert_eq!(executed(&owners, rejected).await.0, [""; 0]);
    }
}
