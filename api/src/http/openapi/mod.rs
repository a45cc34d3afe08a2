//! The OpenAPI document of the routes, and a page to read it. Both are made from one table of operations.

mod operations;
mod page;
mod schemas;

pub(super) use page::page;

use super::route_table::{ROUTES, RouteAccess};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use operations::{OPERATIONS, Operation};
use projections::ExportFormat;
use schemas::Answer;
use serde_json::{Map, Value, json};

/// Serves the document.
pub(super) async fn serve() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, document()).into_response()
}

/// The OpenAPI 3.1 document of the routes, in JSON.
#[must_use]
pub fn document() -> String {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = of(operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Apex",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The routes of a server. Objects are read and changed over GraphQL at /graphql; these routes ingest \
                            what happened, sign people in, and show whether the server is well.",
            "license": { "name": "Apache-2.0" }
        },
        "paths": paths,
        "components": {
            "schemas": schemas::components(),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key, the token of the server, or the access token of a session."
                },
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "For SDKs of Langfuse: any public key as the name, an API key as the password."
                }
            }
        }
    });
    format!("{document:#}\n")
}

fn access_of(path: &str) -> Option<RouteAccess> {
    ROUTES.iter().find(|(route, _)| *route == path).map(|(_, access)| *access)
}

/// The header with the id of an import.
const IMPORT_ID: &str = crate::http::auth::CORRELATION;

fn of(operation: &Operation) -> Value {
    let Operation { path, summary, sent, answer, .. } = operation;
    let (status, mut response) = answer.response();
    let failed = |description: &str| json!({ "description": description, "content": answer.failure() });
    let mut parameters = parameters(path);
    if answer.is_of_import() {
        let id = || json!({ "type": "string", "format": "uuid" });
        let given = "The id of the import that the request is, by which it is taken back. Without it, the id follows from what is \
                     sent, or is new if the body of lines or of a file states no length.";
        parameters.push(json!({ "name": IMPORT_ID, "in": "header", "description": given, "schema": id() }));
        response["headers"] =
            json!({ IMPORT_ID: { "description": "The id of the import that the request is.", "schema": id() } });
    }
    let mut responses = Map::new();
    responses.insert(status.to_string(), response);
    let is_authorised = access_of(path) == Some(RouteAccess::Authorised);
    if is_authorised {
        responses.insert("401".to_owned(), failed("There is no valid credential."));
        responses.insert("403".to_owned(), failed("The credential does not allow it."));
        responses.insert("429".to_owned(), failed("A limit is reached: send it again after `Retry-After`."));
        responses.insert("503".to_owned(), failed("The log is busy or unreachable: send it again."));
    }
    if matches!(answer, Answer::Provider) {
        responses.insert("402".to_owned(), failed("A budget is used up."));
        responses.insert("502".to_owned(), failed("The provider cannot be reached, or broke the connection off."));
        responses.insert("504".to_owned(), failed("The provider did not answer in time."));
    }
    if sent.body().is_some() {
        responses.insert("400".to_owned(), failed("The body is not valid."));
        responses.insert("413".to_owned(), failed("The body is too large."));
    }
    // Whatever else is wrong with a request, such as its media type, is answered alike.
    responses.insert("4XX".to_owned(), failed("The request cannot be answered."));
    if matches!(answer, Answer::Html) {
        responses.insert("303".to_owned(), json!({ "description": "Another page goes on." }));
    }
    let mut described = json!({ "summary": summary, "responses": responses });
    if let Some(body) = sent.body() {
        described["requestBody"] = body;
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if is_authorised {
        let scheme = if path.starts_with("/api/public/") { "basic" } else { "bearer" };
        described["security"] = json!([{ scheme: [] }]);
    }
    described
}

fn parameters(path: &str) -> Vec<Value> {
    let in_path = |name: &str, schema: Value| json!({ "name": name, "in": "path", "required": true, "schema": schema });
    let text = || json!({ "type": "string" });
    match path {
        "/v1/ingest/{format}" => {
            let options = [
                ("model", "The model of calls that name none."),
                ("provider", "The provider of calls that name none."),
                ("agent", "The agent of calls that name none."),
                ("at", "When calls were made that state no time, as RFC 3339."),
                ("column", "FIELD=COLUMN, for `csv` and `jsonl`; it may occur several times."),
            ];
            let option = |(name, description): &(&str, &str)| json!({ "name": name, "in": "query", "description": description, "schema": text() });
            let format = in_path("format", json!({ "enum": schemas::formats() }));
            std::iter::once(format).chain(options.iter().map(option)).collect()
        }
        "/v1/exports/calls" => export_parameters().collect(),
        "/v1/exports/focus" => {
            let version =
                in_query("version", "The version of FOCUS; 1.4 without it.", json!({ "enum": ["1.4", "1.2"] }));
            export_parameters().chain([version]).collect()
        }
        "/auth/login/{provider}" => vec![in_path("provider", text())],
        path if path.starts_with("/gateway/") => vec![in_path("upstream", text())],
        "/graphiql/{asset}" => vec![in_path("asset", text())],
        "/agents/{agent}" => vec![in_path("agent", text())],
        "/tasks/{task}" => vec![in_path("task", text())],
        "/dags/{dag}" => vec![in_path("dag", text())],
        "/budgets/{budget}" => vec![in_path("budget", text())],
        "/calls/{call}" => vec![in_path("call", text())],
        "/traces/{trace}" => vec![in_path("trace", text())],
        "/assets/{file}" => vec![in_path("file", text())],
        _ => Vec::new(),
    }
}

fn in_query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

/// The parameters of every export.
fn export_parameters() -> impl Iterator<Item = Value> {
    let text = || json!({ "type": "string" });
    let time = "as a day such as 2026-03-01, or as RFC 3339; days only for FOCUS.";
    [
        in_query(
            "format",
            "The format; csv without it.",
            json!({ "enum": ExportFormat::ALL.map(ExportFormat::as_str) }),
        ),
        in_query("from", &format!("Only calls that started at or after this time, {time}"), text()),
        in_query("to", &format!("Only calls that started before this time, {time}"), text()),
        in_query(
            "filter",
            "Only calls with this value of a dimension of reports, such as model=gpt-4o or tag:team=search; nothing after the = \
             selects calls without a value. At most 50; those on one dimension are alternatives. Periods of time are none.",
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": 50 }),
        ),
        in_query("minPosition", "Wait until the export contains this position of the log.", text()),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The routes that the document lacks, and the paths of it that no route has.
    fn differences(routes: &[&str]) -> Vec<String> {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        // The protocol of gRPC is not one that OpenAPI describes.
        let routes: BTreeSet<_> = routes.iter().copied().filter(|path| !path.starts_with("/opentelemetry.")).collect();
        described.symmetric_difference(&routes).map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let routes: Vec<_> = ROUTES.iter().map(|(path, _)| *path).collect();
        assert_eq!(differences(&routes), Vec::<String>::new());
        // Control: a route that the document lacks is found.
        assert_eq!(differences(&[&routes[..], &["/v1/new"]].concat()), ["/v1/new"]);
    }

    #[test]
    fn requests_that_are_imports_have_an_id_and_no_others() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let header = |path: &str, method: &str| {
            let operation = &document["paths"][path][method];
            let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{path}"));
            let answered = responses.values().any(|response| response["headers"]["x-correlation-id"].is_object());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            (parameters.iter().any(|parameter| parameter["name"] == "x-correlation-id"), answered)
        };
        for path in ["/v1/ingest", "/v1/ingest/{format}", "/v1/traces", "/api/public/ingestion"] {
            assert_eq!(header(path, "post"), (true, true), "{path}");
        }
        assert_eq!(header("/graphql", "post"), (false, false));
    }

    #[test]
    fn every_reference_resolves() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let text = document.to_string();
        let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 20);
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
