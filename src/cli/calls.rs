//! `apex calls`

use super::backend::{self, Assignment, Backend, Correction, Work, parse_field};
use super::session::Session;
use commands::OutcomeKind;
use domain::call::Field;
use domain::permissions::Action;
use domain::{Body, CallId, TextError};
use std::process::ExitCode;
use uuid::Uuid;

/// Correct a call that was reported wrongly, or void it.
///
/// A whole import is taken back with `apex import undo`, and calls are charged again by other prices with `apex prices reprice`.
#[derive(Debug, clap::Args)]
pub(super) struct Calls {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Correct fields of a call
    ///
    /// The call is charged again by the version of the price book that it was charged by before. No later report changes a
    /// corrected field; a later correction may. What was known before stays in the log, with the reason.
    Correct {
        /// The UUID of the call, or one of its UUIDs
        #[arg(value_name = "ID")]
        id: Uuid,
        /// A field and its value, as events name them: model=gpt-4o, agent_id=UUID, outcome=error, latency_ms=120,
        /// started_at=TIME, reported_cost=0.25, span=TRACE:SPAN[:PARENT]; usage.input=1000 and its kin replace the usage as a
        /// whole, and tags.KEY=VALUE all tags. May be repeated
        #[arg(long = "set", value_name = "FIELD=VALUE", required_unless_present = "removed")]
        set: Vec<Assignment>,
        /// A field whose value is removed. May be repeated
        #[arg(long = "remove", id = "removed", value_name = "FIELD", value_parser = parse_field)]
        removed: Vec<Field>,
        /// Why it is corrected, which the event states: at most 64 KiB
        #[arg(long, value_parser = parse_reason)]
        reason: Body,
    },
    /// Void a call: it is not counted any more, and later reports of it are refused
    Void {
        /// The UUID of the call, or one of its UUIDs
        #[arg(value_name = "ID")]
        id: Uuid,
        /// Why it is voided, which the event states: at most 64 KiB
        #[arg(long, value_parser = parse_reason)]
        reason: Body,
    },
}

fn parse_reason(text: &str) -> Result<Body, TextError> {
    Body::new(text)
}

impl Calls {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }

    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Correct { .. } | Command::Void { .. } => Action::SendCommand,
        }
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::Correct { id, set, removed, reason } => {
                let correction = Correction::new(set, &removed)?;
                let fields: Vec<_> = correction.fields.iter().map(|field| field.name()).collect();
                let fields = fields.join(", ");
                match backend.correct_call(CallId(id), correction, reason).await? {
                    OutcomeKind::Done | OutcomeKind::Duplicate => say!("The call {id} is corrected: {fields}."),
                    OutcomeKind::AlreadyDone => say!("The call {id} is corrected so already: {fields}."),
                }
            }
            Self::Void { id, reason } => match backend.void_call(CallId(id), reason).await? {
                OutcomeKind::Done | OutcomeKind::Duplicate => say!("The call {id} is not counted any more."),
                OutcomeKind::AlreadyDone => say!("The call {id} was voided already."),
            },
        }
        Ok(())
    }
}
