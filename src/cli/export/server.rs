//! An export that a server makes.

use super::file::{Reader, Target};
use super::progress::{AmountRead, ExportSummary, Progress};
use super::request::{Content, ExportRequest};
use crate::cli::backend::while_late;
use crate::cli::report;
use crate::client::{Client, ClientError, Download};
use chrono::{DateTime, SecondsFormat, Utc};
use projections::ExportFormat;
use std::time::Duration;

/// What it means that the read models of the server are behind.
const LATE: &str = "the export would be incomplete: the read models of the server are still behind the log. Use --wait to wait \
                    longer, or --no-wait to export their present state";

fn parameters(request: &ExportRequest) -> Vec<(&'static str, String)> {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut parameters = vec![("format", request.format.as_str().to_owned())];
    parameters.extend(request.query.range.from.map(|from| ("from", time(from))));
    parameters.extend(request.query.range.to.map(|to| ("to", time(to))));
    parameters.extend(request.filters.iter().map(|filter| ("filter", filter.to_string())));
    if let Content::Focus(version) = request.content {
        parameters.push(("version", version.as_str().to_owned()));
    }
    parameters
}

fn summary(download: &Download<'_>) -> Result<ExportSummary, ClientError> {
    let number = |name: &str| download.header(name).and_then(|value| value.parse().ok());
    let position = download.header("x-apex-position").map(str::to_owned);
    let position = position.ok_or_else(|| download.incomplete("position"))?;
    Ok(ExportSummary { calls: number("x-apex-calls"), unpriced_calls: number("x-apex-unpriced-calls"), position })
}

/// What was received of a file.
struct Received {
    bytes: u64,
    /// The rows, of a file in which each call is a line; none of others.
    rows: Option<u64>,
}

impl Received {
    fn of(request: &ExportRequest) -> Self {
        let is_by_line = match (request.content, request.format) {
            (Content::Calls, ExportFormat::Csv | ExportFormat::Ndjson) => true,
            (Content::Calls, ExportFormat::Parquet) | (Content::Focus(_), _) => false,
        };
        Self { bytes: 0, rows: is_by_line.then_some(0) }
    }

    /// No text of a call has a line break, so that a line is a row.
    fn add(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        if let Some(rows) = &mut self.rows {
            *rows += part.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }

    fn amount(&self) -> AmountRead {
        match self.rows {
            Some(calls) => AmountRead::Calls { calls, at: None },
            None => AmountRead::Bytes(self.bytes),
        }
    }
}

pub(super) async fn export(client: &Client, request: &ExportRequest, mut target: Target) -> anyhow::Result<()> {
    let path = match request.content {
        Content::Calls => "/v1/exports/calls",
        Content::Focus(_) => "/v1/exports/focus",
    };
    let mut parameters = parameters(request);
    if request.wait.is_some() {
        parameters.push(("minPosition", client.head().await?.to_string()));
    }
    let ask = async || Ok(client.download(path, &parameters).await?);
    let mut download = while_late(request.wait.unwrap_or(Duration::ZERO), LATE, ask).await?;
    let mut progress = Progress::new(summary(&download)?);
    let mut received = Received::of(request);
    while let Some(part) = download.next().await? {
        received.add(&part);
        if target.write(&part)? == Reader::Gone {
            return Ok(());
        }
        progress.at(&received.amount());
    }
    target.finish()?;
    progress.end(request);
    report::warn_of_parked_at(client).await
}
