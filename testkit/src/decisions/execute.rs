//! Executing decisions.

use super::accounts::{Account, Moved, Refused, Set, Switch};
use super::decision::{ACCOUNTS, Change, Decision, SWITCH, account};
use crate::{context, tenant};
use commands::{Commands, Context, Error, OutcomeKind, States, Undecided};
use streams::Position;
use uuid::Uuid;

/// Executes a decision in one append, and returns how it ended and the position of its last event.
///
/// # Errors
/// As for [`Commands::decide`].
pub async fn execute(
    commands: &Commands,
    context: &Context,
    decision: &Decision,
) -> Result<(OutcomeKind, Position), Error<Refused>> {
    let decide = |states: &mut States| {
        for change in decision.decide(states)?.map_err(Undecided::Rejected)? {
            match change {
                Change::Set { is_off } => states.append::<Switch, _>(SWITCH, vec![Set { is_off }])?,
                Change::Moved { account, amount, balance } => {
                    states.append::<Account, _>(account, vec![Moved { amount, balance }])?;
                }
            }
        }
        Ok(())
    };
    if let Decision::Turn { .. } = decision {
        let outcome = commands.decide::<Switch, Refused>(context, decision.target(), decide).await?;
        return Ok((outcome.kind, outcome.position));
    }
    let outcome = commands.decide::<Account, Refused>(context, decision.target(), decide).await?;
    Ok((outcome.kind, outcome.position))
}

/// Pays the same amount into every account, each by a command of its own.
pub async fn open_accounts(commands: &Commands, amount: i64) {
    for number in 0..ACCOUNTS {
        let context = context(tenant(), "test", Uuid::new_v4());
        commands.execute::<Account>(&context, account(number), amount).await.unwrap();
    }
}

/// Turns the switch on or off.
pub async fn turn(commands: &Commands, is_off: bool) {
    let context = context(tenant(), "test", Uuid::new_v4());
    commands.execute::<Switch>(&context, SWITCH, is_off).await.unwrap();
}
