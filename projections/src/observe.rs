//! The metrics of the read models.

use crate::all;
use metrics::{counter, describe_counter, describe_histogram};

/// Describes the metrics of this crate, and sets its counters to zero for every projection: Prometheus' `increase`
/// counts the first event only of a counter that exists before.
pub fn register_metrics() {
    describe_counter!("apex_projection_events_total", "Events that this process applied to a read model.");
    describe_counter!("apex_projection_errors_total", "Batches of a read model that failed and were retried.");
    describe_counter!(
        "apex_projection_parked_total",
        "Events that this process parked because they cannot be applied."
    );
    describe_histogram!("apex_projection_batch_seconds", "How long it took to apply a batch to a read model.");
    for projection in all() {
        let name = projection.name();
        counter!("apex_projection_events_total", "projection" => name).increment(0);
        counter!("apex_projection_errors_total", "projection" => name).increment(0);
        counter!("apex_projection_parked_total", "projection" => name).increment(0);
    }
}
