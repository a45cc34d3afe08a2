//! The agents and tasks that records name: created the first time that one of them is seen.

use crate::call_id::import_command_id;
use crate::connection::Connection;
use crate::outcome::ImportError;
use crate::record::{AgentRef, TaskRef};
use chrono::{DateTime, Utc};
use commands::Error;
use domain::agent::{Agent, AgentCommand, AgentError, Profile};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{Labels, TenantId};
use std::collections::HashSet;
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

impl Owners {
    /// Creates an agent and a task if they are not known.
    pub(crate) async fn create(
        &self,
        connection: &Connection,
        agent: Option<&AgentRef>,
        task: Option<&TaskRef>,
        at: DateTime<Utc>,
    ) -> Result<(), ImportError> {
        if let Some(agent) = agent
            && !self.is_known(connection, agent.id.0)
        {
            register(connection, agent, at).await.map_err(ImportError::Agent)?;
            self.add(connection, agent.id.0);
        }
        if let Some(task) = task
            && !self.is_known(connection, task.id.0)
        {
            submit(connection, task, at).await.map_err(ImportError::Task)?;
            self.add(connection, task.id.0);
        }
        Ok(())
    }

    fn is_known(&self, connection: &Connection, id: Uuid) -> bool {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.contains(&(connection.principal.tenant().clone(), id))
    }

    fn add(&self, connection: &Connection, id: Uuid) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        if created.len() > MAX_CREATED {
            created.clear();
        }
        created.insert((connection.principal.tenant().clone(), id));
    }
}

/// A credential that may report calls, but not register agents, reports them all the same.
async fn register(connection: &Connection, agent: &AgentRef, at: DateTime<Utc>) -> Result<(), Error<AgentError>> {
    let id = agent.id.0;
    let profile = Profile { name: agent.name.clone(), kind: None, model: None, labels: Labels::default() };
    let steps = [("register", AgentCommand::Register { profile, at }), ("activate", AgentCommand::Activate { at })];
    for (step, command) in steps {
        let context = connection.context(import_command_id(step, &[&id.to_string()]));
        let attempt = || connection.commands.execute_on_new::<Agent>(&context, id, command.clone());
        match connection.retry.run(attempt).await {
            // The agent has another name, or was stopped since: its calls are recorded all the same.
            Ok(_) | Err(Error::Rejected(_) | Error::Forbidden(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Submits and starts the task without checking whether its agent accepts work: the task started in the past.
async fn submit(connection: &Connection, task: &TaskRef, at: DateTime<Utc>) -> Result<(), Error<TaskError>> {
    let id = task.id.0;
    let spec = TaskSpec { title: task.title.clone(), agent_id: task.agent_id, dag_id: None };
    for (step, command) in [("submit", TaskCommand::Submit { spec, at }), ("start", TaskCommand::Start { at })] {
        let context = connection.context(import_command_id(step, &[&id.to_string()]));
        let attempt = || connection.commands.execute_on_new::<Task>(&context, id, command.clone());
        match connection.retry.run(attempt).await {
            Ok(_) | Err(Error::Rejected(_) | Error::Forbidden(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
