//! Connects the processing of events to the traces of the commands that caused them.

use crate::event::RecordedEvent;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The most traces that a span is connected to.
const MAX_LINKS: usize = 16;

/// Makes a span over a batch of events a child of the command that caused them. With several commands it is a child of one
/// of them, and linked to up to 15 others.
pub fn link_to_causes(span: &tracing::Span, events: &[Arc<RecordedEvent>]) {
    let traceparents = events.iter().filter_map(|event| event.metadata().ok()?.traceparent);
    let traceparents: BTreeSet<String> = traceparents.take(MAX_LINKS).collect();
    let propagator = TraceContextPropagator::new();
    for (index, traceparent) in traceparents.into_iter().enumerate() {
        let carrier = HashMap::from([("traceparent".to_owned(), traceparent)]);
        let context = propagator.extract(&carrier);
        if index == 0 {
            // Fails only where no OpenTelemetry layer is installed, and then there is no trace.
            drop(span.set_parent(context));
        } else {
            span.add_link(context.span().span_context().clone());
        }
    }
}
