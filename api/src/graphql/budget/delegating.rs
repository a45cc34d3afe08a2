//! Commands about what budgets delegate.

use super::mutation::{BudgetCommandError, BudgetPayload};
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult};
use crate::graphql::scalars::{Decimal, Timestamp, Uid, or_now};
use async_graphql::{Context, ID, Object, OneofObject, Result};
use commands::Commands;
use domain::budget::{DelegatedTo, DelegationCommand};
use domain::{AgentId, BudgetId, DagId, DelegationId, Money, derived_id};
use uuid::Uuid;

/// Whose calls a delegation is for. Give exactly one of these.
#[derive(Debug, OneofObject)]
pub(crate) enum DelegatedToInput {
    /// Those of this agent, which is registered. Global id or UUID.
    AgentId(ID),
    /// Those of this task graph. Global id or UUID.
    DagId(ID),
}

command_input! {
    /// Input of `delegateBudget`.
    DelegateBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// UUID of the new delegation. Default: derived from `commandId` if that is given, otherwise a new UUID.
        delegation: Option<Uid>,
        /// Whose calls it is for.
        to: DelegatedToInput,
        /// What is delegated of the limit of the running period, in its unit: greater than zero, and at most what is left.
        amount: Decimal,
        /// When the delegation ends. Default, and latest: the end of the period.
        until: Option<Timestamp>,
        /// Why: text of at most 64 KiB.
        reason: String,
    }
}

command_input! {
    /// Input of `endDelegation`.
    EndDelegationInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// UUID of the delegation.
        delegation: Uid,
        /// Why: text of at most 64 KiB.
        reason: String,
    }
}

/// Commands about what budgets delegate.
#[derive(Default)]
pub(crate) struct DelegationMutation;

#[Object]
impl DelegationMutation {
    /// Delegates a part of the limit of the running period of a hard budget to an agent or a task graph. Its calls are held within that
    /// part, and others cannot take what it does not use, until the delegation ends.
    async fn delegate_budget(&self, ctx: &Context<'_>, input: DelegateBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let to = match &input.to {
            DelegatedToInput::AgentId(id) => DelegatedTo::Agent { agent_id: AgentId(Kind::Agent.parse(id)?) },
            DelegatedToInput::DagId(id) => DelegatedTo::Dag { dag_id: DagId(Kind::Dag.parse(id)?) },
        };
        let derived = |command: Uid| derived_id(&["delegation", &command.0.to_string()]);
        let given = input.delegation.map(|given| given.0).or_else(|| input.command_id.map(derived));
        let delegation_id = DelegationId(given.unwrap_or_else(Uuid::now_v7));
        let parsed = || {
            let money = Money::try_from(&input.amount).map_err(|error| Invalid::new("amount", error))?;
            let reason = input::body("reason", input.reason)?;
            let (until, at) = (input.until.map(|until| until.0), options.at);
            Ok(DelegationCommand::Delegate { delegation_id, to, amount: money.into(), until, reason, at })
        };
        execute(ctx, options, parsed()).await
    }

    /// Ends a delegation: what it does not use is the budget's again.
    async fn end_delegation(&self, ctx: &Context<'_>, input: EndDelegationInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let delegation_id = DelegationId(input.delegation.0);
        let reason = input::body("reason", input.reason).map_err(BudgetCommandError::from);
        execute(ctx, options, reason.map(|reason| DelegationCommand::End { delegation_id, reason, at: options.at }))
            .await
    }
}

async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<DelegationCommand, BudgetCommandError>,
) -> Result<BudgetPayload> {
    let execute = |commands: Commands, context: commands::Context, command| async move {
        commands.execute_delegation(&context, BudgetId(options.target), command, or_now(None)).await
    };
    let result: CommandResult<BudgetCommandError> = payload::execute_by(ctx, options, command, execute).await?;
    Ok(result.into())
}
