//! The operations of the routes: what each does, takes and answers.

use super::schemas::{Answer, Sent};

/// An operation of a route.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) summary: &'static str,
    pub(super) sent: Sent,
    pub(super) answer: Answer,
}

const fn get(path: &'static str, summary: &'static str, answer: Answer) -> Operation {
    Operation { path, method: "get", summary, sent: Sent::Nothing, answer }
}

const fn post(path: &'static str, summary: &'static str, sent: Sent, answer: Answer) -> Operation {
    Operation { path, method: "post", summary, sent, answer }
}

/// The fields of an object of JSON: those that are required, and those that are not.
const fn object(required: &'static [&'static str], optional: &'static [&'static str]) -> Sent {
    Sent::Object { media_type: "application/json", required, optional }
}

const fn form(required: &'static [&'static str], optional: &'static [&'static str]) -> Sent {
    Sent::Object { media_type: "application/x-www-form-urlencoded", required, optional }
}

/// Every operation. Exports of OpenTelemetry over gRPC are none: their protocol is described elsewhere.
pub(super) const OPERATIONS: &[Operation] = &[
    post(
        "/v1/ingest",
        "Record calls, tasks and memories, one object a line. Each line is answered, in order, once it is durable.",
        Sent::Lines,
        Answer::Lines,
    ),
    post(
        "/v1/ingest/{format}",
        "Import a file of a format, such as `claude-code` or `litellm`, or the body of a response of a provider, such as \
         `openai` or `anthropic`. `file` recognises the format.",
        Sent::File,
        Answer::FileLines,
    ),
    post(
        "/api/public/ingestion",
        "Receive a batch of events of an SDK of Langfuse, whose secret key is an API key.",
        object(&["batch"], &["metadata"]),
        Answer::Batch,
    ),
    post("/v1/traces", "Receive spans of OpenTelemetry.", Sent::Otlp, Answer::Otlp),
    post("/v1/logs", "Receive logs and events of OpenTelemetry.", Sent::Otlp, Answer::Otlp),
    post("/v1/metrics", "Receive metrics of OpenTelemetry, by which nothing is charged.", Sent::Otlp, Answer::Otlp),
    post(
        "/api/public/otel/v1/traces",
        "Receive spans of an SDK of Langfuse, whose secret key is an API key.",
        Sent::Otlp,
        Answer::Otlp,
    ),
    post(
        "/gateway/{upstream}/v1/chat/completions",
        "Pass a chat on to an upstream with the API of OpenAI, within budgets. Requests and responses are those of the provider.",
        object(&["model"], &["messages", "stream", "max_completion_tokens"]),
        Answer::Provider,
    ),
    post(
        "/gateway/{upstream}/v1/responses",
        "Pass a request for a response on to an upstream with the API of OpenAI, within budgets.",
        object(&["model"], &["input", "stream", "max_output_tokens"]),
        Answer::Provider,
    ),
    post(
        "/gateway/{upstream}/v1/embeddings",
        "Pass a request for embeddings on to an upstream with the API of OpenAI, within budgets.",
        object(&["model"], &["input"]),
        Answer::Provider,
    ),
    post(
        "/gateway/{upstream}/v1/messages",
        "Pass a message on to an upstream with the API of Anthropic, within budgets.",
        object(&["model"], &["messages", "stream", "max_tokens"]),
        Answer::Provider,
    ),
    post(
        "/gateway/{upstream}/v1/messages/count_tokens",
        "Pass a request to count tokens on to an upstream with the API of Anthropic.",
        object(&["model"], &["messages"]),
        Answer::Provider,
    ),
    post(
        "/graphql",
        "Execute a GraphQL query, mutation or subscription; the schema is in the answer to introspection.",
        object(&["query"], &["operationName", "variables", "extensions"]),
        Answer::Json,
    ),
    get("/graphql", "Execute a GraphQL query whose parameters are in the URL.", Answer::Json),
    get("/graphql/ws", "Open a WebSocket for graphql-transport-ws.", Answer::Status(101)),
    get("/events", "Follow the event log as server-sent events, from a position on (`after`).", Answer::EventStream),
    get("/v1/exports/calls", "Export the calls, one row a call, in the order of their start.", Answer::Export),
    get(
        "/v1/exports/focus",
        "Export what calls cost in the form of FOCUS, a row for each day, component of a price and set of attributes.",
        Answer::Export,
    ),
    get("/metrics", "Read the metrics of the server, in the text format of Prometheus.", Answer::Text),
    get("/healthz", "Learn whether the process runs.", Answer::Json),
    get("/readyz", "Learn whether the server is ready for requests.", Answer::Json),
    get("/v1/openapi.json", "Read this document.", Answer::Json),
    get("/docs/api", "Read this document as a page.", Answer::Html),
    get("/", "Open the web page.", Answer::File("text/html")),
    get("/agents", "Open the web page at the list of agents.", Answer::File("text/html")),
    get("/agents/{agent}", "Open the web page at an agent.", Answer::File("text/html")),
    get("/costs", "Open the web page at the report of costs.", Answer::File("text/html")),
    get("/budgets", "Open the web page at the budgets.", Answer::File("text/html")),
    get("/tasks", "Open the web page at the tasks.", Answer::File("text/html")),
    get("/tasks/{task}", "Open the web page at a task.", Answer::File("text/html")),
    get("/dags/{dag}", "Open the web page at the graph of a DAG's tasks.", Answer::File("text/html")),
    get("/budgets/{budget}", "Open the web page at a budget.", Answer::File("text/html")),
    get("/calls", "Open the web page at the calls.", Answer::File("text/html")),
    get("/calls/{call}", "Open the web page at a call.", Answer::File("text/html")),
    get("/traces/{trace}", "Open the web page at a trace.", Answer::File("text/html")),
    get("/audit", "Open the web page at the event log.", Answer::File("text/html")),
    get("/memory", "Open the web page at the memories.", Answer::File("text/html")),
    get("/prices", "Open the web page at the price book.", Answer::File("text/html")),
    get(
        "/settings",
        "Open the web page at the settings of the tenant and the installation.",
        Answer::File("text/html"),
    ),
    get("/start", "Open the web page at what to do first.", Answer::File("text/html")),
    get("/assets/{file}", "Read a file of the web page.", Answer::File("*/*")),
    get("/graphiql", "Open GraphiQL.", Answer::Html),
    get("/graphiql/{asset}", "Read a file of GraphiQL.", Answer::File("*/*")),
    post(
        "/auth/login",
        "Sign in with a password.",
        object(&["email", "password"], &["tenant", "code", "recoveryCode", "cookies"]),
        Answer::Tokens,
    ),
    get("/auth/login", "Begin to sign in at the only identity provider.", Answer::Status(303)),
    get("/auth/login/{provider}", "Begin to sign in at an identity provider.", Answer::Status(303)),
    get("/auth/callback", "Return from an identity provider.", Answer::Status(303)),
    get("/auth/providers", "List the identity providers.", Answer::Json),
    post("/auth/refresh", "Get new tokens of a session.", object(&[], &["refreshToken"]), Answer::Tokens),
    post("/auth/logout", "End a session.", object(&[], &["refreshToken"]), Answer::Json),
    post(
        "/auth/register",
        "Become a user, by an invitation or without one where that is allowed.",
        object(&["password"], &["token", "tenant", "email", "displayName", "cookies"]),
        Answer::Tokens,
    ),
    post("/auth/password-reset", "Set a password by a token.", object(&["token", "password"], &[]), Answer::Json),
    post(
        "/auth/password-reset/request",
        "Ask for a mail with a link that sets a password.",
        object(&["email"], &["tenant"]),
        Answer::Json,
    ),
    get("/auth/session", "Read whose session it is.", Answer::Json),
    post(
        "/auth/password",
        "Change the password of the user.",
        object(&["currentPassword", "newPassword"], &[]),
        Answer::Json,
    ),
    post("/auth/totp", "Begin to use one-time codes.", object(&["password"], &["code", "recoveryCode"]), Answer::Json),
    post("/auth/totp/confirm", "Confirm one-time codes.", object(&["id", "code"], &[]), Answer::Json),
    post(
        "/auth/totp/disable",
        "Stop using one-time codes.",
        object(&["password"], &["code", "recoveryCode"]),
        Answer::Json,
    ),
    post("/auth/device", "Begin the device flow (RFC 8628).", form(&[], &["client_id", "scope"]), Answer::OAuth),
    get("/auth/device", "Open the page on which a person types the code of a program.", Answer::Html),
    post(
        "/auth/device/decision",
        "Decide about a program, from its page.",
        form(&["user_code", "csrf", "decision"], &[]),
        Answer::Html,
    ),
    post(
        "/auth/token",
        "Get the tokens of a program that a person let in (RFC 6749, RFC 8628).",
        form(&["grant_type"], &["device_code", "code", "code_verifier", "redirect_uri", "client_id"]),
        Answer::OAuth,
    ),
    get("/auth/cli", "Open the page on which a person lets a program on the same machine in.", Answer::Html),
    post(
        "/auth/cli/decision",
        "Decide about a program, from its page.",
        form(&["csrf", "decision"], &[]),
        Answer::Html,
    ),
    get("/auth/sign-in", "Open the page to sign in.", Answer::Html),
    get("/auth/forgot-password", "Open the page to ask for a link that sets a password.", Answer::Html),
    get("/auth/set-password", "Open the page that sets a password.", Answer::Html),
    get("/auth/invitation", "Open the page on which an invitation is accepted.", Answer::Html),
    get("/auth/page.css", "Read the style of the pages.", Answer::File("text/css")),
    get("/.well-known/jwks.json", "Read the keys by which access tokens are signed.", Answer::Json),
];
