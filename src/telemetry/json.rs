//! Log lines as JSON: one object per line, with the causes of errors and the trace id.
//!
//! The JSON formatter of `tracing-subscriber` writes the message of an error without its causes.

use domain::error_with_causes;
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events as JSON.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        event.record(&mut Fields(&mut line));
        line.insert("target".to_owned(), event.metadata().target().into());
        let spans: Vec<_> = context.event_scope().into_iter().flat_map(|scope| scope.from_root()).collect();
        if let Some(trace_id) = spans.last().and_then(|span| trace_id(&span.id())) {
            line.insert("trace_id".to_owned(), trace_id.into());
        }
        let spans: Vec<_> = spans
            .iter()
            .map(|span| {
                // The fields were formatted as an object when the span was created.
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.fields.as_str());
                let mut object: Map<_, _> = serde_json::from_str(fields).unwrap_or_default();
                object.insert("name".to_owned(), span.name().into());
                Value::Object(object)
            })
            .collect();
        if !spans.is_empty() {
            line.insert("spans".to_owned(), spans.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The trace id of a span.
fn trace_id(span: &tracing::span::Id) -> Option<String> {
    use opentelemetry::trace::TraceContextExt as _;
    let context = tracing::dispatcher::get_default(|dispatch| tracing_opentelemetry::get_otel_context(span, dispatch))?;
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.insert(field, error_with_causes(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Debug, thiserror::Error)]
    #[error("the log cannot be read")]
    struct Outer(#[source] io::Error);

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_logs_carry_the_causes_of_errors() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.fmt_fields(tracing_subscriber::fmt::format::JsonFields::new()).event_format(JsonLines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let error = Outer(io::Error::other("no space left on \"disk\""));
            let _span = tracing::info_span!("batch", events = 3).entered();
            tracing::warn!(error = &error as &dyn Error, appends = 2, "a batch failed");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        let line: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(line["error"], "the log cannot be read: no space left on \"disk\"");
        assert_eq!((&line["message"], &line["level"]), (&"a batch failed".into(), &"WARN".into()));
        assert_eq!((&line["appends"], &line["spans"][0]["name"]), (&2.into(), &"batch".into()));
        assert_eq!(line["spans"][0]["events"], 3);
    }
}
