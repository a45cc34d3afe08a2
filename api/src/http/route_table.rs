//! The table of the routes. Only what is in it is served.

use super::origin::CALLBACK_ROUTE;
use super::pages::STYLE_ROUTE;
use super::sign_in::JWKS_ROUTE;

/// The route of the OpenAPI document.
pub(super) const OPENAPI_ROUTE: &str = "/v1/openapi.json";
/// The route of the page to read it.
pub(super) const API_PAGE_ROUTE: &str = "/docs/api";
/// The route to which SDKs of Langfuse export spans.
pub(super) const LANGFUSE_OTLP_ROUTE: &str = "/api/public/otel/v1/traces";

/// The route of the files of the web page.
pub(super) const WEB_FILE_ROUTE: &str = "/assets/{file}";
/// The routes of the web page, which are all answered with the same document: it looks at the path itself.
pub(super) const WEB_ROUTES: [&str; 17] = [
    "/",
    "/agents",
    "/agents/{agent}",
    "/costs",
    "/budgets",
    "/tasks",
    "/tasks/{task}",
    "/dags/{dag}",
    "/budgets/{budget}",
    "/calls",
    "/calls/{call}",
    "/traces/{trace}",
    "/audit",
    "/memory",
    "/prices",
    "/settings",
    "/start",
];

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// No credential is needed: the route shows no data.
    Public,
    /// A principal that is authorised.
    Authorised,
    /// A person who presents a password, a token or an invitation in the body, with `POST`, or whom an identity provider has
    /// authenticated.
    SignIn,
    /// A person with a browser: the page has a form, and shows data to nobody who is not signed in.
    Page,
}

/// Every route, and who may use it.
pub const ROUTES: [(&str, RouteAccess); 70] = [
    ("/graphql", RouteAccess::Authorised),
    ("/graphql/ws", RouteAccess::Authorised),
    ("/events", RouteAccess::Authorised),
    ("/metrics", RouteAccess::Authorised),
    ("/v1/traces", RouteAccess::Authorised),
    ("/v1/logs", RouteAccess::Authorised),
    ("/v1/metrics", RouteAccess::Authorised),
    ("/v1/exports/calls", RouteAccess::Authorised),
    ("/v1/exports/focus", RouteAccess::Authorised),
    ("/v1/ingest", RouteAccess::Authorised),
    ("/v1/ingest/{format}", RouteAccess::Authorised),
    ("/api/public/ingestion", RouteAccess::Authorised),
    (LANGFUSE_OTLP_ROUTE, RouteAccess::Authorised),
    ("/gateway/{upstream}/v1/chat/completions", RouteAccess::Authorised),
    ("/gateway/{upstream}/v1/responses", RouteAccess::Authorised),
    ("/gateway/{upstream}/v1/embeddings", RouteAccess::Authorised),
    ("/gateway/{upstream}/v1/messages", RouteAccess::Authorised),
    ("/gateway/{upstream}/v1/messages/count_tokens", RouteAccess::Authorised),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", RouteAccess::Authorised),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", RouteAccess::Authorised),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", RouteAccess::Authorised),
    ("/auth/login", RouteAccess::SignIn),
    ("/auth/login/{provider}", RouteAccess::SignIn),
    (CALLBACK_ROUTE, RouteAccess::SignIn),
    ("/auth/providers", RouteAccess::Public),
    ("/auth/refresh", RouteAccess::SignIn),
    ("/auth/logout", RouteAccess::SignIn),
    ("/auth/register", RouteAccess::SignIn),
    ("/auth/password-reset", RouteAccess::SignIn),
    ("/auth/password-reset/request", RouteAccess::SignIn),
    ("/auth/session", RouteAccess::Authorised),
    ("/auth/password", RouteAccess::Authorised),
    ("/auth/totp", RouteAccess::Authorised),
    ("/auth/totp/confirm", RouteAccess::Authorised),
    ("/auth/totp/disable", RouteAccess::Authorised),
    ("/auth/sign-in", RouteAccess::Page),
    ("/auth/device", RouteAccess::Page),
    ("/auth/device/decision", RouteAccess::SignIn),
    ("/auth/cli", RouteAccess::Page),
    ("/auth/cli/decision", RouteAccess::SignIn),
    ("/auth/token", RouteAccess::SignIn),
    ("/auth/forgot-password", RouteAccess::Page),
    ("/auth/set-password", RouteAccess::Page),
    ("/auth/invitation", RouteAccess::Page),
    (STYLE_ROUTE, RouteAccess::Public),
    (JWKS_ROUTE, RouteAccess::Public),
    (OPENAPI_ROUTE, RouteAccess::Public),
    (API_PAGE_ROUTE, RouteAccess::Public),
    ("/healthz", RouteAccess::Public),
    ("/readyz", RouteAccess::Public),
    ("/", RouteAccess::Public),
    ("/agents", RouteAccess::Public),
    ("/agents/{agent}", RouteAccess::Public),
    ("/costs", RouteAccess::Public),
    ("/budgets", RouteAccess::Public),
    ("/tasks", RouteAccess::Public),
    ("/tasks/{task}", RouteAccess::Public),
    ("/dags/{dag}", RouteAccess::Public),
    ("/budgets/{budget}", RouteAccess::Public),
    ("/calls", RouteAccess::Public),
    ("/calls/{call}", RouteAccess::Public),
    ("/traces/{trace}", RouteAccess::Public),
    ("/audit", RouteAccess::Public),
    ("/memory", RouteAccess::Public),
    ("/prices", RouteAccess::Public),
    ("/settings", RouteAccess::Public),
    ("/start", RouteAccess::Public),
    (WEB_FILE_ROUTE, RouteAccess::Public),
    ("/graphiql", RouteAccess::Public),
    ("/graphiql/{asset}", RouteAccess::Public),
];
