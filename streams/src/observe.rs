//! Metrics of the log and of the relay.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

/// Describes the metrics of this crate, and registers its counters at zero: Prometheus' `increase` shows the first
/// increment only of a counter that existed before.
pub fn register_metrics() {
    describe_counter!("apex_log_events_total", "Events appended by this process.");
    describe_counter!("apex_log_batches_total", "Batches committed by this process.");
    describe_counter!("apex_log_failed_batches_total", "Batches of this process that failed to commit.");
    describe_counter!("apex_log_busy_total", "Appends that this process refused because its queue was full.");
    describe_counter!("apex_log_tail_errors_total", "Failed attempts of this process to read the end of the log.");
    describe_counter!("apex_log_partition_errors_total", "Failed attempts to create or index partitions of the log.");
    describe_counter!("apex_relay_events_total", "Events published to Kafka by this process.");
    describe_counter!("apex_relay_errors_total", "Failed attempts of this process to publish to Kafka.");
    describe_counter!(
        "apex_relay_left_out_total",
        "Events that this process did not publish because it does not know their category."
    );
    describe_gauge!("apex_log_append_queue", "Appends of this process that are queued.");
    describe_gauge!("apex_log_position", "The last position of the log that this process has seen.");
    describe_gauge!("apex_relay_active", "1 while this process is the active relay to Kafka, else 0.");
    describe_gauge!("apex_relay_lag_events", "Events of the log that Kafka has not acknowledged yet.");
    describe_histogram!("apex_log_append_seconds", "How long a batch took to commit, in seconds.");
    counter!("apex_log_events_total").increment(0);
    counter!("apex_log_batches_total").increment(0);
    counter!("apex_log_failed_batches_total").increment(0);
    counter!("apex_log_busy_total").increment(0);
    counter!("apex_log_tail_errors_total").increment(0);
    counter!("apex_log_partition_errors_total").increment(0);
    counter!("apex_relay_events_total").increment(0);
    counter!("apex_relay_errors_total").increment(0);
    counter!("apex_relay_left_out_total").increment(0);
}
