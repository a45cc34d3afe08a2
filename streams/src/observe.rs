//! The metrics of the log and of the relay.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

/// Describes the metrics of this crate, and registers its counters at zero: Prometheus' `increase` sees the first fault
/// only of a counter that was there before.
pub fn register_metrics() {
    describe_counter!("apex_log_events_total", "Events that this process appended.");
    describe_counter!("apex_log_batches_total", "Batches that this process committed.");
    describe_counter!("apex_log_failed_batches_total", "Batches of this process that failed to commit.");
    describe_counter!("apex_log_busy_total", "Appends that this process refused because too many waited.");
    describe_counter!("apex_log_tail_errors_total", "Failed attempts of this process to read the end of the log.");
    describe_counter!("apex_log_partition_errors_total", "Failed attempts to make or index partitions of the log.");
    describe_counter!("apex_relay_events_total", "Events that this process published to Kafka.");
    describe_counter!("apex_relay_errors_total", "Failed attempts of this process to publish to Kafka.");
    describe_gauge!("apex_log_append_queue", "Appends of this process that wait for a batch.");
    describe_gauge!("apex_log_position", "The last position of the log that this process has seen.");
    describe_gauge!("apex_relay_active", "1 while this process publishes to Kafka, 0 while another one may.");
    describe_gauge!("apex_relay_lag_events", "Events of the log that Kafka has not acknowledged.");
    describe_histogram!("apex_log_append_seconds", "How long a batch took to commit.");
    counter!("apex_log_events_total").increment(0);
    counter!("apex_log_batches_total").increment(0);
    counter!("apex_log_failed_batches_total").increment(0);
    counter!("apex_log_busy_total").increment(0);
    counter!("apex_log_tail_errors_total").increment(0);
    counter!("apex_log_partition_errors_total").increment(0);
    counter!("apex_relay_events_total").increment(0);
    counter!("apex_relay_errors_total").increment(0);
}
