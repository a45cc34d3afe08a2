//! The metrics of the gateway.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

/// Describes the metrics of this crate.
pub fn register_metrics() {
    describe_counter!("apex_gateway_calls_total", "Calls that were passed on, by endpoint and outcome.");
    describe_counter!("apex_gateway_refused_total", "Calls that were not passed on, by endpoint and reason.");
    describe_counter!("apex_gateway_assumed_total", "Calls that were charged what was reserved, as no usage is known.");
    describe_counter!("apex_gateway_unreserved_total", "Calls that were passed on while budgets could not be checked.");
    describe_counter!("apex_gateway_unsettled_total", "Calls that could not be settled, or released.");
    describe_counter!("apex_gateway_key_reloads_total", "Keys of upstreams that were read again, by outcome.");
    describe_gauge!("apex_gateway_keys_failing", "Upstreams whose key cannot be read again.");
    describe_counter!(
        "apex_gateway_top_ups_total",
        "Reservations that streams went beyond, by whether they were extended."
    );
    describe_gauge!("apex_gateway_open_calls", "Calls that are not settled yet.");
    describe_histogram!("apex_gateway_reserve_seconds", "Time to reserve a call.");
    for name in ["apex_gateway_assumed_total", "apex_gateway_unreserved_total", "apex_gateway_unsettled_total"] {
        counter!(name).increment(0);
    }
}
