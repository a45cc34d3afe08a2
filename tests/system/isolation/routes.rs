//! Every route, with what identifies objects of another tenant.

use super::Matrix;
use super::actors::Actor;
use super::ingest::{self, MakeBody};
use super::operations::ANY;
use super::seeding::PASSWORD;
use api::{ROUTES, RouteAccess};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who may use a route, and how it is tested.
enum Takes {
    /// No credential.
    Nothing,
    /// A permission. It is answered to `GET`, or to `POST` of a query.
    Permission(&'static str),
    /// A permission on the installation. What is answered is about all tenants together.
    Installation(&'static str),
    /// A permission, to send the data that a function makes: see ingest.rs.
    Ingest(&'static str, MakeBody),
    /// The session of a user.
    Session,
    /// Something in the body.
    SignIn,
    /// Nothing, for a page with a form. Forms that no page of the server sends are refused.
    Page,
    /// An upstream of the gateway, of which the server of these tests has none: nothing is answered.
    Upstream,
    /// It is tested as a stream: see streams.rs and sockets.rs.
    Stream,
}

/// What each route takes.
const TAKES: &[(&str, Takes)] = &[
    ("/graphql", Takes::Permission(ANY)),
    ("/graphql/ws", Takes::Stream),
    ("/events", Takes::Stream),
    ("/metrics", Takes::Installation("read_metrics:installation")),
    ("/v1/traces", Takes::Ingest("command:calls", ingest::otlp_traces)),
    ("/v1/logs", Takes::Ingest("command:calls", ingest::otlp_logs)),
    ("/v1/metrics", Takes::Ingest("command:calls", ingest::otlp_metrics)),
    (
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Takes::Ingest("command:calls", ingest::grpc_traces),
    ),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Takes::Ingest("command:calls", ingest::grpc_logs)),
    (
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Takes::Ingest("command:calls", ingest::grpc_metrics),
    ),
    ("/v1/exports/calls", Takes::Permission("read:calls")),
    ("/v1/exports/focus", Takes::Permission("read:reports")),
    ("/v1/ingest", Takes::Ingest("command:calls", ingest::lines)),
    ("/v1/ingest/{format}", Takes::Ingest("command:calls", ingest::litellm)),
    ("/api/public/ingestion", Takes::Ingest("command:calls", ingest::langfuse)),
    ("/api/public/otel/v1/traces", Takes::Ingest("command:calls", ingest::otlp_traces)),
    ("/gateway/{upstream}/v1/chat/completions", Takes::Upstream),
    ("/gateway/{upstream}/v1/responses", Takes::Upstream),
    ("/gateway/{upstream}/v1/embeddings", Takes::Upstream),
    ("/gateway/{upstream}/v1/messages", Takes::Upstream),
    ("/gateway/{upstream}/v1/messages/count_tokens", Takes::Upstream),
    ("/v1/openapi.json", Takes::Nothing),
    ("/docs/api", Takes::Nothing),
    ("/auth/login", Takes::SignIn),
    ("/auth/login/{provider}", Takes::SignIn),
    ("/auth/callback", Takes::SignIn),
    ("/auth/providers", Takes::Nothing),
    ("/auth/refresh", Takes::SignIn),
    ("/auth/logout", Takes::SignIn),
    ("/auth/register", Takes::SignIn),
    ("/auth/password-reset", Takes::SignIn),
    ("/auth/password-reset/request", Takes::SignIn),
    ("/auth/session", Takes::Session),
    ("/auth/password", Takes::Session),
    ("/auth/totp", Takes::Session),
    ("/auth/totp/confirm", Takes::Session),
    ("/auth/totp/disable", Takes::Session),
    ("/auth/sign-in", Takes::Page),
    ("/auth/device", Takes::Page),
    ("/auth/device/decision", Takes::SignIn),
    ("/auth/cli", Takes::Page),
    ("/auth/cli/decision", Takes::SignIn),
    ("/auth/token", Takes::SignIn),
    ("/auth/forgot-password", Takes::Page),
    ("/auth/set-password", Takes::Page),
    ("/auth/invitation", Takes::Page),
    ("/auth/page.css", Takes::Nothing),
    ("/.well-known/jwks.json", Takes::Nothing),
    ("/healthz", Takes::Nothing),
    ("/readyz", Takes::Nothing),
    ("/", Takes::Nothing),
    ("/agents", Takes::Nothing),
    ("/agents/{agent}", Takes::Nothing),
    ("/costs", Takes::Nothing),
    ("/budgets", Takes::Nothing),
    ("/tasks", Takes::Nothing),
    ("/tasks/{task}", Takes::Nothing),
    ("/dags/{dag}", Takes::Nothing),
    ("/budgets/{budget}", Takes::Nothing),
    ("/calls", Takes::Nothing),
    ("/calls/{call}", Takes::Nothing),
    ("/traces/{trace}", Takes::Nothing),
    ("/audit", Takes::Nothing),
    ("/memory", Takes::Nothing),
    ("/prices", Takes::Nothing),
    ("/settings", Takes::Nothing),
    ("/start", Takes::Nothing),
    ("/assets/{file}", Takes::Nothing),
    ("/graphiql", Takes::Nothing),
    ("/graphiql/{asset}", Takes::Nothing),
];

/// Compares the table with that of the router.
pub(super) fn check_table<'a>(of_router: impl IntoIterator<Item = &'a str>) {
    let of_router: BTreeSet<_> = of_router.into_iter().collect();
    let known: BTreeSet<_> = TAKES.iter().map(|(route, _)| *route).collect();
    let new: Vec<_> = of_router.difference(&known).map(|route| format!("    ({route:?}, Takes::…),\n")).collect();
    assert!(
        new.is_empty(),
        "routes without a line in TAKES in tests/system/isolation/routes.rs, which says who may use a route and, if data comes \
         in by it, what is sent to it. Add:\n{}",
        new.concat()
    );
    let removed: Vec<_> = known.difference(&of_router).collect();
    assert!(removed.is_empty(), "remove from TAKES in tests/system/isolation/routes.rs: {removed:?}");
}

/// The routes by which data comes in, the permission that each takes, and what makes a body for it.
pub(super) fn ingest() -> impl Iterator<Item = (&'static str, &'static str, MakeBody)> {
    TAKES.iter().filter_map(|(route, takes)| match takes {
        Takes::Ingest(permission, make) => Some((*route, *permission, *make)),
        _ => None,
    })
}

/// A body that names a person and objects of the other tenant in every way that a route might read.
fn body(matrix: &Matrix) -> Value {
    let foreign = &matrix.foreign;
    let email = format!("{}-user@example.org", foreign.mark);
    json!({
        "query": "{ viewer { actor tenant permissions email } }", "email": email, "password": PASSWORD,
        "tenant": testkit::tenant(), "token": foreign.id("Invitation").uuid, "refreshToken": foreign.id("Session").uuid,
        "id": foreign.id("User").uuid, "userId": foreign.id("User").uuid, "sessionId": foreign.id("Session").uuid,
        "currentPassword": "wrong", "newPassword": "another fine password", "code": "000000",
    })
}

/// Whether a route with what it takes is answered to an actor, or to nobody.
fn is_allowed(route: &str, takes: &Takes, actor: Option<&Actor>, is_get: bool) -> bool {
    match (takes, actor) {
        (Takes::Nothing, _) => true,
        (Takes::Page, _) => is_get || route == "/auth/device",
        (Takes::Permission(permission) | Takes::Installation(permission), Some(actor)) => {
            // Who may do nothing is told so by the operations of GraphQL.
            *permission == ANY || actor.may(permission)
        }
        (Takes::Session, Some(actor)) => actor.is_user,
        // It never says whether there is such a person.
        (Takes::SignIn, _) => route == "/auth/password-reset/request",
        _ => false,
    }
}

/// Sends each route what belongs to another tenant, as each actor and as nobody.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let body = body(matrix);
    let sent = body.to_string();
    let mut problems = Vec::new();
    for (route, takes) in TAKES.iter().filter(|(_, takes)| !matches!(takes, Takes::Stream | Takes::Ingest(..))) {
        let path = route.replace("{asset}", "start.js").replace("{file}", "missing.css").replace("{provider}", "okta");
        for actor in actors.iter().map(Some).chain([None]) {
            let credential = actor.map(|actor| actor.credential.as_str());
            let name = format!("{} {route}", actor.map_or("nobody", |actor| &actor.name));
            let (mut is_answered, mut may_be_answered) = (false, false);
            for body in [None, Some(&body)] {
                let answer = matrix.client.send(credential, &path, body).await;
                let is_allowed = is_allowed(route, takes, actor, body.is_none());
                let is_of_all = is_allowed && matches!(takes, Takes::Installation(_));
                let found = matrix.foreign.canaries.found_in(&answer.text, if body.is_some() { &sent } else { "" });
                if !found.is_empty() && !is_of_all {
                    problems.push(format!("{name} shows {found:?}"));
                }
                if answer.is_accepted() && !is_allowed {
                    problems.push(format!("{name} is answered: {}", answer.text));
                }
                is_answered |= answer.is_accepted() || answer.status.is_redirection();
                may_be_answered |= is_allowed;
            }
            // What the others are answered needs more than is sent here.
            if matches!(takes, Takes::Nothing | Takes::Permission(_) | Takes::Installation(_))
                && may_be_answered
                && !is_answered
            {
                problems.push(format!("{name} is not answered"));
            }
        }
    }
    for (route, access) in ROUTES {
        let takes = TAKES.iter().find(|(known, _)| *known == route).map(|(_, takes)| takes);
        let expected = match takes {
            Some(Takes::Nothing) => RouteAccess::Public,
            Some(Takes::SignIn) => RouteAccess::SignIn,
            Some(Takes::Page) => RouteAccess::Page,
            _ => RouteAccess::Authorised,
        };
        assert_eq!(access, expected, "{route}");
    }
    problems
}

#[test]
#[should_panic(expected = "(\"/v1/planted\", Takes::…)")]
fn a_route_that_is_not_in_the_table_is_found() {
    check_table(ROUTES.iter().map(|(route, _)| *route).chain(["/v1/planted"]));
}

#[test]
#[should_panic(expected = "remove from TAKES")]
fn a_route_that_is_no_longer_served_is_found() {
    check_table(ROUTES.iter().skip(1).map(|(route, _)| *route));
}
