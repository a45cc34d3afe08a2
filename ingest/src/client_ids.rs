//! The ids of calls that clients report by themselves, over GraphQL or as lines.

use domain::call::{CallFacts, CallIds, CallKey, CallKind};
use domain::{CallId, Name};

/// How a client names a call.
#[derive(Debug, Clone)]
pub enum GivenCall {
    /// By the id of the call.
    Id(CallId),
    /// By a key of the provider or the client.
    Key(Name),
}

/// All ids of a call: the one that the client gives it, and those that follow from what is known of it; none if nothing
/// identifies it.
#[must_use]
pub fn client_call_ids(given: Option<&GivenCall>, facts: &CallFacts) -> Option<CallIds> {
    let text = |name: &Option<Name>| name.as_ref().map_or_else(String::new, ToString::to_string);
    let (provider, model) = (text(&facts.provider), text(&facts.model));
    // A tool may be called by the response of a model, whose id is that of another call.
    let is_llm = facts.kind == CallKind::Llm;
    let of_response = |id: &Name| is_llm.then(|| CallKey::of_response(&provider, &model, id.as_str())).flatten();
    let given = given.map(|given| match given {
        GivenCall::Id(id) => *id,
        GivenCall::Key(key) => {
            of_response(key).unwrap_or_else(|| CallKey::of_client(&provider, key.as_str())).call_id()
        }
    });
    let response = facts.response_id.as_ref().and_then(of_response);
    let request = facts.request_id.as_ref().filter(|_| is_llm);
    let request = request.and_then(|id| CallKey::of_provider_request(id.as_str()));
    let span = facts.span.as_ref().map(|span| CallKey::of_span(facts.kind, span));
    CallIds::of(given.into_iter().chain([response, request, span].into_iter().flatten().map(|key| key.call_id())))
}
