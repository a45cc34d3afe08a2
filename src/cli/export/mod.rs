//! `apex export`

mod database;
mod file;
mod progress;
mod request;
mod server;

use self::request::{Content, ExportRequest};
use super::backend;
use super::point::parse_time;
use super::session::{Session, interruptible, with_rooms};
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use projections::{CallFilters, ExportFormat, ExportQuery, ExportRange, FocusVersion, NamedFilter};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Export calls, or what they cost in the form of FOCUS, as CSV, NDJSON or Parquet.
///
/// An export is read in one snapshot, and contains every call up to one position of the log, which is written to standard error;
/// read models that are behind are updated first, by this process if no other does it. A file appears under its name when it is
/// complete. In CSV, text that a spreadsheet would run as a formula is preceded by an apostrophe. Amounts are exact, in US dollars:
/// text in CSV and NDJSON, decimal numbers in Parquet.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    /// Export the calls, one row a call, in the order of their start
    Calls {
        #[command(flatten)]
        options: Options,
    },
    /// Export what calls cost in the form of FOCUS (focus.finops.org): a row for each day, component of a price, and set of attributes
    ///
    /// The rows add up to `apex report cost` of the same time. Calls without a price have no cost and no row; their number is
    /// written to standard error. FOCUS has no column for tokens: they are in ConsumedQuantity, by SkuMeter.
    Focus {
        #[command(flatten)]
        options: Options,
        /// The version of FOCUS
        #[arg(long, value_enum, default_value_t = Version::V1_4, value_name = "VERSION")]
        focus_version: Version,
    },
}

#[derive(Debug, clap::Args)]
struct Options {
    /// The format of the file
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,

    /// Only calls that started at or after this time, such as 2026-03-01 (UTC) or 2026-03-01T13:00:00Z; of FOCUS, a day
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    from: Option<DateTime<Utc>>,

    /// Only calls that started before this time; of FOCUS, a day
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    to: Option<DateTime<Utc>>,

    /// Only calls with this value of a dimension, such as model=gpt-4o; nothing after the = selects calls without a value
    ///
    /// As in `apex report cost`, up to 50 times: filters on the same dimension are alternatives; those on different dimensions must
    /// all be met. Periods of time are named by --from and --to. Filters on a tag are on one key; they select the calls that have
    /// the tag, whenever its key was declared.
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,

    /// The file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// Export the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Ndjson,
    /// Apache Parquet, compressed with zstd
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Version {
    #[value(name = "1.4")]
    V1_4,
    #[value(name = "1.2")]
    V1_2,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Ndjson => Self::Ndjson,
            Format::Parquet => Self::Parquet,
        }
    }
}

impl From<Version> for FocusVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V1_4 => Self::V1_4,
            Version::V1_2 => Self::V1_2,
        }
    }
}

impl Export {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let (content, options) = match self.kind {
            Kind::Calls { options } => (Content::Calls, options),
            Kind::Focus { options, focus_version } => (Content::Focus(focus_version.into()), options),
        };
        let Options { format, from, to, filters, output, wait, no_wait } = options;
        let is_standard = output.as_os_str() == "-";
        anyhow::ensure!(
            format != Format::Parquet || !is_standard || !std::io::stdout().is_terminal(),
            "Parquet is not text, and standard output is a terminal: name a file with --output"
        );
        let query = ExportQuery { range: ExportRange { from, to }, filters: CallFilters::new(&filters)? };
        let wait = (!no_wait).then_some(wait);
        let request = ExportRequest { content, format: format.into(), query, filters, wait };
        // Before anything is started: a file that cannot be made is said at once.
        let target = file::Target::open(&output)?;
        if let Some(client) = backend::client(session)? {
            interruptible(server::export(&client, &request, target)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        with_rooms(session, async |rooms| {
            database::export(rooms, &request, target).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}
