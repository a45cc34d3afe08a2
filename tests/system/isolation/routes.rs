//! Every route and every export, with what identifies objects of another tenant.

use super::operations::is_enough;
use super::{Actor, Matrix, PASSWORD};
use api::{ROUTES, RouteAccess};
use serde_json::{Value, json};

/// Who may use a route.
enum Takes {
    Nothing,
    /// A principal that may read anything.
    Any,
    /// These permissions.
    Permissions(&'static [&'static str]),
    /// The session of a user.
    Session,
    /// Something in the body.
    SignIn,
    /// Nothing, for a page with a form. Forms that no page of the server sends are refused.
    Page,
    /// It is checked elsewhere: GraphQL, and streams that do not end.
    Elsewhere,
}

/// What a route takes.
///
/// # Panics
/// If the route is not known: a new one has to be added.
fn takes(route: &str) -> Takes {
    match route {
        "/healthz"
        | "/readyz"
        | "/"
        | "/graphiql"
        | "/graphiql/{asset}"
        | "/.well-known/jwks.json"
        | "/auth/providers"
        | "/auth/page.css"
        | "/v1/openapi.json"
        | "/docs/api" => Takes::Nothing,
        "/graphql" => Takes::Any,
        "/graphql/ws" | "/events" => Takes::Elsewhere,
        "/v1/ingest" | "/v1/ingest/{format}" | "/api/public/ingestion" | "/api/public/otel/v1/traces" => {
            Takes::Permissions(&["command:calls"])
        }
        "/metrics" => Takes::Permissions(&["read_metrics:installation"]),
        "/auth/session" | "/auth/password" | "/auth/totp" | "/auth/totp/confirm" | "/auth/totp/disable" => {
            Takes::Session
        }
        "/auth/login"
        | "/auth/login/{provider}"
        | "/auth/callback"
        | "/auth/refresh"
        | "/auth/logout"
        | "/auth/register"
        | "/auth/password-reset"
        | "/auth/password-reset/request"
        | "/auth/device/decision"
        | "/auth/cli/decision"
        | "/auth/token" => Takes::SignIn,
        "/auth/sign-in"
        | "/auth/device"
        | "/auth/cli"
        | "/auth/forgot-password"
        | "/auth/set-password"
        | "/auth/invitation" => Takes::Page,
        other => panic!("the route {other} is new: add it to tests/system/isolation/routes.rs"),
    }
}

/// Whether an actor may follow the event stream.
pub(super) fn may_follow(actor: &Actor) -> bool {
    ["read:events", "read:contents"].iter().all(|permission| is_enough(actor.permissions, permission))
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

/// Sends each route what belongs to another tenant, as each actor and as nobody.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let body = body(matrix);
    let mut problems = Vec::new();
    for (route, access) in ROUTES {
        let takes = takes(route);
        let path = route.replace("{asset}", "start.js").replace("{provider}", "okta");
        if matches!(takes, Takes::Elsewhere) {
            continue;
        }
        for actor in actors.iter().map(Some).chain([None]) {
            for body in [None, Some(&body)] {
                let credential = actor.map(|actor| actor.credential.as_str());
                let answer = matrix.client.send(credential, &path, body).await;
                let name = format!("{} {route}", actor.map_or("nobody", |actor| &actor.name));
                let found =
                    matrix.foreign.canaries.found_in(&answer.text, &body.map(Value::to_string).unwrap_or_default());
                if !found.is_empty() {
                    problems.push(format!("{name} shows {found:?}"));
                }
                let is_allowed = match (&takes, actor) {
                    (Takes::Nothing, _) => true,
                    (Takes::Page, _) => body.is_none() || route == "/auth/device",
                    (Takes::Permissions(taken), Some(actor)) => {
                        taken.iter().all(|permission| is_enough(actor.permissions, permission)) && !actor.is_bound
                    }
                    (Takes::Session, Some(actor)) => actor.is_user,
                    (Takes::Any, actor) => actor.is_some(),
                    _ => false,
                };
                if answer.status.is_success() && !is_allowed && route != "/auth/password-reset/request" {
                    problems.push(format!("{name} is answered: {}", answer.text));
                }
            }
        }
        assert_eq!(matches!(takes, Takes::Nothing), access == RouteAccess::Public, "{route}");
        assert_eq!(matches!(takes, Takes::SignIn), access == RouteAccess::SignIn, "{route}");
        assert_eq!(matches!(takes, Takes::Page), access == RouteAccess::Page, "{route}");
    }
    problems
}

/// The subcommands that print data of a tenant. `FOREIGN` is an id of another one.
const EXPORTS: [&str; 24] = [
    "replay",
    "replay --stream agent/AGENT",
    "replay --stream agent/AGENT --as-of POSITION",
    "replay --stream call/CALL --as-of POSITION",
    "replay --stream memory/MEMORY --as-of POSITION",
    "report cost --format csv",
    "report cost --format json --by model,provider",
    "report cost --format csv --by agent",
    "report cost --format csv --by task",
    "report cost --format csv --by conversation",
    "report cost --format json --filter agent=AGENT",
    "prices list --format json",
    "tags list",
    "accounts list --format json",
    "keys list --format json",
    "limits show",
    "teams list --format json",
    "teams members TEAM",
    "roles list --format json",
    "roles assignments --format json",
    "access review --format json",
    "users list --format json",
    "users invitations --format json",
    "whoami",
];

/// Exports of the command line have nothing of the other tenant. Control: those of the other tenant do.
pub(super) async fn check_exports(matrix: &Matrix) -> Vec<String> {
    let foreign = &matrix.foreign;
    let export = async |template: &str, tenant: &str| {
        let line = template
            .replace("AGENT", &foreign.id("Agent").uuid)
            .replace("CALL", &foreign.id("Call").uuid)
            .replace("MEMORY", &foreign.id("Memory").uuid)
            .replace("TEAM", &foreign.id("Team").uuid)
            .replace("POSITION", &foreign.position);
        let key_file = matrix.installation.key_file();
        let more = ["--tenant", tenant, "--key-file", key_file.to_str().unwrap()];
        let arguments: Vec<_> = line.split(' ').chain(more).collect();
        let output = matrix.installation.database.run(&arguments).await;
        (format!("{}{}", output.stdout, output.stderr), line)
    };
    let (mut problems, mut shown) = (Vec::new(), 0);
    for template in EXPORTS {
        let own_tenant = testkit::tenant().to_string();
        let (own, theirs) = futures::join!(export(template, &own_tenant), export(template, &foreign.tenant));
        let found = foreign.canaries.found_in(&own.0, &own.1);
        if !found.is_empty() {
            problems.push(format!("apex {template} shows {found:?}"));
        }
        assert!(!own.0.contains("error: unexpected") && !own.0.contains("Usage:"), "{template}: {}", own.0);
        shown += usize::from(!foreign.canaries.found_in(&theirs.0, &theirs.1).is_empty());
    }
    assert!(shown > EXPORTS.len() - 4, "only {shown} of {} exports show what their own tenant has", EXPORTS.len());
    problems
}
