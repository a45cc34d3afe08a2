//! `apex invoice`

mod print;
mod record;

use self::record::RecordInvoice;
use super::backend::{self, Backend, Work};
use super::output::{self, Format};
use super::report::catch_up;
use super::session::Session;
use crate::rooms::Rooms;
use commands::OutcomeKind;
use domain::invoice::{Cause, Figure};
use domain::permissions::Action;
use domain::{Body, InvoiceId, TextError};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Record the invoices of providers, and compare them with what was charged.
///
/// `record` reads an invoice or a usage export, `reconcile` compares it with the calls of its period and shows how they differ, by
/// cause. docs/invoices.md goes through it step by step.
#[derive(Debug, clap::Args)]
pub(super) struct Invoice {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Record(Box<RecordInvoice>),
    /// List the recorded invoices, in the order in which they were first recorded
    List {
        /// Only invoices of this provider, by its name in price tables
        #[arg(long)]
        provider: Option<String>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Show an invoice, and the variances of its last comparison
    Show(Shown),
    Reconcile(Reconcile),
    /// Withdraw an invoice, such as one of a wrong account. It stays in the log, and can be recorded again
    Withdraw {
        /// The id of the invoice
        id: Uuid,
        /// Why it is withdrawn, which the event states: at most 64 KiB
        #[arg(long, value_parser = parse_reason)]
        reason: Body,
    },
}

/// Which invoice is shown, and how.
#[derive(Debug, clap::Args)]
struct Shown {
    /// The id of the invoice, as `record` and `list` print it
    id: Uuid,
    /// Only variances of this cause: missing, duplicate, cache, tier, price, quantity or rounding
    #[arg(long)]
    cause: Option<Cause>,
    /// The format: a table has the totals and the largest variances, CSV the variances, JSON everything
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Compare an invoice with the calls that were charged in its period
///
/// Lines and the components of the prices of calls are compared by day (UTC), model and meter. The result is recorded, with the
/// position of the log up to which calls were compared; one that is the same as the last result is not recorded again.
#[derive(Debug, clap::Args)]
struct Reconcile {
    #[command(flatten)]
    shown: Shown,
    /// The amount in US dollars by which rounding may change each line [default: half a unit of the last decimal place that the
    /// amounts of the invoice have]
    #[arg(long, value_name = "AMOUNT", value_parser = parse_tolerance)]
    tolerance: Option<Figure>,
    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// The timeout of the list for its read model to catch up.
const LIST_WAIT: Duration = Duration::from_secs(600);

fn parse_reason(text: &str) -> Result<Body, TextError> {
    Body::new(text)
}

fn parse_tolerance(text: &str) -> anyhow::Result<Figure> {
    let tolerance = Figure::parse(text)?;
    anyhow::ensure!(tolerance >= Figure::ZERO, "a tolerance is not below zero");
    Ok(tolerance)
}

impl Invoice {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Show(_) => Action::ReadData,
            Command::Record(_) | Command::Reconcile(_) | Command::Withdraw { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let (read_model, wait) = match &self.command {
            Command::List { .. } => ("invoices", LIST_WAIT),
            Command::Reconcile(command) => ("calls", command.wait),
            Command::Record(_) | Command::Show(_) | Command::Withdraw { .. } => {
                return backend::run(session, self.command).await;
            }
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
            Self::Record(command) => command.run(backend).await,
            Self::List { provider, format } => {
                let invoices = backend.invoices(provider.as_deref()).await?;
                print::list(&invoices.items, format)?;
                if invoices.is_cut {
                    say!("There are more invoices than are listed.");
                }
                Ok(())
            }
            Self::Show(shown) => shown.run(backend).await,
            Self::Reconcile(Reconcile { shown, tolerance, wait: _ }) => {
                let outcome = backend.reconcile_invoice(InvoiceId(shown.id), tolerance).await?;
                if outcome == OutcomeKind::AlreadyDone {
                    say!("The result is the same as that of the last comparison; nothing was recorded.");
                }
                shown.run(backend).await
            }
            Self::Withdraw { id, reason } => {
                match backend.withdraw_invoice(InvoiceId(id), reason).await? {
                    OutcomeKind::AlreadyDone => say!("The invoice {id} was withdrawn already."),
                    OutcomeKind::Done | OutcomeKind::Duplicate => say!("The invoice {id} is withdrawn."),
                }
                Ok(())
            }
        }
    }
}

impl Shown {
    async fn run(&self, backend: &impl Backend) -> anyhow::Result<()> {
        let Some((invoice, variances)) = backend.invoice(InvoiceId(self.id), self.cause).await? else {
            anyhow::bail!("there is no invoice {}: see `apex invoice list`", self.id);
        };
        match self.format {
            Format::Json => output::json(&serde_json::json!({ "invoice": invoice, "variances": variances })),
            Format::Csv => print::variances(&variances, Format::Csv),
            Format::Table => print::table(&invoice, &variances),
        }
    }
}
