//! Subscriptions and event streams, while both tenants are at work.

use super::actors::{Actor, ActorExtent};
use super::client::Marker;
use super::schema::Request;
use super::verdict::{is_allowed, is_refused};
use super::world::World;
use super::{Matrix, OPERATOR_TOKEN, shortened};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use testkit::POLL_INTERVAL;

/// A stream that is read.
struct Opened<'a> {
    actor: &'a Actor,
    path: String,
    request: Option<Request>,
}

impl Opened<'_> {
    fn name(&self) -> String {
        let about = self.request.as_ref().map_or(self.path.clone(), Request::name);
        format!("{}: {about}", self.actor.name)
    }

    fn is_allowed(&self) -> bool {
        match &self.request {
            Some(request) => is_allowed(self.actor, request),
            // Each message has the payload of an event, whichever agent's it is.
            None => {
                let taken = ["read:events", "read:contents"];
                self.actor.extent == ActorExtent::Tenant && taken.iter().all(|permission| self.actor.may(permission))
            }
        }
    }
}

/// What both tenants do while the streams are open. The values have the marks of their tenants.
async fn work(matrix: &Matrix, credential: &str, world: &World) -> u64 {
    let agent = world.id("Agent").global;
    let mark = &world.mark;
    let query = format!(
        "mutation ($agent: ID!) {{
            registerAgent(input: {{ name: \"{mark}-live\" }}) {{ position }}
            pauseAgent(input: {{ id: $agent, reason: \"{mark}-live\" }}) {{ position }}
            resumeAgent(input: {{ id: $agent }}) {{ position }}
            storeMemory(input: {{ agentId: $agent, content: \"{mark}-live\" }}) {{ position }}
            last: reportCall(input: {{ model: \"{mark}-live\", kind: LLM, agentId: $agent, user: \"{mark}-live\", source: \"{mark}-live\",
                                       usage: {{ input: 1 }} }}) {{ position }} }}"
    );
    let answer = matrix.client.ask(credential, &json!({ "query": query, "variables": { "agent": agent } })).await;
    let position = answer.json["data"]["last"]["position"].as_str().unwrap_or_else(|| panic!("{}", answer.text));
    position.parse().unwrap()
}

/// The streams of an actor: each subscription, and the event stream, about the objects of both tenants.
fn streams_of<'a>(matrix: &Matrix, actor: &'a Actor) -> Vec<Opened<'a>> {
    let mut opened = Vec::new();
    for request in matrix.both("Subscription").into_iter().flatten() {
        opened.push(Opened { actor, path: "/graphql".to_owned(), request: Some(request) });
    }
    for world in [&matrix.own, &matrix.foreign] {
        let stream = world.id("Agent").uuid;
        for query in [String::new(), "?after=0".to_owned(), format!("?after=0&category=agent&streamId={stream}")] {
            opened.push(Opened { actor, path: format!("/events{query}"), request: None });
        }
    }
    opened
}

/// Whether a message of a stream, or the answer without one, refuses all of it.
fn refuses(text: &str) -> bool {
    let messages = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
    messages.filter_map(|message| serde_json::from_str(message.trim()).ok()).any(|message: Value| is_refused(&message))
}

/// Reads every stream of every actor, and returns what is wrong with them.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let marker = Marker::new();
    let opened: Vec<_> = actors.iter().flat_map(|actor| streams_of(matrix, actor)).collect();
    let reading = opened.iter().map(|opened| {
        let body = opened.request.as_ref().map(|request| &request.body);
        matrix.client.follow(&opened.actor.credential, &opened.path, body, &marker)
    });
    let working = async {
        while marker.opened.load(Ordering::SeqCst) < opened.len() {
            assert!(!marker.is_late(), "only {:?} of {} streams are open", marker.opened, opened.len());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        work(matrix, &matrix.foreign_admin, &matrix.foreign).await;
        // What the own tenant does comes later, so that a client that sees it has passed what the other one did.
        let position = work(matrix, OPERATOR_TOKEN, &matrix.own).await;
        marker.set(position);
    };
    let (texts, ()) = futures::join!(futures::future::join_all(reading), working);
    let (mut problems, mut live, mut canaries) = (Vec::new(), 0, matrix.foreign.canaries.clone());
    canaries.add("live", &[&format!("{}-live", matrix.foreign.mark)]);
    for (opened, text) in opened.iter().zip(&texts) {
        let body = opened.request.as_ref().map_or(Value::Null, |request| request.body.clone());
        let found = canaries.found_in(text, &format!("{}{body}", opened.path));
        if !found.is_empty() {
            problems.push(format!("{} shows {found:?}", opened.name()));
        }
        let is_refused = refuses(text);
        if is_refused == opened.is_allowed() {
            let refused = if is_refused { "refused" } else { "not refused" };
            problems.push(format!("{} is {refused}: {}", opened.name(), shortened(text)));
        }
        live += usize::from(text.contains(&format!("{}-live", matrix.own.mark)));
    }
    // The streams that are allowed do show what happens, of the own tenant.
    assert!(live > actors.len(), "only {live} of {} streams have shown what the own tenant did", opened.len());
    problems
}
