//! Extreme values of every scalar in every argument of the schema: none causes an internal error.
//!
//! The schema is introspected, so that additions to it are covered: each argument of each query, mutation and
//! subscription, each field of each input object, and each argument of a field of an object that can be fetched by id.

use crate::graphql::command;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use testkit::{Server, TIMEOUT, TestDatabase};

/// Placeholder of an extreme value.
const PLACEHOLDER: &str = "@PLACEHOLDER@";
/// The number of concurrent requests.
const AT_ONCE: usize = 16;
/// The maximum nesting of input objects.
const MAX_LEVELS: usize = 5;

pub(crate) const TYPE: &str =
    "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// The schema, from introspection.
pub(crate) struct Schema {
    types: HashMap<String, Value>,
    /// The global id of one object of each type.
    ids: HashMap<&'static str, String>,
    /// A text that is valid as the name of anything.
    text: &'static str,
}

/// A scalar argument, or a scalar field of an input object.
struct Leaf {
    /// The path of the field within the argument, for messages.
    path: String,
    /// The name of the scalar or enum type.
    scalar: String,
    /// The value of the argument with [`PLACEHOLDER`] in it.
    value: Value,
}

/// A request with a placeholder for an extreme value.
struct Template {
    path: String,
    /// The name of the argument or of the field of an input object.
    name: String,
    scalar: String,
    is_subscription: bool,
    /// The body, with [`PLACEHOLDER`] as a string in it.
    body: String,
}

/// An operation with one field.
pub(crate) struct Operation {
    /// `Query`, `Mutation` or `Subscription`.
    pub(crate) root: &'static str,
    /// The name of the field.
    pub(crate) field: String,
    /// The body of the request.
    pub(crate) body: Value,
}

pub(crate) fn named(of: &Value) -> &Value {
    if of["ofType"].is_null() { of } else { named(&of["ofType"]) }
}

/// A type in GraphQL notation, such as `[String!]`.
pub(crate) fn type_notation(of: &Value) -> String {
    match of["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", type_notation(&of["ofType"])),
        "LIST" => format!("[{}]", type_notation(&of["ofType"])),
        _ => of["name"].as_str().unwrap().to_owned(),
    }
}

pub(crate) fn is_required(argument: &Value) -> bool {
    argument["type"]["kind"] == "NON_NULL" && argument["defaultValue"].is_null()
}

pub(crate) fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Text that is valid in no argument.
const INVALID_TEXT: &str = "\u{0}";

impl Schema {
    pub(crate) async fn of(server: &Server) -> Self {
        let arguments = format!("name defaultValue type {{ {TYPE} }}");
        let query = format!(
            "{{ __schema {{ types {{ kind name isOneOf enumValues {{ name }} inputFields {{ {arguments} }}
                fields {{ name args {{ {arguments} }} type {{ {TYPE} }} }} }} }} }}"
        );
        let mut answer = server.graphql(&query, json!({})).await;
        let Value::Array(types) = answer["__schema"]["types"].take() else { panic!("{answer}") };
        let types = types.into_iter().map(|of| (of["name"].as_str().unwrap().to_owned(), of)).collect();
        Self { types, ids: fixtures(server).await, text: "calls" }
    }

    /// The same schema, whose operations have every argument, with ids and texts that are nowhere valid.
    pub(crate) fn with_invalid_values(mut self) -> Self {
        self.ids.values_mut().for_each(|id| *id = "!!!!".to_owned());
        self.text = INVALID_TEXT;
        self
    }

    fn find(&self, of: &Value) -> &Value {
        &self.types[named(of)["name"].as_str().unwrap()]
    }

    /// The id of an object that fits an argument or field, judged by its name and that of its owner.
    fn id(&self, name: &str, owner: &str) -> &str {
        let known = [
            ("agent", "Agent"),
            ("visibleto", "Agent"),
            ("task", "Task"),
            ("memor", "Memory"),
            ("budget", "Budget"),
            ("call", "Call"),
        ];
        let find = |text: &str| known.iter().find(|(word, _)| text.to_lowercase().contains(word)).map(|(_, kind)| kind);
        &self.ids[find(name).or_else(|| find(owner)).unwrap_or(&"Agent")]
    }

    /// A valid value of a type.
    fn valid_value(&self, of: &Value, name: &str, owner: &str) -> Value {
        match of["kind"].as_str().unwrap() {
            "NON_NULL" => self.valid_value(&of["ofType"], name, owner),
            "LIST" => json!([self.valid_value(&of["ofType"], name, owner)]),
            "ENUM" => self.find(of)["enumValues"][0]["name"].clone(),
            "INPUT_OBJECT" => self.valid_object(self.find(of)),
            _ => match of["name"].as_str().unwrap() {
                "ID" => json!(self.id(name, owner)),
                "Int" | "Long" | "Float" => json!(1),
                "Boolean" => json!(true),
                "Decimal" => json!("1"),
                "Position" => json!("1"),
                "DateTime" => json!("2023-11-14T22:00:00Z"),
                "UUID" => json!("018bd12c-58b0-7683-8a5b-8752d0e86651"),
                _ => json!(self.text),
            },
        }
    }

    fn valid_object(&self, object: &Value) -> Value {
        let owner = object["name"].as_str().unwrap();
        let wanted = each(&object["inputFields"]).filter(|field| object["isOneOf"] == true || is_required(field));
        let take = if object["isOneOf"] == true { 1 } else { usize::MAX };
        let fields = wanted.take(take).map(|field| {
            let name = field["name"].as_str().unwrap();
            (name.to_owned(), self.valid_value(&field["type"], name, owner))
        });
        Value::Object(fields.collect())
    }

    /// All scalars inside a type.
    fn leaves(&self, of: &Value, levels: usize) -> Vec<Leaf> {
        match of["kind"].as_str().unwrap() {
            "NON_NULL" => self.leaves(&of["ofType"], levels),
            "LIST" => {
                let inside = self.leaves(&of["ofType"], levels);
                inside.into_iter().map(|leaf| Leaf { value: json!([leaf.value]), ..leaf }).collect()
            }
            "INPUT_OBJECT" if levels > 0 => {
                let object = self.find(of);
                let good = if object["isOneOf"] == true { json!({}) } else { self.valid_object(object) };
                let mut leaves = Vec::new();
                for field in each(&object["inputFields"]) {
                    let name = field["name"].as_str().unwrap();
                    leaves.extend(self.leaves(&field["type"], levels - 1).into_iter().map(|leaf| {
                        let mut value = good.clone();
                        value[name] = leaf.value;
                        Leaf { path: format!(".{name}{}", leaf.path), scalar: leaf.scalar, value }
                    }));
                }
                leaves
            }
            "INPUT_OBJECT" => Vec::new(),
            _ => vec![Leaf { path: String::new(), scalar: type_notation(of), value: json!(PLACEHOLDER) }],
        }
    }

    /// A selection of all scalar fields of a type, and of nested objects up to `levels`.
    fn selection(&self, of: &Value, levels: usize) -> String {
        let object = self.find(of);
        if !matches!(object["kind"].as_str(), Some("OBJECT" | "INTERFACE")) {
            return String::new();
        }
        let mut selected = "__typename".to_owned();
        for field in each(&object["fields"]).filter(|field| !each(&field["args"]).any(is_required)) {
            let name = field["name"].as_str().unwrap();
            match self.find(&field["type"])["kind"].as_str().unwrap() {
                "SCALAR" | "ENUM" => selected = format!("{selected} {name}"),
                _ if levels > 0 && name != "edges" => {
                    selected = format!("{selected} {name}{}", self.selection(&field["type"], levels - 1));
                }
                _ => {}
            }
        }
        format!(" {{ {selected} }}")
    }

    /// The requests for one field; `around` wraps it into an operation.
    fn templates_of_field(&self, field: &Value, parent: &str, around: &dyn Fn(&str, &str) -> String) -> Vec<Template> {
        let field_name = field["name"].as_str().unwrap();
        let mut templates = Vec::new();
        for argument in each(&field["args"]) {
            let name = argument["name"].as_str().unwrap();
            for leaf in self.leaves(&argument["type"], MAX_LEVELS) {
                let mut variables = Map::new();
                let (mut definitions, mut given) = (String::new(), String::new());
                for other in each(&field["args"]).filter(|other| other["name"] == name || is_required(other)) {
                    let other_name = other["name"].as_str().unwrap();
                    let good = || self.valid_value(&other["type"], other_name, field_name);
                    let value = if other_name == name { leaf.value.clone() } else { good() };
                    variables.insert(other_name.to_owned(), value);
                    definitions += &format!("${other_name}: {} ", type_notation(&other["type"]));
                    given += &format!("{other_name}: ${other_name} ");
                }
                let asked = format!("{field_name}({given}){}", self.selection(&field["type"], 1));
                let body = json!({ "query": around(&definitions, &asked), "variables": variables });
                templates.push(Template {
                    path: format!("{parent}.{field_name}({name}{})", leaf.path),
                    name: leaf.path.rsplit('.').next().filter(|field| !field.is_empty()).unwrap_or(name).to_owned(),
                    scalar: leaf.scalar,
                    is_subscription: parent == "Subscription",
                    body: body.to_string(),
                });
            }
        }
        templates
    }

    /// An operation for every field of the roots, valid unless the schema is one with invalid values.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.operations_with(|returned| self.selection(returned, 0))
    }

    /// As [`Schema::operations`], selecting nothing of what is returned.
    pub(crate) fn bare_operations(&self) -> Vec<Operation> {
        self.operations_with(|returned| match self.find(returned)["kind"].as_str() {
            Some("OBJECT" | "INTERFACE") => " { __typename }".to_owned(),
            _ => String::new(),
        })
    }

    /// The name of the type that a field returns; of a list, that of its items.
    pub(crate) fn returned(&self, owner: &str, field: &str) -> String {
        let found = each(&self.types[owner]["fields"]).find(|found| found["name"] == field).unwrap();
        let returned = self.find(&found["type"]);
        match each(&returned["fields"]).find(|field| field["name"] == "nodes") {
            Some(nodes) => named(&nodes["type"])["name"].as_str().unwrap().to_owned(),
            None => returned["name"].as_str().unwrap().to_owned(),
        }
    }

    /// Each field without required arguments of each type whose objects the roots list: the list, the type, and the operation
    /// that asks for the field of the first object.
    pub(crate) fn operations_on_listed(&self) -> Vec<(String, String, Operation)> {
        let mut operations = Vec::new();
        for list in each(&self.types["Query"]["fields"]) {
            let list_name = list["name"].as_str().unwrap();
            let is_list = each(&self.find(&list["type"])["fields"]).any(|field| field["name"] == "nodes");
            if !is_list || each(&list["args"]).any(is_required) {
                continue;
            }
            let listed = self.returned("Query", list_name);
            for field in each(&self.types[&listed]["fields"]).filter(|field| !each(&field["args"]).any(is_required)) {
                let name = field["name"].as_str().unwrap();
                let is_object = matches!(self.find(&field["type"])["kind"].as_str(), Some("OBJECT" | "INTERFACE"));
                let inside = if is_object { " { __typename }" } else { "" };
                let query = format!("{{ {list_name}(first: 1) {{ nodes {{ {name}{inside} }} }} }}");
                let body = json!({ "query": query });
                let operation = Operation { root: "Query", field: name.to_owned(), body };
                operations.push((list_name.to_owned(), listed.clone(), operation));
            }
        }
        operations
    }

    fn operations_with(&self, select: impl Fn(&Value) -> String) -> Vec<Operation> {
        let mut operations = Vec::new();
        for root in ["Query", "Mutation", "Subscription"] {
            for field in each(&self.types[root]["fields"]) {
                let name = field["name"].as_str().unwrap();
                let mut variables = Map::new();
                let (mut definitions, mut given) = (String::new(), String::new());
                let is_sent = |argument: &&Value| is_required(argument) || self.text == INVALID_TEXT;
                for argument in each(&field["args"]).filter(is_sent) {
                    let argument_name = argument["name"].as_str().unwrap();
                    let value = self.valid_value(&argument["type"], argument_name, name);
                    variables.insert(argument_name.to_owned(), value);
                    definitions += &format!("${argument_name}: {} ", type_notation(&argument["type"]));
                    given += &format!("{argument_name}: ${argument_name} ");
                }
                let in_brackets = |text: String| if text.is_empty() { text } else { format!("({text})") };
                let (definitions, given) = (in_brackets(definitions), in_brackets(given));
                let operation = root.to_lowercase();
                let selection = select(&field["type"]);
                let query = format!("{operation} {definitions} {{ {name}{given}{selection} }}");
                operations.push(Operation {
                    root,
                    field: name.to_owned(),
                    body: json!({ "query": query, "variables": variables }),
                });
            }
        }
        operations
    }

    fn templates(&self) -> Vec<Template> {
        let mut templates = Vec::new();
        for parent in ["Query", "Mutation", "Subscription"] {
            let operation = parent.to_lowercase();
            let around = |definitions: &str, field: &str| format!("{operation} ({definitions}) {{ {field} }}");
            for field in each(&self.types[parent]["fields"]) {
                templates.extend(self.templates_of_field(field, parent, &around));
            }
        }
        for (&kind, id) in &self.ids {
            let around = |definitions: &str, field: &str| {
                format!("query ({definitions}) {{ node(id: \"{id}\") {{ ... on {kind} {{ {field} }} }} }}")
            };
            for field in each(&self.types[kind]["fields"]) {
                templates.extend(self.templates_of_field(field, kind, &around));
            }
        }
        templates
    }
}

/// Creates an object of each type that has a global id.
async fn fixtures(server: &Server) -> HashMap<&'static str, String> {
    let mut ids: HashMap<&'static str, String> = HashMap::new();
    let id =
        |answer: &Value, field: &str| answer[field]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let agent = command(server, "registerAgent", json!({ "name": "ada" }), "agent { id }").await;
    let agent = id(&agent, "agent");
    command(server, "activateAgent", json!({ "id": agent }), "outcome").await;
    let task = json!({ "agentId": agent, "title": "t" });
    ids.insert("Task", id(&command(server, "submitTask", task, "task { id }").await, "task"));
    let memory = json!({ "agentId": agent, "content": "green tea" });
    ids.insert("Memory", id(&command(server, "storeMemory", memory, "memory { id }").await, "memory"));
    let terms = json!({ "name": "b", "scope": { "tenant": true }, "limit": "1" });
    let budget = command(server, "defineBudget", json!({ "terms": terms }), "budget { id }").await;
    ids.insert("Budget", id(&budget, "budget"));
    let call = json!({ "kind": "LLM", "model": "gpt-4o", "source": "t", "callKey": "c", "agentId": agent,
                       "usage": { "input": 1, "output": 1 } });
    let call = command(server, "reportCall", call, "error { message } call { id }").await;
    ids.insert("Call", id(&call, "call"));
    ids.insert("Agent", agent);
    ids
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn encoded(of: &str) -> String {
    text(&URL_SAFE_NO_PAD.encode(of))
}

/// Extreme texts as JSON literals, one of them invalid.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\u{202e}",
        "\u{feff}",
        "\u{200b}",
        "😀",
        "-0",
        "-1",
        "NaN",
        "Infinity",
        "1e400",
        "9223372036854775807",
        "9223372036854775808",
        "340282366920938463463374607431768211456",
        "0.0000000000001",
        "999999999999999.999999999999",
        "-4713-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60Z",
        "+292277-01-09T04:00:54Z",
        "2023-11-14T22:00:00+23:59",
        "!!!!",
        "QWdlbnQ",
        "'; drop table apex.events; --",
        "%_\\",
        "& | ! ( ) : * <-> \"",
        "\"",
        "calls",
        "agents",
        "UTC",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ]
    .map(text)
    .to_vec();
    // Report cursors with invalid contents.
    for (calls, cost) in [("-9223372036854775808", "0"), ("-1", "1e9"), ("9223372036854775807", "-0.1")] {
        for (by, keys) in [("", ""), (r#""model""#, r#""x""#)] {
            let cursor = format!(r#"{{"by":[{by}],"cost":"{cost}","calls":{calls},"keys":[{keys}]}}"#);
            texts.push(text(&URL_SAFE_NO_PAD.encode(cursor)));
        }
    }
    texts.extend(
        [
            "Agent:x",
            "Agent:\u{0}",
            "Event:18446744073709551615",
            "Event:0",
            ":",
            "Dag:00000000-0000-0000-0000-000000000000",
        ]
        .map(encoded),
    );
    // Cursors: of the earliest time in microseconds, of the year 4714 BC, and of others.
    let id = "00000000-0000-0000-0000-000000000000";
    for micros in [i64::MIN, -9_223_372_036_854_000_000, -210_900_000_000_000_000, i64::MAX, 0] {
        texts.push(encoded(&format!("{micros}:{id}")));
    }
    texts.push(encoded("[\"\u{0}\",\"b\",\"2023-11-14T22:00:00Z\"]"));
    texts.push("\"\\ud800\"".to_owned());
    texts.push(text(&"x".repeat(100_000)));
    texts.push(text(&(0..50_000).map(|n| format!("w{n} ")).collect::<String>()));
    texts
});

const NUMBERS: [&str; 17] = [
    "-1",
    "0",
    "-0",
    "1.5",
    "501",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-1e308",
    "1e400",
    "0.1",
    "1e-300",
];
const OTHER_LITERALS: [&str; 6] = ["null", "true", "[]", "{}", "[[\"x\"]]", "{\"a\": {\"b\": 1}}"];

/// What is tried again where another argument or field of the same name and scalar got all values: they are mostly refused by what
/// both have in common, which are the scalar, the input object and the checks of that name.
const FEW: [&str; 8] =
    ["null", "{}", "-1", "9223372036854775807", "\"\"", "\"a\\u0000b\"", "\"-4713-01-01T00:00:00Z\"", "\"\\ud800\""];

/// Each request with the extreme values that it is sent with.
fn tries(templates: &[Template]) -> impl Iterator<Item = (&Template, String)> {
    let mut tried = HashSet::new();
    templates.iter().flat_map(move |template| {
        // A cursor is of the list that it is for; a valid position beyond the head would be waited for.
        let is_new = ["after", "minPosition"].contains(&template.name.as_str())
            || tried.insert((&template.name, &template.scalar));
        let values = if is_new { extreme_values(template) } else { FEW.map(str::to_owned).to_vec() };
        values.into_iter().map(move |value| (template, value))
    })
}

/// The extreme values for a scalar: all texts for types that accept any text, otherwise values close to the type.
fn extreme_values(template: &Template) -> Vec<String> {
    let mut values: Vec<String> = OTHER_LITERALS.map(str::to_owned).to_vec();
    let short = TEXTS.iter().filter(|text| text.len() < 100).cloned();
    match template.scalar.as_str() {
        // A valid position beyond the head would be waited for.
        "Position" if template.path.contains("minPosition") => {
            values.extend(["-1", "\"\"", "\"\\u0000\"", "\"9223372036854775808\"", "1e400"].map(str::to_owned));
        }
        "String" => values.extend(TEXTS.iter().cloned()),
        "ID" => values.extend(TEXTS.iter().cloned().chain(NUMBERS.map(str::to_owned))),
        "Decimal" | "Position" | "DateTime" => values.extend(short.chain(NUMBERS.map(str::to_owned))),
        "Int" | "Long" | "Float" => values.extend(NUMBERS.map(str::to_owned).into_iter().chain(short.take(3))),
        _ => values.extend(["0", "1e400"].map(str::to_owned).into_iter().chain(short.take(8))),
    }
    values
}

/// Sends a value; returns a description of the failure if the server fails to respond or reports an internal error.
async fn try_value(client: &reqwest::Client, server: &Server, template: &Template, value: &str) -> Option<String> {
    let body = template.body.replace(&format!("\"{PLACEHOLDER}\""), value);
    let accept = if template.is_subscription { "text/event-stream" } else { "application/json" };
    let request = client.post(format!("{}/graphql", server.address)).header("content-type", "application/json");
    let answered = async {
        let mut response =
            request.header("accept", accept).body(body).send().await.map_err(|error| format!("{error:?}"))?;
        // A subscription sends at least a heartbeat soon.
        if template.is_subscription {
            let chunk = response.chunk().await.map_err(|error| format!("{error:?}"))?;
            return Ok(String::from_utf8_lossy(&chunk.unwrap_or_default()).into_owned());
        }
        response.text().await.map_err(|error| format!("{error:?}"))
    };
    let shown: String = value.chars().take(80).collect();
    let fault = match tokio::time::timeout(TIMEOUT, answered).await {
        Err(_) => "no response".to_owned(),
        Ok(Err(error)) => error,
        Ok(Ok(answer)) if answer.contains("\"INTERNAL\"") => answer.chars().take(600).collect(),
        Ok(Ok(_)) => return None,
    };
    Some(format!("{} = {shown}: {fault}", template.path))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_argument_value_causes_an_internal_error() {
    let database = TestDatabase::new().await;
    // Each subscription that is accepted is read until its first heartbeat.
    let server = database.serve(&["--keepalive-ms", "200"]).await;
    let templates = Schema::of(&server).await.templates();
    for wanted in [
        "Query.memories(filter.search)",
        "Query.streamEvents(category)",
        "Mutation.setPrices(input.prices.components.rate)",
        "Subscription.events(filter.types)",
        "Agent.tasks(after)",
    ] {
        assert!(templates.iter().any(|template| template.path == wanted), "{wanted} is not covered");
    }
    // The server closes a connection that is idle for long. On a busy machine that may be while it is used again.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let faults: Vec<String> = futures::stream::iter(tries(&templates))
        .map(|(template, value)| {
            let (client, server) = (&client, &server);
            async move { try_value(client, server, template, &value).await }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    drop(server.terminate().await);
}
