//! `apex invoice record`

use crate::cli::backend::Backend;
use crate::cli::output;
use anyhow::Context as _;
use chrono::NaiveDate;
use commands::OutcomeKind;
use domain::Name;
use domain::invoice::InvoiceFormat;
use ingest::invoices::{DecimalMark, InvoiceColumns, InvoiceOptions, MeterNames, ReadInvoice, read_invoice};
use ingest::open_path;
use std::path::PathBuf;

/// The most refused rows that are shown.
const MAX_SHOWN: usize = 20;

/// Record an invoice or a usage export of a provider
///
/// CSV has columns that --columns names; those that have the names day, model, meter, quantity, amount, currency, tier and
/// reference need no option. OpenAI's and Anthropic's usage and cost APIs are read as they answer, in JSON, one page after the
/// other in one file or a list; of OpenAI, the CSV of the dashboard too. If a row is refused, nothing is recorded. The same
/// invoice again changes nothing; another one under the same number, or of the same account and period, replaces it.
#[derive(Debug, clap::Args)]
pub(super) struct RecordInvoice {
    /// The file; `-` reads standard input. Gzip is recognised
    file: PathBuf,
    /// The format of the file
    #[arg(long, value_enum)]
    format: FileFormat,
    /// The provider, by its name in price tables, such as openai [default: that of the format]
    #[arg(long, value_parser = parse_name)]
    provider: Option<Name>,
    /// The account that is billed, where there are several
    #[arg(long, value_parser = parse_name)]
    account: Option<Name>,
    /// The id that the provider gave the invoice [default: none; the invoice is that of its account and period]
    #[arg(long, value_parser = parse_name)]
    number: Option<Name>,
    /// The first day (UTC) of the period [default: the first day of the file]
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// The day (UTC) after the last one of the period [default: that after the last day of the file]
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
    /// What the columns of CSV hold, such as day=Date,model=Model,meter=Unit,quantity=Qty,amount=Cost. May be repeated
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    columns: Vec<String>,
    /// What a text of the column of meters means, such as 'Input tokens (1K)=input*1000'; NAME=- leaves lines out, NAME=* is all
    /// meters. May be repeated
    #[arg(long = "meter", value_name = "NAME=METER")]
    meters: Vec<String>,
    /// The form of the days of CSV, such as %d/%m/%Y [default: 2026-03-01, a time of RFC 3339, or seconds since 1970]
    #[arg(long, value_name = "FORM")]
    day_format: Option<String>,
    /// The numbers of CSV have a comma before their decimals, as 1.234,56
    #[arg(long)]
    decimal_comma: bool,
    /// Record the other rows if some are refused
    #[arg(long)]
    skip_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FileFormat {
    /// CSV with a header
    Csv,
    /// Usage or costs of OpenAI's organization API, or the CSV of its dashboard
    Openai,
    /// Usage report or cost report of Anthropic's admin API
    Anthropic,
}

impl From<FileFormat> for InvoiceFormat {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Openai => Self::Openai,
            FileFormat::Anthropic => Self::Anthropic,
        }
    }
}

fn parse_name(text: &str) -> Result<Name, domain::TextError> {
    Name::new(text)
}

impl RecordInvoice {
    pub(super) async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let (shown, skip_refused) = (self.file.display().to_string(), self.skip_refused);
        let invoice = self.read().await.with_context(|| format!("{shown} is not recorded"))?;
        describe(&invoice);
        anyhow::ensure!(
            invoice.refused.is_empty() || skip_refused,
            "{} rows are refused, and nothing is recorded: correct them or the options, or record the others with --skip-refused",
            invoice.refused.len()
        );
        let id = invoice.header.id();
        match backend.record_invoice(&invoice.header, &invoice.lines).await? {
            OutcomeKind::AlreadyDone => say!("The same invoice is recorded already; nothing has changed."),
            OutcomeKind::Done | OutcomeKind::Duplicate => {
                say!("Recorded. Compare it with the calls: apex invoice reconcile {id}");
            }
        }
        Ok(output::write(&format!("{id}\n"))?)
    }

    async fn read(self) -> anyhow::Result<ReadInvoice> {
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let options = InvoiceOptions {
            provider: self.provider,
            account: self.account,
            number: self.number,
            from: self.from,
            to: self.to,
            file: name.and_then(|name| Name::new(name).ok()),
            columns: InvoiceColumns::parse(&self.columns)?,
            meters: MeterNames::parse(&self.meters)?,
            day_format: self.day_format,
            decimal_mark: if self.decimal_comma { DecimalMark::Comma } else { DecimalMark::Point },
        };
        let input = open_path(self.file).await.context("the file cannot be opened")?;
        let format = self.format.into();
        // A pipe may block for as long as nothing is written.
        Ok(tokio::task::spawn_blocking(move || read_invoice(format, &options, input.reader)).await??)
    }
}

/// Says what was read, so that it can be compared with the document.
fn describe(invoice: &ReadInvoice) {
    let header = &invoice.header;
    say!(
        "{} lines of {} from {} to {} (not included), {} USD together.",
        header.lines,
        header.provider,
        header.from,
        header.to,
        header.amount
    );
    if !invoice.quantities.is_empty() {
        let quantities = invoice.quantities.iter().map(|(meter, quantity)| format!("{meter} {quantity}"));
        say!("Quantities: {}.", quantities.collect::<Vec<_>>().join(", "));
    }
    if invoice.empty_rows > 0 {
        say!("{} rows have no usage and no amount, or are left out by --meter.", invoice.empty_rows);
    }
    if invoice.rounded_amounts > 0 {
        say!("{} amounts have more than 12 decimal places, and were rounded to 12.", invoice.rounded_amounts);
    }
    for refused in invoice.refused.iter().take(MAX_SHOWN) {
        say!("refused: {refused}");
    }
    if invoice.refused.len() > MAX_SHOWN {
        say!("{} more rows are refused.", invoice.refused.len() - MAX_SHOWN);
    }
}
