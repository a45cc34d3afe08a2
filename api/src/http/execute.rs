//! Executing GraphQL operations, for every transport.

use super::access;
use super::computing::in_place;
use super::prepare::{Prepared, timed_out};
use super::response;
use super::state::State;
use crate::document::{self, Selections};
use crate::requester::Requester;
use async_graphql::Response;
use async_graphql::parser::types::OperationType;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use tracing::Instrument;

/// Executes a query or mutation, until its deadline.
pub(crate) async fn run(state: &State, prepared: Prepared) -> Response {
    let span = operation_span(&prepared);
    let Prepared { request, loads, requester, operation, selections, deadline, is_large, .. } = prepared;
    let finish = Finish { selections, operation, max_bytes: state.limits().max_response_bytes };
    let executing = state.cpu_permits.run_first_poll(is_large, loads.execute(state.schema.execute(request)));
    let executed = tokio::time::timeout_at(deadline, executing).instrument(span).await;
    finish.apply(state, &requester, executed.unwrap_or_else(|_| Response::from_errors(vec![timed_out(operation)])))
}

/// Executes an operation of any kind as a stream of responses: those of a subscription, or the one of a query or mutation.
pub(crate) fn stream(state: &Arc<State>, prepared: Prepared) -> BoxStream<'static, Response> {
    if prepared.operation != OperationType::Subscription {
        let state = state.clone();
        return futures::stream::once(async move { run(&state, prepared).await }).boxed();
    }
    let Prepared { request, mut loads, requester, operation, selections, is_large, subscription, .. } = prepared;
    let shared = state.clone();
    let finish = Finish { selections, operation, max_bytes: state.limits().max_response_bytes };
    let mut responses = state.schema.execute_stream(request);
    // The first poll validates the document.
    let mut is_long = is_large;
    let responses = futures::stream::poll_fn(move |context| {
        let polled = match std::mem::take(&mut is_long) {
            true => in_place(|| responses.poll_next_unpin(context)),
            false => responses.poll_next_unpin(context),
        };
        if polled.is_pending() {
            loads.poll(context);
        }
        polled
    });
    responses
        .map(move |response| {
            // It counts as open as long as the stream.
            let _open = &subscription;
            finish.apply(&shared, &requester, response)
        })
        .boxed()
}

/// Finishes the responses of an operation.
struct Finish {
    selections: Selections,
    operation: OperationType,
    max_bytes: usize,
}

impl Finish {
    /// Completes and sorts a response, adds the codes of its errors, notes what was refused, and limits its size.
    fn apply(&self, state: &State, requester: &Requester, mut response: Response) -> Response {
        document::complete(&self.selections, &mut response);
        document::sort(&self.selections, &mut response);
        response::code_errors(&mut response);
        access::refused_fields(state, requester, &response);
        response::limit_size(&mut response, self.operation, self.max_bytes);
        response
    }
}

fn operation_span(prepared: &Prepared) -> tracing::Span {
    let operation = prepared.operation.to_string();
    tracing::info_span!(
        "graphql_operation",
        otel.name = format!("graphql {operation}"),
        graphql.operation.type = operation,
        graphql.operation.name = prepared.name.as_deref(),
    )
}
