//! The invoices of providers, and how they differ from the calls that Apex charged.
//!
//! An invoice is identified by what a provider calls it, or by its account and period ([`InvoiceHeader::id`]). Its lines are in
//! bounded events, so that an invoice of many lines is recorded by several commands; the same invoice again changes nothing, and
//! one with another header or other lines replaces it. [`reconcile`] compares it with the charged calls; the result is in the
//! stream of the invoice, with the position of the log up to which the calls were compared. Where the calls come from is not
//! decided here.

mod error;
mod expected;
mod figure;
mod limits;
mod line;
mod reconcile;
mod variance;

pub use error::InvoiceError;
pub use expected::{Expected, ExpectedError};
pub use figure::{Figure, FigureError};
pub use limits::{MAX_EXPECTED_COMPONENTS, MAX_INVOICE_DAYS, MAX_INVOICE_LINES, MAX_LINES_PER_COMMAND, MAX_VARIANCES};
pub use line::{InvoiceFormat, InvoiceHeader, InvoiceLine, LinesHash};
pub use reconcile::{Compared, ReconcileError, reconcile, rounding_of};
pub use variance::{Cause, CauseTotal, Reconciliation, ReconciliationSummary, UnknownCause, Variance};

use self::limits::{LINES_PER_EVENT, VARIANCES_PER_EVENT};
use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command to an invoice.
#[derive(Debug, Clone, PartialEq)]
pub enum InvoiceCommand {
    /// Records an invoice, or the next lines of one. Lines that are recorded already change nothing.
    Record {
        /// What the invoice says of itself.
        header: InvoiceHeader,
        /// The number of the first of the lines among all lines of the invoice, from 1.
        first: u32,
        /// Consecutive lines.
        lines: Vec<InvoiceLine>,
        /// When they were recorded.
        at: DateTime<Utc>,
    },
    /// Records the result of a comparison. One that is the same as the last result changes nothing.
    Reconcile {
        /// The result.
        reconciliation: Reconciliation,
        /// When the invoice was compared.
        at: DateTime<Utc>,
    },
    /// Withdraws the invoice.
    Withdraw {
        /// Why it is withdrawn.
        reason: Body,
        /// When it was withdrawn.
        at: DateTime<Utc>,
    },
}

/// The payload of `invoice.recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceRecorded {
    /// What the invoice says of itself.
    pub header: InvoiceHeader,
    /// The version of the invoice, from 1: each one replaces the lines of the one before.
    pub revision: u32,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

/// The payload of `invoice.lines_recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceLinesRecorded {
    /// The version of the invoice that they are of.
    pub revision: u32,
    /// The number of the first of the lines among all lines of the invoice, from 1.
    pub first: u32,
    /// Consecutive lines.
    #[schemars(length(min = 1, max = 500))]
    pub lines: Vec<InvoiceLine>,
}

/// The payload of `invoice.reconciled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceReconciled {
    /// The version of the invoice that was compared.
    pub revision: u32,
    /// The totals. The variances are in the events that follow.
    pub summary: ReconciliationSummary,
    /// When it was compared.
    pub at: DateTime<Utc>,
}

/// The payload of `invoice.variances_recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceVariancesRecorded {
    /// The number of the first of the variances among all of the comparison, from 1.
    pub first: u32,
    /// Consecutive variances.
    #[schemars(length(min = 1, max = 250))]
    pub variances: Vec<Variance>,
}

/// The payload of `invoice.withdrawn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceWithdrawn {
    /// Why it was withdrawn.
    pub reason: Body,
    /// When it was withdrawn.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of an invoice.
    pub enum InvoiceEvent {
        /// An invoice was recorded, or replaced by another version; its lines follow.
        "invoice.recorded" v 1 => Recorded(InvoiceRecorded),
        /// Lines of the invoice were recorded.
        "invoice.lines_recorded" v 1 => LinesRecorded(InvoiceLinesRecorded),
        /// The invoice was compared with the charged calls; the variances follow.
        "invoice.reconciled" v 1 => Reconciled(InvoiceReconciled),
        /// Variances of the comparison were recorded.
        "invoice.variances_recorded" v 1 => VariancesRecorded(InvoiceVariancesRecorded),
        /// The invoice was withdrawn.
        "invoice.withdrawn" v 1 => Withdrawn(InvoiceWithdrawn),
    }
}

/// A version of an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurrentInvoice {
    /// What the invoice says of itself.
    pub header: InvoiceHeader,
    /// The version, from 1.
    pub revision: u32,
    /// The number of lines that are recorded.
    pub recorded_lines: u32,
    /// The sum of their amounts.
    amount: Figure,
    /// Their hash.
    hash: LinesHash,
    /// The last comparison of this version.
    pub summary: Option<ReconciliationSummary>,
    /// Why it was withdrawn, if it was.
    pub withdrawn: Option<Body>,
}

impl CurrentInvoice {
    /// Whether all lines are recorded.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.recorded_lines == self.header.lines
    }

    fn add(&mut self, line: &InvoiceLine) {
        self.recorded_lines = self.recorded_lines.saturating_add(1);
        self.amount += line.amount.unwrap_or_default();
        self.hash = self.hash.with(line);
    }
}

/// The state of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// The last version; none before one is recorded.
    pub current: Option<CurrentInvoice>,
}

impl Invoice {
    /// The invoice, if it is recorded and not withdrawn.
    fn active(&self) -> Result<&CurrentInvoice, InvoiceError> {
        match &self.current {
            None => Err(InvoiceError::NotRecorded),
            Some(current) if current.withdrawn.is_some() => Err(InvoiceError::Withdrawn),
            Some(current) => Ok(current),
        }
    }

    /// The invoice, if it can be compared with calls.
    ///
    /// # Errors
    /// [`InvoiceError`] if it is not recorded, or withdrawn, or lines are missing.
    pub fn comparable(&self) -> Result<&CurrentInvoice, InvoiceError> {
        let current = self.active()?;
        if current.is_complete() {
            return Ok(current);
        }
        Err(InvoiceError::Incomplete { recorded: current.recorded_lines, lines: current.header.lines })
    }

    fn record(
        &self,
        header: InvoiceHeader,
        first: u32,
        lines: Vec<InvoiceLine>,
        at: DateTime<Utc>,
    ) -> Result<Vec<InvoiceEvent>, InvoiceError> {
        let header = header.with_common_provider();
        check_header(&header)?;
        check_lines(&header, &lines)?;
        if let Some(current) = &self.current {
            if current.header.id() != header.id() {
                return Err(InvoiceError::OtherInvoice);
            }
            if current.withdrawn.is_none() && current.header.is_of_version(&header) {
                return further_lines(current.clone(), first, lines);
            }
        }
        if first != 1 {
            return Err(InvoiceError::Gap { recorded: 0, found: first });
        }
        let revision = self.current.as_ref().map_or(1, |current| current.revision.saturating_add(1));
        let recorded = InvoiceEvent::Recorded(InvoiceRecorded { header, revision, at });
        let current = self.clone().evolve(&recorded).current.ok_or(InvoiceError::NotRecorded)?;
        let mut events = vec![recorded];
        events.extend(further_lines(current, first, lines)?);
        Ok(events)
    }

    fn reconcile(&self, reconciliation: Reconciliation, at: DateTime<Utc>) -> Result<Vec<InvoiceEvent>, InvoiceError> {
        let current = self.comparable()?;
        let Reconciliation { summary, variances } = reconciliation;
        if summary.content != current.header.content {
            return Err(InvoiceError::OtherLines);
        }
        // The position says when it was found, not what.
        let is_known = |known: &ReconciliationSummary| {
            *known == ReconciliationSummary { position: known.position, ..summary.clone() }
        };
        match &current.summary {
            Some(known) if is_known(known) => return Ok(Vec::new()),
            // That of another process may have begun later and be done before.
            Some(known) if known.position > summary.position => {
                return Err(InvoiceError::Outdated { known: known.position, found: summary.position });
            }
            Some(_) | None => {}
        }
        let mut events = vec![InvoiceEvent::Reconciled(InvoiceReconciled { revision: current.revision, summary, at })];
        for (chunk, first) in variances.chunks(VARIANCES_PER_EVENT).zip((1..).step_by(VARIANCES_PER_EVENT)) {
            let recorded = InvoiceVariancesRecorded { first, variances: chunk.to_vec() };
            events.push(InvoiceEvent::VariancesRecorded(recorded));
        }
        Ok(events)
    }

    fn withdraw(&self, reason: Body, at: DateTime<Utc>) -> Result<Vec<InvoiceEvent>, InvoiceError> {
        match &self.current {
            None => Err(InvoiceError::NotRecorded),
            Some(CurrentInvoice { withdrawn: Some(before), .. }) if *before == reason => Ok(Vec::new()),
            Some(CurrentInvoice { withdrawn: Some(_), .. }) => Err(InvoiceError::AlreadyWithdrawn),
            Some(_) => Ok(vec![InvoiceEvent::Withdrawn(InvoiceWithdrawn { reason, at })]),
        }
    }
}

fn check_header(header: &InvoiceHeader) -> Result<(), InvoiceError> {
    let InvoiceHeader { from, to, lines, amount_places, .. } = header;
    if !header.has_valid_period() {
        return Err(InvoiceError::Period { from: *from, to: *to });
    }
    if !(1..=MAX_INVOICE_LINES).contains(lines) {
        return Err(InvoiceError::NumberOfLines { found: *lines });
    }
    if *amount_places > 12 {
        return Err(InvoiceError::AmountPlaces(*amount_places));
    }
    Ok(())
}

fn check_lines(header: &InvoiceHeader, lines: &[InvoiceLine]) -> Result<(), InvoiceError> {
    if !(1..=MAX_LINES_PER_COMMAND).contains(&lines.len()) {
        return Err(InvoiceError::LinesOfCommand { found: lines.len() });
    }
    let InvoiceHeader { from, to, .. } = header;
    for InvoiceLine { line, day, quantity, amount, .. } in lines {
        if quantity.is_none() && amount.is_none() {
            return Err(InvoiceError::Empty { line: *line });
        }
        let is_in_range = [quantity, amount].into_iter().flatten().all(|figure| figure.is_of_a_line());
        if !is_in_range || quantity.is_some_and(|quantity| quantity < Figure::ZERO) {
            return Err(InvoiceError::OutOfRange { line: *line });
        }
        if !(*from..*to).contains(day) {
            return Err(InvoiceError::DayOutsidePeriod { line: *line, day: *day, from: *from, to: *to });
        }
    }
    Ok(())
}

/// Records those of the lines that are not recorded yet. With the last one, all of them have to be what the header says.
fn further_lines(
    mut current: CurrentInvoice,
    first: u32,
    lines: Vec<InvoiceLine>,
) -> Result<Vec<InvoiceEvent>, InvoiceError> {
    let next = current.recorded_lines.saturating_add(1);
    if first == 0 || first > next {
        return Err(InvoiceError::Gap { recorded: current.recorded_lines, found: first });
    }
    let known = usize::try_from(next - first).unwrap_or(usize::MAX);
    let lines: Vec<_> = lines.into_iter().skip(known).collect();
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    lines.iter().for_each(|line| current.add(line));
    let header = &current.header;
    if current.recorded_lines > header.lines {
        return Err(InvoiceError::TooManyLines { lines: header.lines });
    }
    if current.is_complete() && current.amount != header.amount {
        return Err(InvoiceError::NotTheAmount { lines: current.amount, header: header.amount });
    }
    if current.is_complete() && current.hash.id() != header.content {
        return Err(InvoiceError::NotTheContent);
    }
    let revision = current.revision;
    let chunks = lines.chunks(LINES_PER_EVENT).zip((next..).step_by(LINES_PER_EVENT));
    let event = |(lines, first): (&[InvoiceLine], u32)| {
        InvoiceEvent::LinesRecorded(InvoiceLinesRecorded { revision, first, lines: lines.to_vec() })
    };
    Ok(chunks.map(event).collect())
}

impl Aggregate for Invoice {
    const CATEGORY: &'static str = "invoice";
    type Command = InvoiceCommand;
    type Event = InvoiceEvent;
    type Error = InvoiceError;

    fn decide(&self, command: InvoiceCommand) -> Result<Vec<InvoiceEvent>, InvoiceError> {
        match command {
            InvoiceCommand::Record { header, first, lines, at } => self.record(header, first, lines, at),
            InvoiceCommand::Reconcile { reconciliation, at } => self.reconcile(reconciliation, at),
            InvoiceCommand::Withdraw { reason, at } => self.withdraw(reason, at),
        }
    }

    fn evolve(mut self, event: &InvoiceEvent) -> Self {
        match (event, &mut self.current) {
            (InvoiceEvent::Recorded(recorded), current) => {
                *current = Some(CurrentInvoice {
                    header: recorded.header.clone(),
                    revision: recorded.revision,
                    recorded_lines: 0,
                    amount: Figure::ZERO,
                    hash: LinesHash::default(),
                    summary: None,
                    withdrawn: None,
                });
            }
            (InvoiceEvent::LinesRecorded(recorded), Some(current)) => {
                recorded.lines.iter().for_each(|line| current.add(line));
            }
            (InvoiceEvent::Reconciled(reconciled), Some(current)) => {
                current.summary = Some(reconciled.summary.clone());
            }
            (InvoiceEvent::Withdrawn(withdrawn), Some(current)) => current.withdrawn = Some(withdrawn.reason.clone()),
            (InvoiceEvent::VariancesRecorded(_), _)
            | (InvoiceEvent::LinesRecorded(_) | InvoiceEvent::Reconciled(_) | InvoiceEvent::Withdrawn(_), None) => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
