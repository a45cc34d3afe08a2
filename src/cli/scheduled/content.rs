//! What the files of schedules contain: what `apex report` and `apex export` write of the same period.
//!
//! The position in a file is that of the last event of calls that it has, and not that of the read model, which goes on without
//! calls: so the file of a period whose calls do not change is always the same.

use super::files::Unfinished;
use crate::cli::output::Format;
use crate::cli::report::{FileLayout, statement_file, write_report};
use anyhow::Context as _;
use commands::{Commands, Principal};
use domain::Aggregate as _;
use domain::call::Call;
use domain::permissions::{Access, Forbidden, ReadReports};
use domain::price_book::PriceBook;
use domain::schedule::{ContentKind, CoveredPeriod, FileFormat, FocusEdition, ScheduledContent};
use domain::tag_keys::TagKeys;
use projections::{
    CallFilters, ExportFormat, ExportQuery, ExportRange, FocusVersion, OpenExport, StatementQuery, scheduled_report,
};
use std::io::Write as _;
use streams::{Position, TenantFilter, TenantLog, TenantReads};

/// The decimal places of rounded totals, unless the schedule has others.
const DIGITS: u32 = 2;

/// What the content of a file is read from, and with whose permissions.
pub(super) struct Sources<'s> {
    pub(super) commands: &'s Commands,
    pub(super) reads: &'s TenantReads,
    pub(super) principal: &'s Principal,
}

/// What a file contains.
pub(super) struct Written {
    /// The rows or statements.
    pub(super) rows: u64,
    /// The position of the last event of calls that it has.
    pub(super) position: Position,
}

/// Checks that the principal may read what a schedule exports.
pub(super) fn check(principal: &Principal, content: &ScheduledContent) -> Result<(), Forbidden> {
    use domain::permissions::{ReadAllocation, ReadCalls};
    match content.kind {
        ContentKind::CostReport | ContentKind::Focus => principal.authorise::<ReadReports>().map(|_| ()),
        ContentKind::CostStatements => {
            principal.authorise::<ReadReports>()?;
            principal.authorise::<ReadAllocation>().map(|_| ())
        }
        ContentKind::Calls => principal.authorise::<ReadCalls>().map(|_| ()),
    }
}

/// The name of the data in access logs.
pub(super) fn data_of(content: &ScheduledContent) -> &'static str {
    match content.kind {
        ContentKind::CostReport => "usage_report",
        ContentKind::CostStatements => "cost_statements",
        ContentKind::Calls => "calls",
        ContentKind::Focus => "focus",
    }
}

impl Sources<'_> {
    /// Writes what a schedule exports of a period.
    pub(super) async fn write(
        &self,
        content: &ScheduledContent,
        (zone, period): (chrono_tz::Tz, &CoveredPeriod),
        file: &mut Unfinished,
    ) -> anyhow::Result<Written> {
        match content.kind {
            ContentKind::CostReport => self.report(content, (zone, period), file).await,
            ContentKind::CostStatements => self.statements(content, (zone, period), file).await,
            ContentKind::Calls | ContentKind::Focus => self.export(content, period, file).await,
        }
    }

    async fn declared(&self) -> anyhow::Result<std::sync::Arc<TagKeys>> {
        // The keys decide only what the report is summed from.
        Ok(self.commands.load::<TagKeys>(&self.principal.charging(), TagKeys::id()).await?.state.clone())
    }

    fn log(&self) -> TenantLog {
        self.commands.log().of_tenants(self.reads.clone())
    }

    /// The position of the last event of calls of the tenant up to a position; 0 if there is none.
    async fn last_call<A>(&self, access: &Access<A>, through: Position) -> anyhow::Result<Position> {
        let filter = TenantFilter::new(access, Some(Call::CATEGORY.to_owned()), Vec::new(), None);
        let found = self.log().find_before(Position::from(through.get().saturating_add(1)), &filter, 1).await?;
        Ok(found.first().map_or(Position::ZERO, |event| event.position))
    }

    async fn report(
        &self,
        content: &ScheduledContent,
        (zone, period): (chrono_tz::Tz, &CoveredPeriod),
        file: &mut Unfinished,
    ) -> anyhow::Result<Written> {
        let access: Access<ReadReports> = self.principal.authorise()?;
        let query = scheduled_report(access.clone(), content, (zone, period), &*self.declared().await?)?;
        let report = projections::WholeReport::open(self.reads, &query).await?;
        let position = self.last_call(&access, report.position).await?;
        let layout = FileLayout { query: &query, format: text_format(content.format)?, position };
        let rows = write_report(file, report, &layout).await?;
        Ok(Written { rows, position })
    }

    async fn statements(
        &self,
        content: &ScheduledContent,
        (zone, period): (chrono_tz::Tz, &CoveredPeriod),
        file: &mut Unfinished,
    ) -> anyhow::Result<Written> {
        let access: Access<ReadReports> = self.principal.authorise()?;
        let declared = self.declared().await?;
        let report = scheduled_report(access.clone(), content, (zone, period), &declared)?;
        let id = domain::allocation::AllocationRules::id();
        let rules = self.commands.load::<domain::allocation::AllocationRules>(self.principal, id).await?;
        let version = rules.state.version_for(period.from, period.to, None)?;
        let rules = projections::allocation_rules(&self.log(), &self.principal.authorise()?, version).await?;
        let rules = rules.with_context(|| format!("the log lacks version {version} of the allocation rules"))?;
        let query = StatementQuery {
            access: access.clone(),
            from: period.from,
            to: period.to,
            filters: report.filters,
            filtered_tag: content.tag_key.clone(),
        };
        let mut made = projections::cost_statements(self.reads, &query, &rules.set.rules, &declared).await?;
        made.position = self.last_call(&access, made.position).await?;
        let digits = content.digits.unwrap_or(DIGITS);
        let rows = statement_file(file, (&made, version), digits, text_format(content.format)?)?;
        Ok(Written { rows, position: made.position })
    }

    async fn export(
        &self,
        content: &ScheduledContent,
        period: &CoveredPeriod,
        file: &mut Unfinished,
    ) -> anyhow::Result<Written> {
        let range = ExportRange { from: Some(period.from), to: Some(period.to) };
        let query = ExportQuery { range, filters: CallFilters::default() };
        let (mut open, position) = match content.kind {
            ContentKind::Focus => {
                let access = self.principal.authorise()?;
                let version = match content.focus_version {
                    None | Some(FocusEdition::V1_4) => FocusVersion::V1_4,
                    Some(FocusEdition::V1_2) => FocusVersion::V1_2,
                };
                let open = OpenExport::focus(self.reads, &access, &query, version).await?;
                let position = self.last_call(&access, open.position).await?;
                (open, position)
            }
            ContentKind::Calls | ContentKind::CostReport | ContentKind::CostStatements => {
                let access = self.principal.authorise()?;
                let open = OpenExport::calls(self.reads, &access, &query).await?;
                let position = self.last_call(&access, open.position).await?;
                (open, position)
            }
        };
        open.position = position;
        // After the snapshot, so that it has every version by which a call of the snapshot was charged.
        let book = self.commands.load::<PriceBook>(&self.principal.charging(), PriceBook::id()).await?;
        let mut stream = open.start(PriceBook::clone(&book.state), export_format(content.format)?)?;
        let mut rows = 0;
        while let Some(chunk) = stream.next().await? {
            // Into the memory of the system, as `apex export` does; it is written to the disk at the end.
            file.write_all(&chunk.bytes)?;
            rows = chunk.rows;
        }
        Ok(Written { rows, position })
    }
}

fn text_format(format: FileFormat) -> anyhow::Result<Format> {
    match format {
        FileFormat::Csv => Ok(Format::Csv),
        FileFormat::Json => Ok(Format::Json),
        FileFormat::Ndjson | FileFormat::Parquet => anyhow::bail!("reports have no format {}", format.as_str()),
    }
}

fn export_format(format: FileFormat) -> anyhow::Result<ExportFormat> {
    match format {
        FileFormat::Csv => Ok(ExportFormat::Csv),
        FileFormat::Ndjson => Ok(ExportFormat::Ndjson),
        FileFormat::Parquet => Ok(ExportFormat::Parquet),
        FileFormat::Json => anyhow::bail!("exports have no format json"),
    }
}
