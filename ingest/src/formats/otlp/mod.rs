//! OpenTelemetry traces, with the GenAI semantic conventions.
//!
//! A front end reads an encoding and pushes each [`span`] into the [`collector`]; everything after that is independent
//! of the encoding. [`json`] reads an `ExportTraceServiceRequest` (`resourceSpans`) and Grafana Tempo's form of it
//! (`batches`), as one object or as several, one per line as the OpenTelemetry Collector's file exporter writes them;
//! [`proto`] reads the protobuf of a request.
//!
//! Frameworks nest spans, and outer spans may repeat the tokens of the calls inside: which spans are calls is decided by
//! [`domain::trace`], over all requests and files of a trace. The agent and the task are often named by an outer span, so
//! that they are looked up there too. Spans that run a tool become tool calls. [`conventions`] has the names of the
//! attributes. No record of a file is returned before its end, because a trace may continue until there; nothing of a
//! truncated file is reported.

mod attribute_value;
mod attributes;
mod collector;
mod contents;
mod conventions;
mod decoded;
mod exported;
mod forest;
mod json;
mod logs;
mod metrics;
pub(crate) mod not_counted;
mod placement;
mod proto;
mod records;
pub(crate) mod request;
mod sink;
mod span;
#[cfg(test)]
mod tests;
mod vendor_attributes;
mod vendors;

pub use exported::KeptSpans;
pub(crate) use exported::{MAX_EXPORTED_CONTENT_BYTES, MAX_EXPORTED_RECORDS, MAX_EXPORTED_SPANS};

use super::lines::Lines;
use super::reader::{RecordReader, Records};
use super::spec::{KeyKind, Spec};
use crate::error::{InputError, RecordError, Refusal};
use crate::format::{Defaults, Format};
use crate::item::Item;
use crate::record::SkippedCounts;
use collector::{MAX_HELD_BYTES, SpanCollector};
use json::Layout;
use std::collections::VecDeque;

pub(crate) const SPEC: Spec = Spec {
    format: Format::Otlp,
    about: "OpenTelemetry traces in JSON: one object, or one per line as the Collector's file exporter writes them",
    extensions: &["json", "jsonl", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Span, KeyKind::ProviderRequest],
    recognises: |sketch| sketch.has("resourceSpans") || sketch.has("batches"),
    open: |lines, defaults| Ok(open(lines, defaults)),
};

pub(super) fn open(lines: Lines, defaults: Defaults) -> Records {
    let (refusals, ready) = (VecDeque::new(), VecDeque::new());
    Box::new(TraceRecords {
        stage: Stage::Start(lines),
        defaults,
        refusals,
        ready,
        span_count: 0,
        returned: 0,
        not_read: Vec::new(),
    })
}

/// How far the file is read.
enum Stage {
    /// Its layout is not known yet.
    Start(Lines),
    /// The next line is read next.
    Lines(Lines, Box<SpanCollector>),
    /// All spans are read.
    End,
}

struct TraceRecords {
    stage: Stage,
    defaults: Defaults,
    /// Refusals to return before what is ready.
    refusals: VecDeque<Refusal>,
    ready: VecDeque<Result<Item, RecordError>>,
    /// The number of spans read, once all are.
    span_count: u64,
    /// The number of spans returned as records or refusals.
    returned: u64,
    /// What was not counted, once all spans are read.
    not_read: Vec<String>,
}

impl RecordReader for TraceRecords {
    fn skipped(&self) -> SkippedCounts {
        SkippedCounts { not_calls: self.span_count.saturating_sub(self.returned), other_format: 0 }
    }

    fn take_not_read(&mut self) -> Vec<String> {
        std::mem::take(&mut self.not_read)
    }
}

impl Iterator for TraceRecords {
    type Item = Result<Item, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(refusal) = self.refusals.pop_front() {
                return Some(Err(refusal.into()));
            }
            if let Some(item) = self.ready.pop_front() {
                self.returned += item.as_ref().map_or(1, Item::len);
                return Some(item);
            }
            let next_stage = match std::mem::replace(&mut self.stage, Stage::End) {
                Stage::Start(lines) => self.start(lines),
                Stage::Lines(lines, collector) => self.line(lines, collector),
                Stage::End => return None,
            };
            match next_stage {
                Ok(stage) => self.stage = stage,
                Err(error) => self.ready.push_back(Err(error.into())),
            }
        }
    }
}

impl TraceRecords {
    fn start(&mut self, mut lines: Lines) -> Result<Stage, InputError> {
        let mut collector = SpanCollector::new(MAX_HELD_BYTES);
        match json::detect_layout(&mut lines)? {
            Layout::Empty => Ok(Stage::End),
            Layout::Lines => Ok(Stage::Lines(lines, Box::new(collector))),
            Layout::Document => {
                json::read_document(lines, &mut collector)?;
                Ok(self.finish(collector))
            }
        }
    }

    fn line(&mut self, mut lines: Lines, mut collector: Box<SpanCollector>) -> Result<Stage, InputError> {
        match json::read_line(&mut lines, &mut collector) {
            Ok(true) => {}
            Ok(false) => return Ok(self.finish(*collector)),
            Err(RecordError::Refused(refusal)) => self.refusals.push_back(refusal),
            Err(RecordError::Input(error)) => return Err(error),
        }
        self.take_refusals(&mut collector);
        Ok(Stage::Lines(lines, collector))
    }

    fn finish(&mut self, mut collector: SpanCollector) -> Stage {
        self.take_refusals(&mut collector);
        self.span_count = collector.span_count();
        self.not_read = collector.take_not_read().messages("spans");
        let forest = collector.into_forest();
        self.not_read.extend(not_counted::of_unmeasured(forest.count_unmeasured()));
        let items = records::items_of(&forest, &self.defaults);
        self.ready.extend(items.into_iter().map(|item| item.map_err(RecordError::from)));
        Stage::End
    }

    fn take_refusals(&mut self, collector: &mut SpanCollector) {
        let mut refusals = collector.take_refusals();
        self.returned += refusals.len() as u64;
        if self.refusals.is_empty() {
            self.refusals = refusals;
        } else {
            self.refusals.append(&mut refusals);
        }
    }
}
