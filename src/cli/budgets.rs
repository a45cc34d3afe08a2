//! `apex budgets`

mod preview;

use self::preview::Preview;
use super::arguments::body;
use super::backend::{self, Backend, RefusalSelection, ShownApproval, ShownStatus, Work};
use super::output::{self, Format, time};
use super::point::parse_time;
use super::report::catch_up;
use super::session::Session;
use crate::rooms::Rooms;
use anyhow::ensure;
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::approval::{ApprovalAnswer, ApprovalStatus};
use domain::permissions::Action;
use domain::{ApprovalId, Body, BudgetId};
use projections::budgets::HistorySelection;
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// The most entries of a history that are listed.
const MAX_ENTRIES: usize = 10_000;

/// Show budgets that refuse: what is left, what was decided, who was refused, and what other terms would have refused; answer
/// requests for approval.
///
/// docs/budgets.md says how budgets are defined, and what these reports have.
#[derive(Debug, clap::Args)]
pub(super) struct Budgets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// That the budget was defined, revised, suspended, resumed, raised or closed
    Terms,
    /// Reservations that were granted or extended
    Grants,
    /// Reservations that the budget refused
    Refusals,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what is charged, reserved and left in the running period of each budget, how fast it is spent, and when nothing is left
    Status {
        /// The UUID of a budget [default: all budgets with enforcement]
        budget: Option<Uuid>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List what happened to a budget and what was decided by it, with who did it, when and why, the last entry first
    History {
        /// The UUID of the budget
        budget: Uuid,
        /// What is listed; may be given more than once [default: all]
        #[arg(long = "part", value_enum)]
        parts: Vec<Part>,
        /// The number of entries, up to 10,000
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Count what budgets refused by minute, budget, reason, agent and credential, the last minute first
    Refusals {
        /// The UUID of a budget [default: all budgets]
        budget: Option<Uuid>,
        /// Only refusals in the minute of this day or time and later ones
        #[arg(long, value_parser = parse_time, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
        /// Only refusals in minutes before this day or time
        #[arg(long, value_parser = parse_time, value_name = "TIME")]
        to: Option<DateTime<Utc>>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// The timeout for the read models to catch up, such as 30s or 5m
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
        wait: Duration,
    },
    Preview(Box<Preview>),
    /// List requests for approval of calls that a budget refused, the last one first
    Approvals {
        /// Only those that wait for an answer
        #[arg(long)]
        pending: bool,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Approve a request: the limit of its budget is raised by what was asked for, to the end of the period
    Approve(Answered),
    /// Deny a request: the limit stays as it is
    Deny(Answered),
}

#[derive(Debug, clap::Args)]
struct Answered {
    /// The UUID of the request, as `apex budgets approvals` lists it
    approval: Uuid,
    /// Why
    #[arg(long, value_parser = body)]
    reason: Body,
}

impl Budgets {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Status { .. }
            | Command::History { .. }
            | Command::Refusals { .. }
            | Command::Preview(_)
            | Command::Approvals { .. } => Action::ReadData,
            Command::Approve(_) | Command::Deny(_) => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let (read_model, wait) = match &self.command {
            Command::Refusals { wait, .. } => ("budget_refusals", *wait),
            Command::Preview(preview) => ("calls", preview.wait),
            // They are of the log itself.
            Command::Status { .. }
            | Command::History { .. }
            | Command::Approvals { .. }
            | Command::Approve(_)
            | Command::Deny(_) => return backend::run(session, self.command).await,
        };
        let prepare = async |rooms: &mut Rooms| {
            let head = rooms.log.head().await?;
            catch_up(rooms, &[read_model], head, wait).await
        };
        backend::run_after(session, prepare, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::Status { budget, format } => status(backend, budget, format).await,
            Self::History { budget, parts, limit, format } => {
                ensure!((1..=MAX_ENTRIES).contains(&limit), "--limit is 1 to {MAX_ENTRIES}, not {limit}");
                let has = |part| parts.is_empty() || parts.contains(&part);
                let (terms, grants, refusals) = (has(Part::Terms), has(Part::Grants), has(Part::Refusals));
                let selection = HistorySelection { terms, grants, refusals };
                history(backend, BudgetId(budget), selection, limit, format).await
            }
            Self::Refusals { budget, from, to, format, wait: _ } => {
                let selection = RefusalSelection { budget_id: budget.map(BudgetId), from, to };
                refusals(backend, selection, format).await
            }
            Self::Preview(preview) => preview.run(backend).await,
            Self::Approvals { pending, format } => approvals(backend, pending, format).await,
            Self::Approve(answered) => answer(backend, answered, ApprovalAnswer::Approve).await,
            Self::Deny(answered) => answer(backend, answered, ApprovalAnswer::Deny).await,
        }
    }
}

async fn answer(backend: &impl Backend, answered: Answered, answer: ApprovalAnswer) -> anyhow::Result<()> {
    let word = match answer {
        ApprovalAnswer::Approve => "approved",
        ApprovalAnswer::Deny => "denied",
    };
    match backend.answer_approval(ApprovalId(answered.approval), answer, answered.reason).await? {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("The request is {word}."),
        OutcomeKind::AlreadyDone => say!("The request was {word} already."),
    }
    Ok(())
}

async fn approvals(backend: &impl Backend, only_pending: bool, format: Format) -> anyhow::Result<()> {
    let mut found = backend.approvals().await?;
    if found.is_cut {
        say!("There may be earlier requests than are listed.");
    }
    found.items.retain(|approval| !only_pending || approval.status == ApprovalStatus::Pending.to_string());
    if format == Format::Json {
        return output::json(&serde_json::json!({ "approvals": found.items }));
    }
    let header = [
        "id",
        "status",
        "budget_id",
        "agent_id",
        "model",
        "amount",
        "requested_at",
        "expires_at",
        "answered_at",
        "reason",
    ];
    let row = |approval: ShownApproval| {
        vec![
            approval.id.to_string(),
            approval.status,
            approval.budget_id.to_string(),
            text(approval.agent_id),
            text(approval.model),
            approval.amount,
            time(approval.requested_at),
            time(approval.expires_at),
            text(approval.answered_at.map(time)),
            text(approval.reason),
        ]
    };
    output::list(&header, found.items.into_iter().map(row).collect(), 5..6, format)
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

async fn status(backend: &impl Backend, budget: Option<Uuid>, format: Format) -> anyhow::Result<()> {
    let mut found = backend.budget_statuses(budget.map(BudgetId)).await?;
    if let Some(id) = budget {
        ensure!(!found.items.is_empty(), "there is no budget {id} with enforcement, or it is closed");
    }
    found.items.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    if found.is_cut {
        say!("There are more budgets than are listed.");
    }
    if format == Format::Json {
        return output::json(&serde_json::json!({ "budgets": found.items }));
    }
    let header = [
        "id",
        "name",
        "enforcement",
        "measure",
        "suspended",
        "starts_at",
        "ends_at",
        "counted",
        "limit",
        "charged",
        "assumed",
        "reserved",
        "left",
        "excess",
        "would_refuse",
        "per_hour",
        "exhausts_at",
    ];
    output::list(&header, found.items.iter().map(status_row).collect(), 8..16, format)
}

fn status_row(status: &ShownStatus) -> Vec<String> {
    vec![
        status.id.to_string(),
        status.name.clone(),
        status.enforcement.clone(),
        status.measure.clone(),
        status.suspended.to_string(),
        time(status.starts_at),
        time(status.ends_at),
        status.counted.to_string(),
        status.limit.clone(),
        status.charged.clone(),
        status.assumed.clone(),
        status.reserved.clone(),
        status.left.clone(),
        status.excess.clone(),
        status.would_refuse.to_string(),
        text(status.per_hour.as_ref()),
        text(status.exhausts_at.map(time)),
    ]
}

async fn history(
    backend: &impl Backend,
    id: BudgetId,
    selection: HistorySelection,
    limit: usize,
    format: Format,
) -> anyhow::Result<()> {
    let found = backend.budget_history(id, selection, limit).await?;
    if found.is_cut {
        say!("There may be earlier entries: --limit shows more.");
    }
    if format == Format::Json {
        return output::json(&serde_json::json!({ "entries": found.items }));
    }
    let header = [
        "position",
        "recorded_at",
        "kind",
        "actor",
        "limit",
        "enforcement",
        "amount",
        "until",
        "reservation",
        "agent_id",
        "refusal",
        "dimension",
        "left",
        "renews_at",
        "reason",
    ];
    let rows = found.items.into_iter().map(|entry| {
        vec![
            entry.position,
            time(entry.recorded_at),
            entry.kind,
            text(entry.actor),
            text(entry.limit),
            text(entry.enforcement),
            text(entry.amount),
            text(entry.until.map(time)),
            text(entry.reservation),
            text(entry.agent_id),
            text(entry.refusal),
            text(entry.dimension),
            text(entry.left),
            text(entry.renews_at.map(time)),
            text(entry.reason),
        ]
    });
    output::list(&header, rows.collect(), 0..1, format)
}

async fn refusals(backend: &impl Backend, selection: RefusalSelection, format: Format) -> anyhow::Result<()> {
    let found = backend.budget_refusals(selection).await?;
    if found.is_cut {
        say!("There are more counts than are listed: use --from and --to.");
    }
    if format == Format::Json {
        return output::json(&serde_json::json!({ "refusals": found.items }));
    }
    let header = ["minute", "budget_id", "reason", "dimension", "agent_id", "api_key_id", "user_id", "refusals"];
    let rows = found.items.into_iter().map(|refusal| {
        vec![
            time(refusal.minute),
            refusal.budget_id.to_string(),
            refusal.reason,
            text(refusal.dimension),
            text(refusal.agent_id),
            text(refusal.api_key_id),
            text(refusal.user_id),
            refusal.refusals.to_string(),
        ]
    });
    output::list(&header, rows.collect(), 7..8, format)
}
