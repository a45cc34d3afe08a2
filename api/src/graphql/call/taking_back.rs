//! Taking back imports.

use super::mutation::CallCommandError;
use crate::graphql::command_options::MaySend;
use crate::graphql::errors;
use crate::graphql::ids::Kind;
use crate::graphql::input::Invalid;
use crate::graphql::payload::Outcome;
use crate::graphql::scalars::{Position, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use commands::{Error, TakeBack, TakenBack};
use domain::ImportId;
use domain::trace::TraceError;
use uuid::Uuid;

/// Input of `takeBackImport`.
#[derive(Debug, InputObject)]
pub(crate) struct TakeBackImportInput {
    /// Id that all events of this command have as correlation id. Taking back an import again changes nothing, with any
    /// `commandId`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Id of the import: the correlation id of its events, which `apex import` prints, and which the response to a request of an
    /// exporter has in the header `x-correlation-id`.
    import_id: Uid,
    /// Reason for which the import is taken back: text of at most 1 KiB, because each call has it.
    reason: String,
    /// Position after which the log is searched for what the import reported: `searchedTo` of the payload before. Default: the
    /// beginning of the log.
    after: Option<Position>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Payload of `takeBackImport`: what a step of it did.
#[derive(SimpleObject)]
pub(crate) struct TakeBackImportPayload {
    /// Id of the command.
    command_id: Uid,
    /// Outcome of the step. It is `ALREADY_DONE` if nothing was written.
    outcome: Outcome,
    /// Position of the last event that was written. Pass it as `minPosition` to see the result in queries. Null if none was.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<CallCommandError>,
    /// Global ids of the calls that are not counted any more: the import alone reported them. A call is in the step in which
    /// the log says that the import reported it, also if an earlier command took it back.
    reversed: Vec<ID>,
    /// Global ids of the calls that stay, because others reported them too.
    kept: Vec<ID>,
    /// Global ids of the agents that the import registered, which stay.
    agents: Vec<ID>,
    /// Global ids of the tasks that the import submitted, which stay.
    tasks: Vec<ID>,
    /// Position up to which the log was searched. Send the command again with it as `after`, until `isComplete`.
    searched_to: Option<Position>,
    /// Whether the log was searched to its end.
    is_complete: bool,
    /// What refused to be taken back. The rest was taken back all the same.
    failed: Vec<NotTakenBack>,
}

/// A call, or spans of a trace, that refused to be taken back.
#[derive(SimpleObject)]
pub(crate) struct NotTakenBack {
    /// Global id of the call. Null if it is spans of a trace.
    call: Option<ID>,
    /// Reason for which it refused.
    message: String,
}

impl From<commands::NotTakenBack> for NotTakenBack {
    fn from(failed: commands::NotTakenBack) -> Self {
        Self { call: failed.call_id.map(|id| Kind::Call.id(id)), message: failed.error.to_string() }
    }
}

impl TakeBackImportPayload {
    fn rejected(command_id: Uuid, error: CallCommandError) -> Self {
        Self {
            outcome: Outcome::Rejected,
            error: Some(error),
            searched_to: None,
            is_complete: false,
            ..Self::new(command_id, TakenBack::default())
        }
    }

    fn new(command_id: Uuid, taken: TakenBack) -> Self {
        let TakenBack { reversed, kept, agents, tasks, searched_to, position, is_complete, failed } = taken;
        let is_written = position > commands::Position::ZERO;
        Self {
            command_id: command_id.into(),
            outcome: if is_written { Outcome::Done } else { Outcome::AlreadyDone },
            position: is_written.then_some(Position(position)),
            error: None,
            reversed: reversed.into_iter().map(|id| Kind::Call.id(id)).collect(),
            kept: kept.into_iter().map(|id| Kind::Call.id(id)).collect(),
            agents: agents.into_iter().map(|id| Kind::Agent.id(id)).collect(),
            tasks: tasks.into_iter().map(|id| Kind::Task.id(id)).collect(),
            searched_to: Some(Position(searched_to)),
            is_complete,
            failed: failed.into_iter().map(NotTakenBack::from).collect(),
        }
    }
}

/// Commands to imports.
#[derive(Default)]
pub(crate) struct ImportMutation;

#[Object]
impl ImportMutation {
    /// Takes back an import. The calls that it alone reported are not counted any more; those that others reported too stay as
    /// they are, with what the import added to them, and so do the agents and tasks that it created.
    ///
    /// What belongs to other agents than those that the credential is limited to stays, and is not listed.
    ///
    /// A step searches a part of the log and takes back up to 500 calls: send the command again, with `searchedTo` as `after`,
    /// until `isComplete`. A step that was interrupted, or an import that was taken back before, may be taken back again.
    #[graphql(complexity = "100 + child_complexity")]
    async fn take_back_import(&self, ctx: &Context<'_>, input: TakeBackImportInput) -> Result<TakeBackImportPayload> {
        MaySend::check(ctx)?;
        let command_id = input.command_id.map_or_else(Uuid::now_v7, |id| id.0);
        let reason = match TakeBack::reason(&input.reason).map_err(|error| Invalid::new("reason", error)) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(TakeBackImportPayload::rejected(command_id, invalid.into())),
        };
        let requester = requester(ctx)?;
        let take_back = TakeBack {
            principal: requester.principal.clone(),
            import_id: ImportId(input.import_id.0),
            reason,
            at: or_now(input.at),
            correlation_id: requester.correlation_id.unwrap_or(command_id),
        };
        let after = input.after.map_or(commands::Position::ZERO, |after| after.0);
        match services(ctx)?.commands.take_back(&take_back, after).await {
            Ok(taken) => Ok(TakeBackImportPayload::new(command_id, taken)),
            Err(Error::Rejected(TraceError::Call(rejected))) => {
                Ok(TakeBackImportPayload::rejected(command_id, rejected.into()))
            }
            Err(error) => Err(errors::failed(&error)),
        }
    }
}
