//! What is fuzzed: each target takes arbitrary bytes, and panics if a property does not hold. The crate `fuzz` runs the same
//! functions, guided by coverage.
//!
//! Of all bytes: no panic; the same result twice; and whatever is understood can be decided, stored and read back by the
//! domain. Nothing is dropped in silence: what is counted is understood, refused with a reason, or counted as no call.

use chrono::{DateTime, Utc};
use domain::call::{Call, CallCommand, NamedCalls, Reporters};
use domain::invoice::{
    Compared, Expected, Figure, Invoice, InvoiceCommand, InvoiceFormat, InvoiceLine, MAX_LINES_PER_COMMAND,
    ReconcileError, reconcile,
};
use domain::price_book::{Price, PriceBook, PriceBookCommand};
use domain::tag_keys::TagKeys;
use domain::{Aggregate, EventCodec, Name};
use ingest::invoices::{DecimalMark, InvoiceColumns, InvoiceOptions, MeterNames, ReadInvoice, read_invoice};
use ingest::langfuse::{Batch, KnownOfBatch};
use ingest::ndjson::Line;
use ingest::otlp::{Encoding, Export, Signal, SpanUse};
use ingest::prices::{PriceTable, genai_prices, langfuse, litellm};
use ingest::{
    Columns, Defaults, Format, Input, Item, Location, Record, RecordError, SkippedCounts, read_records, recognise,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::Cursor;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

/// A target: its name, and its function.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Target; 7] = [
    ("otlp_protobuf", otlp_protobuf),
    ("otlp_json", otlp_json),
    ("records", records),
    ("lines", lines),
    ("langfuse_batch", langfuse_batch),
    ("price_table", price_table),
    ("invoice", invoice),
];

/// The signals, which the first byte of an input of OTLP selects.
pub(crate) const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

fn otlp_protobuf(input: &[u8]) {
    otlp(Encoding::Protobuf, input);
}

fn otlp_json(input: &[u8]) {
    otlp(Encoding::Json, input);
}

fn otlp(encoding: Encoding, input: &[u8]) {
    let Some((selector, body)) = input.split_first() else { return };
    let signal = SIGNALS[usize::from(*selector) % SIGNALS.len()];
    assert_texts_decide_nothing(signal, encoding, body);
    let decode =
        || Export::decode(signal, encoding, body, (None, SpanUse::CallsAndContents)).map_err(|error| error.to_string());
    let export = match (decode(), decode()) {
        (Ok(export), Ok(again)) => {
            assert_eq!(format!("{export:?}"), format!("{again:?}"), "the same body is not read the same twice");
            export
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again, "the same body is not refused the same twice");
            return assert_is_short(&error);
        }
        (one, other) => panic!("the same body is read once: {one:?}, {other:?}"),
    };
    let of = |location: Location| match location {
        Location::Span(number) | Location::LogRecord(number) => number,
        Location::Line(_) | Location::Item(_) => panic!("a body has no {location}"),
    };
    // A span that runs a tool, and states usage, can be refused for both.
    let mut refused = BTreeMap::new();
    for refusal in export.refusals() {
        assert!((1..=export.count()).contains(&of(refusal.location)), "{refusal} of {}", export.count());
        let reasons: &mut u64 = refused.entry(refusal.location).or_default();
        *reasons += 1;
        assert!(*reasons <= 2, "{} is refused {reasons} times: {refusal}", refusal.location);
        assert_is_short(&refusal.to_string());
    }
    let (count, items) = (export.count(), export.into_items());
    // Likewise, it can be both.
    let understood: u64 = items.iter().map(Item::len).sum();
    assert!(understood <= 2 * count, "{understood} records of {count} spans");
    for record in items.into_iter().flat_map(Item::into_records).flatten() {
        assert!((1..=count).contains(&of(record.location)), "{} of {count}", record.location);
        assert_storable(record);
    }
}

/// What decides about calls, and whether a body is accepted, is the same where texts are kept and where they are not.
fn assert_texts_decide_nothing(signal: Signal, encoding: Encoding, body: &[u8]) {
    let said = |spans| {
        let export = Export::decode(signal, encoding, body, (None, spans)).map_err(|error| error.to_string())?;
        let refused = format!("{} {:?}", export.count(), export.refusals());
        Ok::<_, String>(format!("{refused} {:?}", export.into_items()))
    };
    let (without, with) = (said(SpanUse::CallsAndTraces), said(SpanUse::CallsAndContents));
    assert_eq!(without.is_ok(), with.is_ok(), "texts decide whether a body is accepted: {without:?}, {with:?}");
    // The place in an error is that in what is read a second time.
    if let (Ok(without), Ok(with)) = (without, with) {
        assert_eq!(without, with, "texts change what is read");
    }
}

/// What a reader says of an input.
struct ReadInput {
    items: Vec<Result<Item, RecordError>>,
    skipped: SkippedCounts,
}

/// The text of everything that was read.
fn said(read: &Result<ReadInput, String>) -> String {
    match read {
        Ok(read) => format!("{:?} {:?}", read.items, read.skipped),
        Err(error) => error.clone(),
    }
}

fn defaults() -> Defaults {
    let columns = ["output=out", "agent=who", "tag:env=stage", "cost=usd"].map(str::to_owned);
    Defaults {
        model: Name::new("gpt-4o").ok(),
        started_at: DateTime::from_timestamp(1_700_000_000, 0),
        columns: Columns::parse(&columns).unwrap_or_default(),
        ..Defaults::default()
    }
}

fn read(format: Format, input: &[u8]) -> Result<ReadInput, String> {
    let reader = Box::new(Cursor::new(input.to_vec()));
    let mut records = read_records(format, defaults(), reader).map_err(|error| error.to_string())?;
    let items = records.by_ref().collect();
    Ok(ReadInput { items, skipped: records.skipped() })
}

/// The formats in which each line is one call, something else, or refused.
const LINE_FORMATS: [Format; 3] = [Format::Autogpt, Format::Jsonl, Format::Mooncake];

fn records(input: &[u8]) {
    let Some((selector, input)) = input.split_first() else { return };
    let format = Format::ALL[usize::from(*selector) % Format::ALL.len()];
    let first = read(format, input);
    assert_eq!(said(&first), said(&read(format, input)), "the same {} is not read the same twice", format.as_str());
    let names = recognised(input);
    assert!(names.len() <= Format::ALL.len());
    match first {
        Ok(read) => check_items(format, input, read),
        Err(error) => assert_is_short(&error),
    }
}

fn check_items(format: Format, input: &[u8], read: ReadInput) {
    let ReadInput { items, skipped } = read;
    let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    let ended = items.iter().position(|item| matches!(item, Err(RecordError::Input(_))));
    assert!(ended.is_none_or(|at| at + 1 == items.len()), "something follows the end of the input");
    let (mut locations, mut all) = (BTreeSet::new(), Vec::new());
    for item in items {
        match item {
            Ok(item) => all.extend(item.into_records()),
            Err(RecordError::Refused(refusal)) => all.push(Err(refusal)),
            Err(RecordError::Input(error)) => assert_is_short(&error.to_string()),
        }
    }
    for record in all {
        let location = match record {
            Ok(record) => {
                let location = record.location;
                assert_storable(record);
                location
            }
            Err(refusal) => {
                assert_is_short(&refusal.to_string());
                refusal.location
            }
        };
        locations.insert(location);
    }
    let is_list = input.trim_ascii_start().starts_with(b"[") || input.starts_with(b"\xef\xbb\xbf");
    if LINE_FORMATS.contains(&format) && ended.is_none() && !is_list {
        let counted = locations.len() as u64 + skipped.not_calls + skipped.other_format;
        assert!(counted >= lines, "of {lines} lines of {}, {counted} are counted", format.as_str());
    }
}

fn lines(input: &[u8]) {
    let texts = input.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    for (number, text) in (1..).zip(texts) {
        let parse = || Line::parse(Location::Line(number), text, at());
        match (parse(), parse()) {
            (Ok(line), Ok(again)) => {
                assert_eq!(format!("{line:?}"), format!("{again:?}"), "the same line is not read the same twice");
                if let Line::Call(record) = line {
                    assert_storable(*record);
                }
            }
            (Err(error), Err(again)) => {
                assert_eq!(error.to_string(), again.to_string(), "the same line is not refused the same twice");
                assert_is_short(&error.to_string());
                assert!(!error.code().is_empty());
            }
            (one, other) => panic!("the same line is read once: {one:?}, {other:?}"),
        }
    }
}

fn langfuse_batch(input: &[u8]) {
    let decode = || Batch::decode(input).map_err(|error| error.to_string());
    let batch = match (decode(), decode()) {
        (Ok(batch), Ok(again)) => {
            assert_eq!(format!("{batch:?}"), format!("{again:?}"), "the same batch is not read the same twice");
            batch
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again, "the same batch is not refused the same twice");
            return assert_is_short(&error);
        }
        (one, other) => panic!("the same batch is read once: {one:?}, {other:?}"),
    };
    let count = batch.len();
    let (answer, items) = batch.into_reports(KnownOfBatch::default()).into_parts();
    assert_eq!(answer.successes.len() + answer.errors.len(), count, "an event is neither accepted nor refused");
    answer.errors.iter().for_each(|refused| assert_is_short(&refused.message));
    items.into_iter().flat_map(Item::into_records).flatten().for_each(assert_storable);
}

fn recognised(input: &[u8]) -> Vec<Format> {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
    let input = Input {
        reader: Box::new(Cursor::new(input.to_vec())),
        total_bytes: None,
        content_bytes: None,
        read_bytes: Arc::new(AtomicU64::new(0)),
    };
    let (_, formats) = RUNTIME.block_on(recognise(input)).unwrap();
    formats
}

/// Asserts that a message quotes little of its input.
fn assert_is_short(message: &str) {
    assert!(message.len() <= 4_096, "a message of {} bytes: {message}", message.len());
    assert!(!message.trim().is_empty());
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn folded<A: Aggregate<Event: EventCodec + PartialEq + std::fmt::Debug>>(aggregate: A, events: Vec<A::Event>) -> A {
    events.iter().fold(aggregate, |aggregate, event| {
        assert_stored(event);
        aggregate.evolve(event)
    })
}

/// Asserts that PostgreSQL can read a document: its text holds no NUL. Text may hold what looks like the escape of one.
fn assert_without_nul(document: &str) {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(has_nul),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let read = serde_json::from_str(document).unwrap();
    assert!(!has_nul(&read), "PostgreSQL reads no NUL in text: {document}");
}

/// Asserts that PostgreSQL can store the payload of an event, and that the event that is read is the one that was written.
fn assert_stored<E: EventCodec + PartialEq + std::fmt::Debug>(event: &E) {
    let payload = event.encode().unwrap();
    assert_without_nul(&payload);
    let event_type = event.event_type();
    let read = E::decode(event_type.name, event_type.schema_version, &payload).unwrap();
    assert_eq!(read, *event, "the event that is read is another one: {payload}");
}

/// The prices by which calls are charged: rates large and small.
static PRICES: LazyLock<PriceBook> = LazyLock::new(|| {
    let rates = r#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06, "input_cost_per_token_above_200k_tokens": 5e-06},
        "m": {"litellm_provider": "openai", "input_cost_per_token": 900, "output_cost_per_token": 900}}"#;
    let table = litellm(rates.as_bytes(), DateTime::UNIX_EPOCH).unwrap();
    let command = PriceBookCommand::Set { prices: table.prices, source: table.source, at: at() };
    let events = PriceBook::default().decide(command).unwrap();
    folded(PriceBook::default(), events)
});

/// Asserts that a record is refused by the domain, or becomes events that can be stored; and that it then adds nothing.
fn assert_storable(record: Record) {
    let mut call = Arc::new(Call::default());
    let report = || CallCommand::Report {
        facts: record.facts.clone(),
        prices: PRICES.clone(),
        tag_keys: TagKeys::default(),
        reported_by: Reporters::of(None),
    };
    let Ok(named) = NamedCalls::resolve(&record.call_ids, |_| Ok::<_, Infallible>(Arc::default()));
    let Ok(named) = named else { return };
    match named.decide(report()) {
        Err(error) => return assert_is_short(&error.to_string()),
        Ok(events) => {
            for (id, event) in events {
                assert_stored(&event);
                if id == named.remaining() {
                    call = Arc::new(Call::clone(&call).evolve(&event));
                }
            }
        }
    }
    let again = call.decide(report()).unwrap();
    assert!(again.is_empty(), "the same record twice is something new: {again:?}");
}

fn price_table(input: &[u8]) {
    let Some((selector, input)) = input.split_first() else { return };
    let read = || match selector % 3 {
        0 => litellm(input, at()),
        1 => genai_prices(input),
        _ => langfuse(input, at()),
    };
    let table = match (read(), read()) {
        (Ok(table), Ok(again)) => {
            assert_eq!(table, again, "the same table is not read the same twice");
            table
        }
        (Err(error), Err(_)) => return assert_is_short(&error.to_string()),
        (one, other) => panic!("the same table is read once: {one:?}, {other:?}"),
    };
    check_prices(table);
}

fn check_prices(table: PriceTable) {
    for skipped in &table.skipped {
        assert_is_short(&skipped.reason);
    }
    for price in &table.prices {
        price.check().unwrap_or_else(|error| panic!("a price that no book takes, since {error}: {price:?}"));
        let stored = serde_json::to_string(price).unwrap();
        assert_without_nul(&stored);
        assert_eq!(serde_json::from_str::<Price>(&stored).unwrap(), *price, "{stored}");
    }
    if table.prices.is_empty() {
        return;
    }
    let PriceTable { prices, source, .. } = table;
    let set = || PriceBookCommand::Set { prices: prices.clone(), source: source.clone(), at: at() };
    match PriceBook::default().decide(set()) {
        Err(error) => assert_is_short(&error.to_string()),
        Ok(events) => {
            let book = folded(PriceBook::default(), events);
            assert_eq!(book.decide(set()).unwrap(), [], "the same prices twice are something new");
        }
    }
}

/// How the invoice of an input is read, which its first byte selects.
fn invoice_options(selector: u8) -> (InvoiceFormat, InvoiceOptions) {
    let format = InvoiceFormat::ALL[usize::from(selector) % InvoiceFormat::ALL.len()];
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let has_comma = selector >= 128;
    let options = InvoiceOptions {
        provider: Name::new("acme").ok(),
        columns: InvoiceColumns::parse(&texts(&["day=Date,quantity=Qty"])).unwrap_or_default(),
        meters: MeterNames::parse(&texts(&["tokens (1K)=input*1000", "total=-", "all=*"])).unwrap_or_default(),
        day_format: has_comma.then(|| "%d.%m.%Y".to_owned()),
        decimal_mark: if has_comma { DecimalMark::Comma } else { DecimalMark::Point },
        ..InvoiceOptions::default()
    };
    (format, options)
}

fn read_selected(input: &[u8]) -> Option<Result<ReadInvoice, String>> {
    let (selector, input) = input.split_first()?;
    let (format, options) = invoice_options(*selector);
    let read = read_invoice(format, &options, Box::new(Cursor::new(input.to_vec())));
    Some(read.map_err(|error| error.to_string()))
}

/// The number of lines of an invoice that are read.
#[cfg(test)]
pub(crate) fn invoice_lines(input: &[u8]) -> usize {
    read_selected(input).and_then(Result::ok).map_or(0, |read| read.lines.len())
}

fn invoice(input: &[u8]) {
    let (Some(first), Some(again)) = (read_selected(input), read_selected(input)) else { return };
    assert_eq!(format!("{first:?}"), format!("{again:?}"), "the same invoice is not read the same twice");
    let read = match first {
        Ok(read) => read,
        Err(error) => return assert_is_short(&error),
    };
    read.refused.iter().for_each(|refused| assert_is_short(&refused.to_string()));
    let amount: Figure = read.lines.iter().filter_map(|line| line.amount).sum();
    assert_eq!(amount, read.header.amount, "the amount is not the sum of the lines");
    let record = |first: u32, lines: &[InvoiceLine]| {
        let (header, lines) = (read.header.clone(), lines.to_vec());
        InvoiceCommand::Record { header, first, lines, at: at() }
    };
    let mut state = Invoice::default();
    for (lines, first) in read.lines.chunks(MAX_LINES_PER_COMMAND).zip((1..).step_by(MAX_LINES_PER_COMMAND)) {
        match state.decide(record(first, lines)) {
            Err(error) => return assert_is_short(&error.to_string()),
            Ok(events) => state = folded(state, events),
        }
    }
    assert!(state.comparable().is_ok(), "not all lines are recorded");
    let lines = &read.lines[..read.lines.len().min(MAX_LINES_PER_COMMAND)];
    assert_eq!(state.decide(record(1, lines)).unwrap(), [], "the same invoice twice is something new");
    // It can be compared, and what is found adds up.
    let expected = Expected::new(read.header.provider.clone(), PRICES.clone());
    let compared = Compared { lines: &read.lines, content: read.header.content, tolerance: Figure::ZERO, position: 1 };
    match reconcile(&compared, expected) {
        Err(error @ ReconcileError::TooManyVariances { .. }) => assert_is_short(&error.to_string()),
        Err(error) => panic!("{error}"),
        Ok(reconciliation) => drop(folded(state.clone(), {
            let command = InvoiceCommand::Reconcile { reconciliation, at: at() };
            state.decide(command).unwrap()
        })),
    }
}

/// The number of items of an input that are read.
#[cfg(test)]
pub(crate) fn count(format: Format, input: &[u8]) -> usize {
    read(format, input).map_or(0, |read| read.items.iter().filter(|item| item.is_ok()).count())
}
