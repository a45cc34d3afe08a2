//! Commands to agents.

use super::types::Agent;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::input::{self, Invalid, LabelInput};
use crate::graphql::payload::{self, payload};
use async_graphql::{Context, Object, Result};
use domain::agent::{Agent as Aggregate, AgentCommand, AgentError, Profile};

command_error! {
    /// Reason for which a command to an agent was rejected.
    AgentCommandError,
    /// Reasons for which a command to an agent is rejected.
    AgentErrorCode {
        /// No agent with this id is registered.
        NotRegistered,
        /// Another agent with a different profile is registered under this id.
        AlreadyRegistered,
        /// The agent was paused or retired before, for a different reason.
        AlreadyStopped,
        /// The status of the agent does not allow the command.
        NotPossible,
    }
}

impl From<AgentError> for AgentCommandError {
    fn from(error: AgentError) -> Self {
        let code = match error {
            AgentError::NotRegistered => AgentErrorCode::NotRegistered,
            AgentError::AlreadyRegistered => AgentErrorCode::AlreadyRegistered,
            AgentError::AlreadyStopped(_) => AgentErrorCode::AlreadyStopped,
            AgentError::InvalidTransition { .. } => AgentErrorCode::NotPossible,
        };
        Self::new(code, error)
    }
}

payload! {
    /// Payload of the mutations of an agent.
    AgentPayload {
        /// The agent as of `position`. If the command was rejected, the agent as it is now.
        agent: Agent, error: AgentCommandError
    }
}

command_input! {
    /// Input of `registerAgent`.
    RegisterAgentInput {
        /// Id of the new agent: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise a
        /// new UUID.
        id: new Agent,
        /// Display name: one line of at most 256 bytes.
        name: String,
        /// Kind of agent, such as `coder`: one line of at most 256 bytes.
        kind: Option<String>,
        /// Model that the agent uses by default, such as `gpt-4o`: one line of at most 256 bytes.
        model: Option<String>,
        /// Labels of the agent, at most 32. Default: none.
        labels: Option<Vec<LabelInput>>,
    }
}

command_input! {
    /// Input of `activateAgent`.
    ActivateAgentInput {
        /// Global id or UUID of the agent.
        id: Agent,
    }
}

command_input! {
    /// Input of `pauseAgent`.
    PauseAgentInput {
        /// Global id or UUID of the agent.
        id: Agent,
        /// Reason for the pause: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `resumeAgent`.
    ResumeAgentInput {
        /// Global id or UUID of the agent.
        id: Agent,
    }
}

command_input! {
    /// Input of `retireAgent`.
    RetireAgentInput {
        /// Global id or UUID of the agent.
        id: Agent,
        /// Reason for the retirement: text of at most 64 KiB.
        reason: Option<String>,
    }
}

/// Commands to agents.
#[derive(Default)]
pub(crate) struct AgentMutation;

#[Object]
impl AgentMutation {
    /// Registers an agent. Registering the same agent again has no effect.
    async fn register_agent(&self, ctx: &Context<'_>, input: RegisterAgentInput) -> Result<AgentPayload> {
        let options = input.options(ctx)?;
        let profile = profile(input);
        execute(ctx, options, profile.map(|profile| AgentCommand::Register { profile, at: options.at })).await
    }

    /// Activates a registered agent, so that its tasks can be started.
    async fn activate_agent(&self, ctx: &Context<'_>, input: ActivateAgentInput) -> Result<AgentPayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, Ok(AgentCommand::Activate { at: options.at })).await
    }

    /// Pauses an active agent. Its tasks cannot be started until it is resumed.
    async fn pause_agent(&self, ctx: &Context<'_>, input: PauseAgentInput) -> Result<AgentPayload> {
        let options = input.options(ctx)?;
        let reason = input::body_opt("reason", input.reason);
        execute(ctx, options, reason.map(|reason| AgentCommand::Pause { reason, at: options.at })).await
    }

    /// Resumes a paused agent.
    async fn resume_agent(&self, ctx: &Context<'_>, input: ResumeAgentInput) -> Result<AgentPayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, Ok(AgentCommand::Resume { at: options.at })).await
    }

    /// Retires an agent for good. Its tasks can no longer be started.
    async fn retire_agent(&self, ctx: &Context<'_>, input: RetireAgentInput) -> Result<AgentPayload> {
        let options = input.options(ctx)?;
        let reason = input::body_opt("reason", input.reason);
        execute(ctx, options, reason.map(|reason| AgentCommand::Retire { reason, at: options.at })).await
    }
}

fn profile(input: RegisterAgentInput) -> Result<Profile, Invalid> {
    Ok(Profile {
        name: input::name("name", input.name)?,
        kind: input::name_opt("kind", input.kind)?,
        model: input::name_opt("model", input.model)?,
        labels: input::labels("labels", input.labels)?,
    })
}

async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<AgentCommand, Invalid>,
) -> Result<AgentPayload> {
    payload::execute::<Aggregate, AgentCommandError>(ctx, options, command).await.map(Into::into)
}
