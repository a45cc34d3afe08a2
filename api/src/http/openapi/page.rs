//! The page to read the document: HTML without scripts, made on the server.

use super::operations::{OPERATIONS, Operation};
use super::{access_of, schemas};
use crate::http::pages::html::Page;
use crate::http::route_table::{OPENAPI_ROUTE, RouteAccess};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// Serves the page.
pub(in crate::http) async fn page() -> Response {
    let mut page = Page::new("Routes")
        .text("What a server answers beside GraphQL. The same as an OpenAPI document, for programs:")
        .link(OPENAPI_ROUTE, OPENAPI_ROUTE);
    for operation in OPERATIONS {
        page = described(page, operation);
    }
    let components = schemas::components();
    page = page.heading("Fields of lines");
    for name in ["CallLine", "TaskLine", "MemoryLine", "Usage", "LineAnswer"] {
        page = page.code(name).facts(&fields(&components[name]).iter().map(pair).collect::<Vec<_>>());
    }
    page.into_response()
}

fn pair((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

fn described(page: Page, operation: &Operation) -> Page {
    let (status, response) = operation.answer.response();
    let takes = match operation.sent.body() {
        None => "nothing".to_owned(),
        Some(body) => keys(&body["content"]).join(", "),
    };
    let answers = match keys(&response["content"]) {
        none if none.is_empty() => status.to_string(),
        media_types => format!("{status} {}", media_types.join(", ")),
    };
    let needs = match access_of(operation.path) {
        Some(RouteAccess::Authorised) => "a credential",
        Some(RouteAccess::SignIn) => "what signs a person in",
        Some(RouteAccess::Page) => "a person with a browser",
        Some(RouteAccess::Public) | None => "nothing",
    };
    let title = format!("{} {}", operation.method.to_uppercase(), operation.path);
    page.code(&title).text(operation.summary).facts(&[("Takes", &takes), ("Answers", &answers), ("Needs", needs)])
}

fn keys(object: &Value) -> Vec<String> {
    object.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

/// The fields of a schema, with what they hold.
fn fields(schema: &Value) -> Vec<(String, String)> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    properties
        .iter()
        .map(|(name, field)| {
            let mut about = kind(field);
            if required.contains(&name.as_str()) {
                about.push_str(", required");
            }
            if let Some(description) = field["description"].as_str() {
                about.push_str(": ");
                about.push_str(description);
            }
            (name.clone(), about)
        })
        .collect()
}

fn kind(field: &Value) -> String {
    let words = |list: &Value| {
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    if let Some(reference) = field["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(constant) = field["const"].as_str() {
        return format!("{constant:?}");
    }
    if field["enum"].is_array() {
        return format!("one of {}", words(&field["enum"]));
    }
    let kind = field["type"].as_str().map_or_else(|| words(&field["type"]), str::to_owned);
    field["format"].as_str().map_or_else(|| kind.clone(), |format| format!("{kind} ({format})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_has_every_operation_and_no_script() {
        let response = page().await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        let html = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        for operation in OPERATIONS {
            assert!(
                html.contains(&format!("{} {}<", operation.method.to_uppercase(), operation.path)),
                "{}",
                operation.path
            );
        }
        assert!(html.contains("cache_read") && !html.contains("<script") && !html.contains("://"), "{html}");
    }
}
