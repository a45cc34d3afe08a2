//! The parameters of a GraphQL request.

use serde_json::Value;

/// The parameters of a request, as GraphQL over HTTP and graphql-transport-ws define them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: serde_json::Map<String, Value>,
    /// The size of the request, in bytes.
    pub(crate) bytes: usize,
}

impl Parameters {
    /// Reads them from a JSON object whose text has this number of bytes.
    pub(crate) fn of(body: Value, bytes: usize) -> Result<Self, String> {
        let mut body = match body {
            Value::Object(body) => body,
            Value::Array(_) => return Err("batches are not supported; send one request at a time".to_owned()),
            _ => return Err("the body is not a JSON object".to_owned()),
        };
        let query = match body.remove("query") {
            Some(Value::String(query)) => query,
            Some(_) => return Err("`query` is not a string".to_owned()),
            None => return Err("`query` is missing".to_owned()),
        };
        let operation_name = match body.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err("`operationName` is not a string".to_owned()),
        };
        match body.remove("extensions") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err("`extensions` is not an object".to_owned()),
        }
        let variables = Self::variables(body.remove("variables"))?;
        let operation_name = operation_name.filter(|name| !name.is_empty());
        Ok(Self { query, operation_name, variables, bytes })
    }

    /// Reads them from the query string of a URL, in which objects are JSON.
    pub(crate) fn of_url(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut body = serde_json::Map::new();
        let mut bytes = 0;
        for (name, value) in pairs {
            bytes += value.len();
            let value = match name.as_str() {
                "query" | "operationName" => Value::String(value),
                "variables" | "extensions" if value.is_empty() => Value::Null,
                "variables" | "extensions" => {
                    serde_json::from_str(&value).map_err(|_| format!("`{name}` is not JSON"))?
                }
                _ => continue,
            };
            if body.insert(name.clone(), value).is_some() {
                return Err(format!("`{name}` occurs twice"));
            }
        }
        Self::of(Value::Object(body), bytes)
    }

    fn variables(given: Option<Value>) -> Result<serde_json::Map<String, Value>, String> {
        match given {
            None | Some(Value::Null) => Ok(serde_json::Map::new()),
            Some(Value::Object(variables)) => Ok(variables),
            Some(_) => Err("`variables` is not an object".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn invalid_parameters_are_rejected_by_name() {
        let read = |body: Value| Parameters::of(body, 0);
        assert_eq!(read(json!({ "query": "{a}" })).unwrap().query, "{a}");
        assert!(read(json!({ "query": "{a}", "variables": null, "operationName": null, "extensions": {} })).is_ok());
        for (bad, word) in [
            (json!([]), "batches"),
            (json!("x"), "object"),
            (json!({}), "missing"),
            (json!({ "query": 1 }), "`query`"),
            (json!({ "query": "{a}", "operationName": 1 }), "`operationName`"),
            (json!({ "query": "{a}", "variables": [] }), "`variables`"),
            (json!({ "query": "{a}", "extensions": "x" }), "`extensions`"),
        ] {
            let error = read(bad.clone()).unwrap_err();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }

    #[test]
    fn objects_in_a_url_are_json() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = Parameters::of_url(vec![pair("query", "{a}"), pair("variables", "{\"b\": 1}"), pair("x", "y")]);
        assert_eq!(read.unwrap().variables, *json!({ "b": 1 }).as_object().unwrap());
        assert!(Parameters::of_url(vec![pair("query", "{a}"), pair("variables", "{")]).is_err());
        assert!(Parameters::of_url(vec![pair("query", "{a}"), pair("query", "{b}")]).is_err());
    }
}
