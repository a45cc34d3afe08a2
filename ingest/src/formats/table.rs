//! Tables of calls in any layout: CSV with a header, and JSONL, with columns that options name.
//!
//! Columns that have the name of what they hold need no option. A call is identified by the id of its response, if it is one
//! that providers make unique, and by the content of its whole row with the number of equal rows before it: which columns are
//! named changes what a call is attributed to, and never which call it is.

mod columns;
mod limited;

pub use columns::{Column, ColumnError, Columns};
pub(crate) use limited::{LimitedReader, separator};

use super::counts::{Cached, Counts};
use super::document::list_or_line_records;
use super::json::{self, Fields};
use super::lines::{Lines, ParsedLine};
use super::reader::{RecordReader, Records};
use super::recent::Occurrences;
use super::spec::{KeyKind, Spec};
use super::values::{agent_or_format, any_time, cost_of, informative, minimal_facts, model, name, provider, start};
use crate::error::{InputError, RecordError, Refusal, RefusalReason};
use crate::format::{Defaults, Format};
use crate::item::Item;
use crate::record::{AgentRef, Location, Record, SkippedCounts, TaskRef};
use crate::text::{clipped_error, json_decimal, quoted};
use columns::Source;
use domain::call::{CallFacts, CallIds, CallKey, CallKind, Outcome, Tags};
use domain::{Meter, Quantity, Usage};
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

pub(crate) const CSV: Spec = Spec {
    format: Format::Csv,
    about: "CSV with a header: --column names what its columns hold",
    extensions: &["csv", "csv.gz"],
    identity: &[KeyKind::Response, KeyKind::ProviderRequest, KeyKind::Content],
    recognises: |_| false,
    open: open_csv,
};

pub(crate) const JSONL: Spec = Spec {
    format: Format::Jsonl,
    about: "JSON, one object per line or a list of them: --column names what their fields hold",
    extensions: &["jsonl", "json", "jsonl.gz", "json.gz"],
    identity: &[KeyKind::Response, KeyKind::ProviderRequest, KeyKind::Content],
    recognises: |_| false,
    open: open_jsonl,
};

/// The number of different rows counted in each of two generations.
const MAX_COUNTED_ROWS: usize = 1_000_000;

/// The values of one row.
trait Row {
    /// The text of a column; none if it is absent or empty.
    fn get(&self, column: &Column) -> Option<String>;
}

/// What turns rows into records.
struct Reader {
    format: Format,
    defaults: Defaults,
    columns: Arc<Columns>,
    equal: Occurrences,
}

impl Reader {
    fn new(format: Format, defaults: Defaults) -> Self {
        let columns = Arc::new(defaults.columns.clone());
        Self { format, defaults, columns, equal: Occurrences::new(MAX_COUNTED_ROWS) }
    }

    fn record(&mut self, location: Location, row: &impl Row, content: &[&str]) -> Result<Record, RefusalReason> {
        let text = |column: Column| row.get(&column);
        let informing = |column| informative(text(column).as_deref());
        let (named_provider, named_model) = (text(Column::Provider), text(Column::Model));
        let started = text(Column::Time).map(|text| any_time("time", &text)).transpose()?;
        // A text that is no number is read as a JSON string, which is no amount either.
        let as_json = |text: String| RawValue::from_string(text.clone()).or_else(|_| to_raw_value(&text));
        let cost = text(Column::Cost).map(as_json).transpose().map_err(RefusalReason::json)?;
        let (reported_cost, ignored) = cost_of("cost", cost.as_deref(), None);
        let error = text(Column::Error);
        let agent = match text(Column::Agent) {
            Some(named) => AgentRef::new(self.format, &named, &named),
            None => agent_or_format(self.format, &self.defaults),
        };
        let task = text(Column::Task).and_then(|task| TaskRef::new(self.format, &[&task], &task, agent.as_ref()));
        let (response_id, request_id) = (text(Column::ResponseId), text(Column::RequestId));
        let facts = CallFacts {
            provider: provider("provider", named_provider.as_deref(), &self.defaults)?,
            model: Some(model("model", named_model.as_deref(), &self.defaults)?),
            usage: usage(row)?,
            reported_cost,
            latency_ms: text(Column::LatencyMs).map(|text| count("latency_ms", &text)).transpose()?.map(Quantity::get),
            conversation: informing(Column::Conversation),
            user: informing(Column::User),
            team: informing(Column::Team),
            key: informing(Column::Key),
            service_tier: informing(Column::ServiceTier),
            region: informing(Column::Region),
            outcome: error.as_ref().map(|_| Outcome::Error),
            error: error.as_deref().and_then(clipped_error),
            response_id: informative(response_id.as_deref()),
            request_id: informative(request_id.as_deref()),
            tags: self.tags(row)?,
            ..minimal_facts(CallKind::Llm, start("time", started, &self.defaults)?, self.format)?
        };
        let of_response = response_id.as_deref().and_then(|id| {
            let (seller, called) = (named_provider.unwrap_or_default(), named_model.unwrap_or_default());
            CallKey::of_response(&seller, &called, id)
        });
        let of_content = CallKey::of_content(self.format.as_str(), content, self.equal.count(content)).call_id();
        let of_request = request_id.as_deref().and_then(CallKey::of_provider_request);
        let certain = of_response.iter().chain(&of_request).map(CallKey::call_id);
        let ids = certain.fold(CallIds::from(of_content), CallIds::with);
        Ok(Record::new(location, ids, agent, task, facts).ignoring(ignored))
    }

    fn tags(&self, row: &impl Row) -> Result<Option<Tags>, RefusalReason> {
        let mut tags = Vec::new();
        for column in self.columns.tags() {
            if let (Column::Tag(key), Some(value)) = (column, row.get(column)) {
                tags.push((key.to_string(), name("tag", &value)?.to_string()));
            }
        }
        Ok(Tags::new(tags).ok())
    }
}

/// The usage of a row. A column of the whole prompt has what was cached inside.
fn usage(row: &impl Row) -> Result<Usage, RefusalReason> {
    let mut usage = Usage::default();
    for &meter in Meter::ALL {
        if let Some(text) = row.get(&Column::Meter(meter)) {
            usage.set(meter, count(meter.name(), &text)?);
        }
    }
    if let Some(prompt) = row.get(&Column::Prompt) {
        let input = count("prompt", &prompt)?;
        let counts = Counts {
            input,
            cache_read: usage.get(Meter::CacheRead),
            cache_write_5min: usage.get(Meter::CacheWrite5Min),
            cache_write_1hour: usage.get(Meter::CacheWrite1Hour),
            ..Counts::default()
        };
        usage.set(Meter::Input, counts.usage(Cached::Inside)?.get(Meter::Input));
    }
    if usage.is_empty() { Err(RefusalReason::NoUsage("row".to_owned())) } else { Ok(usage) }
}

fn count(field: &'static str, text: &str) -> Result<Quantity, RefusalReason> {
    let number = json_decimal(text.trim()).filter(rust_decimal::Decimal::is_integer).and_then(|number| number.to_i64());
    let number = number.ok_or_else(|| RefusalReason::NotACount { field, found: quoted(text) })?;
    Quantity::try_from(number).map_err(|cause| RefusalReason::Quantity { field, cause })
}

/// An object of JSON. A column is a path of fields, separated by dots, or the name of a field with dots in it.
struct JsonRow<'a> {
    fields: Fields<'a>,
    columns: &'a Columns,
}

impl Row for JsonRow<'_> {
    fn get(&self, column: &Column) -> Option<String> {
        let Source { name, .. } = self.columns.source(column);
        let value = self.fields.raw(&name).or_else(|| {
            let (path, last) = name.rsplit_once('.')?;
            self.fields.at(&path.split('.').collect::<Vec<_>>())?.raw(last)
        })?;
        let text = json::text(value).map_or_else(|| value.get().to_owned(), |text| text.into_owned());
        Some(text).filter(|text| !text.trim().is_empty())
    }
}

fn open_jsonl(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let mut reader = Reader::new(Format::Jsonl, defaults);
    list_or_line_records(lines, move |location, text| {
        let columns = Arc::clone(&reader.columns);
        let row = JsonRow { fields: Fields::parse(text)?, columns: &columns };
        reader.record(location, &row, &[text]).map(ParsedLine::from)
    })
}

/// A row of CSV, with the place of each column.
struct CsvRow<'a> {
    row: &'a csv::StringRecord,
    header: &'a csv::StringRecord,
    columns: &'a Columns,
}

impl Row for CsvRow<'_> {
    fn get(&self, column: &Column) -> Option<String> {
        let Source { name, .. } = self.columns.source(column);
        let at = self.header.iter().position(|other| other.trim() == name)?;
        self.row.get(at).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// The records of a CSV file.
struct CsvRecords<R> {
    rows: csv::StringRecordsIntoIter<R>,
    header: csv::StringRecord,
    reader: Reader,
    is_done: bool,
}

fn open_csv(mut lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let [first] = lines.peek_lines()?.lines;
    let separator = separator(first);
    let input = LimitedReader::new(lines.into_reader(), separator);
    let mut rows = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(input);
    let mut header = rows.headers().map_err(csv_error)?.clone();
    if let Some(first) = header.get(0).and_then(|first| first.strip_prefix('\u{feff}')) {
        let names: Vec<_> = std::iter::once(first).chain(header.iter().skip(1)).map(str::to_owned).collect();
        header = names.into();
    }
    for (column, source) in defaults.columns.named() {
        if !header.iter().any(|name| name.trim() == source) {
            let found = quoted(&header.iter().collect::<Vec<_>>().join(", "));
            return Err(InputError::ColumnMissing { field: column.to_string(), column: source.to_owned(), found });
        }
    }
    let reader = Reader::new(Format::Csv, defaults);
    Ok(Box::new(CsvRecords { rows: rows.into_records(), header, reader, is_done: false }))
}

fn csv_error(error: csv::Error) -> InputError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        csv::ErrorKind::Utf8 { err, .. } => InputError::NotUtf8 { valid_bytes: err.valid_up_to() },
        _ => InputError::Header { expected: "a header", found: String::new() },
    }
}

impl<R: std::io::Read> CsvRecords<R> {
    fn parse(&mut self, row: &csv::StringRecord) -> Result<Record, RefusalReason> {
        let location = location(row.position());
        if row.len() != self.header.len() {
            return Err(RefusalReason::Columns { found: row.len(), expected: self.header.len() });
        }
        let columns = Arc::clone(&self.reader.columns);
        let content: Vec<_> = row.iter().collect();
        self.reader.record(location, &CsvRow { row, header: &self.header, columns: &columns }, &content)
    }
}

fn location(position: Option<&csv::Position>) -> Location {
    Location::Line(position.map_or(0, csv::Position::line))
}

impl<R: std::io::Read> Iterator for CsvRecords<R> {
    type Item = Result<Item, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let refused = |location, reason| Err(RecordError::Refused(Refusal { location, reason }));
        Some(match self.rows.next()? {
            Ok(row) => self.parse(&row).map(Item::from).or_else(|reason| refused(location(row.position()), reason)),
            Err(error) => {
                let location = location(error.position());
                match error.into_kind() {
                    csv::ErrorKind::Utf8 { err, .. } => {
                        refused(location, RefusalReason::NotUtf8 { valid_bytes: err.valid_up_to() })
                    }
                    csv::ErrorKind::Io(error) => {
                        self.is_done = true;
                        Err(RecordError::Input(error.into()))
                    }
                    _ => refused(location, RefusalReason::Columns { found: 0, expected: self.header.len() }),
                }
            }
        })
    }
}

impl<R: std::io::Read> RecordReader for CsvRecords<R> {
    fn skipped(&self) -> SkippedCounts {
        SkippedCounts::default()
    }
}

#[cfg(test)]
mod tests;
