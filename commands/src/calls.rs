//! Commands to calls, by any of their ids. A call may have several ids, of which all but one are voided into it.

use crate::attempts::Execution;
use crate::context::Context;
use crate::error::Error;
use crate::executor::{Commands, erased};
use crate::kind::AggregateKey;
use crate::loaded::{AsOf, Loaded};
use crate::loader::LoadError;
use crate::outcome::{Outcome, OutcomeKind};
use crate::principal::Principal;
use crate::states::{MAX_DECISION_AGGREGATES, OtherStates, States, Undecided};
use domain::budget::Budget;
use domain::call::{Call, CallCommand, CallError, CallEvent, CallIds, NamedCalls};
use domain::permissions::{ActionType, Forbidden, ReadData, SendCommand};
use domain::{Aggregate, CallId};
use std::sync::{Arc, Mutex, PoisonError};
use streams::Position;

/// The result of a command to a call that was not rejected.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// How the command ended.
    pub kind: OutcomeKind,
    /// As [`Outcome::position`].
    pub position: Position,
    /// The id of the call that all ids of the command name.
    pub call_id: CallId,
    /// The call after the command.
    pub call: Arc<Call>,
    /// Whether the command recorded the call for the first time, under any of its ids, or for the first time since it was
    /// reversed.
    pub is_new: bool,
    /// What the command changed of the call.
    pub change: CallChange,
    /// The other calls that the command voided into this one.
    pub voided: Vec<CallId>,
}

/// What a command changed of its call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallChange {
    /// Nothing.
    #[default]
    None,
    /// Who reported the call, and nothing else.
    Reporters,
    /// The facts, the charge, or which other calls are this one.
    Facts,
    /// The call is recorded.
    Recorded,
    /// The call is not counted any more.
    Reversed,
}

impl CallChange {
    /// The change of a call by events of its stream.
    pub(crate) fn of<'e>(events: impl IntoIterator<Item = &'e CallEvent>) -> Self {
        let change = |event: &CallEvent| match event {
            CallEvent::Confirmed(_) | CallEvent::ReportWithdrawn(_) => Self::Reporters,
            CallEvent::Recorded(_) => Self::Recorded,
            CallEvent::Reversed(_) => Self::Reversed,
            CallEvent::Amended(_) | CallEvent::Corrected(_) | CallEvent::Repriced(_) | CallEvent::Voided(_) => {
                Self::Facts
            }
        };
        events.into_iter().map(change).max().unwrap_or_default()
    }
}

/// What the last call of the decision function decided.
struct Decided {
    call_id: CallId,
    call: Arc<Call>,
    is_new: bool,
    change: CallChange,
    voided: Vec<CallId>,
}

impl Commands {
    /// Executes a command to the call that all of these ids name. If they name several calls, a report ties them together: all
    /// but the one with the lowest id are voided into it, in one append. A correction names one id. The expected version, if
    /// there is one, is that of the call with the lowest id.
    ///
    /// A command with one id that is not voided costs what a command to one aggregate costs.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_call(
        &self,
        context: &Context,
        ids: &CallIds,
        command: &CallCommand,
    ) -> Result<CallOutcome, Error<CallError>> {
        if let Some(id) = ids.single() {
            let assume_new = matches!(command, CallCommand::Report { .. });
            let noted = Mutex::new(CallChange::None);
            let decide = |call: &Call, _: OtherStates| {
                check_may_change(&context.principal, id, call, command)?;
                let events = call.decide(command.clone()).map_err(Undecided::Rejected)?;
                // The last call is the one that counts.
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = CallChange::of(&events);
                Ok(events)
            };
            let executed = self.run_on_target(context, id.0, assume_new, decide).await;
            match executed {
                // The id may be voided, and the version that of the call that it was voided into.
                Err(Error::Rejected(CallError::Voided(_)) | Error::WrongVersion { .. }) => {}
                executed => {
                    let change = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
                    return executed.map(|outcome| CallOutcome::of_single(id, outcome, change));
                }
            }
        }
        // Boxed, as it is large and most calls have one id.
        Box::pin(self.execute_named(context, ids, command)).await
    }

    async fn execute_named(
        &self,
        context: &Context,
        ids: &CallIds,
        command: &CallCommand,
    ) -> Result<CallOutcome, Error<CallError>> {
        // A decision has no effect but this note of its result. The last call is the one that counts.
        let decided = Mutex::new(None);
        let decide = erased(|states: &mut States| {
            let made = decide_named(states, &context.principal, ids, command.clone())?;
            *decided.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            Ok(())
        });
        let key = |id: CallId| AggregateKey::of::<Call>(context.principal.tenant(), id.0);
        // The same for each execution, whatever the ids are voided into. A report with several ids voids the highest one,
        // before the remaining call gets its facts.
        let target = key(ids.highest());
        let keys: Vec<_> = if ids.single().is_some() { Vec::new() } else { ids.iter().map(key).collect() };
        let execution = Execution { context, target, may_change_others: true, assume_new: &keys, decide: &decide };
        let Outcome { kind, position, .. } = self.run::<Call, _>(execution).await?;
        let decided = decided.lock().unwrap_or_else(PoisonError::into_inner).take();
        match decided {
            Some(Decided { call_id, call, is_new, change, voided }) if kind != OutcomeKind::Duplicate => {
                let (is_new, change) = match kind {
                    OutcomeKind::Done => (is_new, change),
                    OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => (false, CallChange::None),
                };
                Ok(CallOutcome { kind, position, call_id, call, is_new, change, voided })
            }
            // The decision was made for nothing.
            Some(_) | None => {
                let (call_id, loaded) = self.follow::<SendCommand>(&context.principal, ids.highest(), None).await?;
                let (call, voided) = (loaded.state, Vec::new());
                Ok(CallOutcome { kind, position, call_id, call, is_new: false, change: CallChange::None, voided })
            }
        }
    }

    /// The call that an id names, as it is now or as it was: the call with this id, or the one that it is voided into, with
    /// its id.
    ///
    /// # Errors
    /// As for [`Commands::load_as_of`], and [`Error::TooManyAggregates`] if more than
    /// [`MAX_DECISION_AGGREGATES`] ids have to be followed to find the call.
    pub async fn load_call(
        &self,
        principal: &Principal,
        id: CallId,
        as_of: Option<AsOf>,
    ) -> Result<(CallId, Arc<Loaded<Call>>), Error<CallError>> {
        let (id, loaded) = self.follow::<ReadData>(principal, id, as_of).await?;
        Ok((id, Arc::new(loaded)))
    }

    /// Follows an id to its call. Each stream on the way is authorised as the first one is.
    async fn follow<A: ActionType>(
        &self,
        principal: &Principal,
        mut id: CallId,
        as_of: Option<AsOf>,
    ) -> Result<(CallId, Loaded<Call>), Error<CallError>> {
        for _ in 0..MAX_DECISION_AGGREGATES {
            principal.authorise_on::<A>(Call::CATEGORY, id.0)?;
            let (key, loader) = (AggregateKey::of::<Call>(principal.tenant(), id.0), &self.attempts.loader);
            let loaded: Result<_, LoadError> = match as_of {
                Some(as_of) => loader.load_as_of(&key, as_of).await,
                None => loader.load(&key).await,
            };
            let loaded = loaded?.typed::<Call>();
            match loaded.state.voided_into {
                Some(into) => id = into,
                None => return Ok((id, loaded)),
            }
        }
        Err(Error::TooManyAggregates { limit: MAX_DECISION_AGGREGATES })
    }
}

/// Checks that a principal may take back what the gateway charged for a call: who reports calls of its own may not.
fn check_may_change(principal: &Principal, id: CallId, call: &Call, command: &CallCommand) -> Result<(), Forbidden> {
    let takes_back = matches!(command, CallCommand::Correct { .. } | CallCommand::Void { .. });
    if takes_back && call.is_of_gateway() {
        principal.authorise_on::<SendCommand>(Budget::CATEGORY, id.0)?;
    }
    Ok(())
}

fn decide_named(
    states: &mut States,
    principal: &Principal,
    ids: &CallIds,
    command: CallCommand,
) -> Result<Decided, Undecided<CallError>> {
    let calls = NamedCalls::resolve(ids, |id| states.get::<Call>(id.0))?.map_err(Undecided::Rejected)?;
    let (call_id, voided) = (calls.remaining(), calls.voided().collect::<Vec<_>>());
    for id in voided.iter().chain([&call_id]) {
        states.check_owner::<Call, _>(id.0)?;
    }
    states.check_expected_version::<Call, _>(call_id.0)?;
    let before = states.get::<Call>(call_id.0)?;
    check_may_change(principal, call_id, &before, &command)?;
    let events = calls.decide(command).map_err(Undecided::Rejected)?;
    let change = CallChange::of(events.iter().map(|(_, event)| event));
    for (id, event) in events {
        states.append::<Call, _>(id.0, vec![event])?;
    }
    let call = states.get::<Call>(call_id.0)?;
    // A report of a call that was reversed as a repeat may change nothing.
    let is_new = before.charged.is_none() && voided.is_empty() && change == CallChange::Recorded;
    Ok(Decided { call_id, call, is_new, change, voided })
}

impl CallOutcome {
    fn of_single(call_id: CallId, outcome: Outcome<Call>, change: CallChange) -> Self {
        let Outcome { kind, position, aggregate } = outcome;
        // After a retry of a command that was executed before, the decision was made for nothing.
        let change = if kind == OutcomeKind::Done { change } else { CallChange::None };
        let is_new = change == CallChange::Recorded;
        Self { kind, position, call_id, call: aggregate.state.clone(), is_new, change, voided: Vec::new() }
    }
}
