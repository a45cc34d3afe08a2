//! Requests for every operation of the schema, with values that find objects of one tenant in every argument.

use super::operations::{NODES, permissions};
use super::world::{World, reading};
use crate::extreme_values::{TYPE, each, is_required, named, type_notation};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// The schema, from introspection.
pub(super) struct Schema {
    types: HashMap<String, Value>,
}

/// A request for one field of a root.
#[derive(Clone)]
pub(super) struct Request {
    /// Root and field, such as `Query.agents`.
    pub(super) operation: String,
    /// The argument that this request is about, and whether it asks for everything, for messages.
    pub(super) about: String,
    /// The permissions that it takes.
    pub(super) taken: Vec<String>,
    pub(super) body: Value,
}

impl Request {
    /// What a message calls it.
    pub(super) fn name(&self) -> String {
        format!("{} ({})", self.operation, self.about)
    }

    pub(super) fn root(&self) -> &str {
        self.operation.split('.').next().unwrap_or_default()
    }
}

/// The arguments of a request.
struct Given {
    /// What is special about them.
    about: String,
    /// The permission that they take besides that of the operation.
    taken: Option<String>,
    variables: Map<String, Value>,
}

/// Arguments with ids, by their names: the kinds of the objects.
const IDS_BY_NAME: [(&str, &str); 12] = [
    ("agentId", "Agent"),
    ("visibleTo", "Agent"),
    ("taskId", "Task"),
    ("dagId", "Dag"),
    ("budgetId", "Budget"),
    ("invoiceId", "Invoice"),
    ("serviceAccountId", "ServiceAccount"),
    ("userId", "User"),
    ("teamId", "Team"),
    ("customId", "CustomRole"),
    ("apiKeyId", "ApiKey"),
    ("streamId", "Agent"),
];
/// Arguments that are called `id`, by the first word that their field or input type has.
const IDS_BY_OWNER: [(&str, &str); 15] = [
    ("ServiceAccount", "ServiceAccount"),
    ("ApiKey", "ApiKey"),
    ("Team", "Team"),
    ("Role", "CustomRole"),
    ("Invitation", "Invitation"),
    ("Session", "Session"),
    ("User", "User"),
    ("Agent", "Agent"),
    ("Task", "Task"),
    // `RecallMemoryInput` has both.
    ("Memory", "Memory"),
    ("Call", "Call"),
    ("Budget", "Budget"),
    ("Delegation", "Budget"),
    ("Invoice", "Invoice"),
    ("Schedule", "Schedule"),
];
/// Fields with texts that agents work with, which take a permission of their own: a selection is made without them, too.
const CONTENTS: [&str; 6] = ["content", "contents", "outcome", "progressNote", "payload", "payloadText"];
/// The levels of objects that a selection has inside of what is returned.
const LEVELS: usize = 3;

fn kind_of_id(name: &str, owner: &str) -> &'static str {
    let by_name = IDS_BY_NAME.iter().find(|(known, _)| *known == name);
    let is_of_owner = |word: &str| owner.to_lowercase().contains(&word.to_lowercase());
    let by_owner = || IDS_BY_OWNER.iter().find(|(word, _)| name == "id" && is_of_owner(word));
    let found = by_name.or_else(by_owner);
    found.unwrap_or_else(|| panic!("what is the id {name} of {owner} of? say so in tests/system/isolation/schema.rs")).1
}

impl Schema {
    pub(super) fn query() -> String {
        let arguments = format!("name defaultValue type {{ {TYPE} }}");
        format!(
            "{{ __schema {{ types {{ kind name isOneOf enumValues {{ name }} possibleTypes {{ name }} inputFields {{ {arguments} }}
                fields {{ name args {{ {arguments} }} type {{ {TYPE} }} }} }} }} }}"
        )
    }

    pub(super) fn new(answer: &Value) -> Self {
        let types = each(&answer["data"]["__schema"]["types"]);
        Self { types: types.map(|of| (of["name"].as_str().unwrap().to_owned(), of.clone())).collect() }
    }

    fn roots(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let roots = ["Query", "Mutation", "Subscription"].into_iter();
        roots.flat_map(move |root| each(&self.types[root]["fields"]).map(move |field| (root, field)))
    }

    pub(super) fn operations(&self) -> BTreeSet<String> {
        self.roots().map(|(root, field)| format!("{root}.{}", field["name"].as_str().unwrap())).collect()
    }

    fn find(&self, of: &Value) -> &Value {
        &self.types[named(of)["name"].as_str().unwrap()]
    }

    /// The kinds of objects that `node` finds.
    pub(super) fn nodes(&self) -> BTreeSet<&str> {
        each(&self.types["Node"]["possibleTypes"]).map(|of| of["name"].as_str().unwrap()).collect()
    }

    /// The lists of the roots that have cursors.
    pub(super) fn lists(&self) -> Vec<String> {
        let is_list = |field: &&Value| {
            let is_paged = each(&self.find(&field["type"])["fields"]).any(|field| field["name"] == "pageInfo");
            is_paged && !each(&field["args"]).any(is_required)
        };
        let lists = each(&self.types["Query"]["fields"]).filter(is_list);
        lists.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The requests for every operation whose arguments name objects of a tenant.
    pub(super) fn requests(&self, world: &World) -> Vec<Request> {
        let mut requests = Vec::new();
        for (root, field) in self.roots() {
            let name = field["name"].as_str().unwrap();
            let operation = format!("{root}.{name}");
            for Given { about, taken: besides, variables } in self.variants(root, field, world) {
                let node = NODES.iter().find(|(kind, _)| name == "node" && *kind == about);
                let mut taken: Vec<_> = permissions(&operation).map(str::to_owned).chain(besides).collect();
                // A search finds out what texts are.
                taken.extend(about.ends_with(".search").then(|| "read:contents".to_owned()));
                // What a command returns may be null field by field, and sums have no texts.
                let is_one = root == "Mutation" || ["usageTotals", "usageReport"].contains(&name);
                let selections: &[bool] = if is_one { &[true] } else { &[true, false] };
                for &is_whole in selections {
                    let selection = match node {
                        Some((kind, _)) => {
                            let of_kind = self.selection(&json!({ "name": kind }), LEVELS - 1, is_whole);
                            format!(" {{ __typename id ... on {kind}{of_kind} }}")
                        }
                        None if name == "node" => " { __typename id }".to_owned(),
                        None => self.selection(&field["type"], LEVELS, is_whole),
                    };
                    let body = body(root, field, &selection, &variables);
                    let about = format!("{about}{}", if is_whole { "" } else { ", plain" });
                    let operation = operation.clone();
                    requests.push(Request { operation, about, taken: taken.clone(), body });
                }
            }
        }
        // A selection without texts may be the same as the whole one.
        let mut known = BTreeSet::new();
        requests.retain(|request| known.insert(request.body.to_string()));
        requests
    }

    /// The arguments with which a field is asked for: the required ones, then each other value of each argument.
    fn variants(&self, root: &str, field: &Value, world: &World) -> Vec<Given> {
        let name = field["name"].as_str().unwrap();
        if let Some(given) = special(name, world) {
            return given;
        }
        // A command is sent as it is, and with each id in it. What a subscription to sums has is in the report, too.
        let is_thorough = root == "Query";
        let mut base = Map::new();
        let mut all = Vec::new();
        for argument in each(&field["args"]) {
            let argument_name = argument["name"].as_str().unwrap();
            let values = self.values(&argument["type"], argument_name, name, is_thorough, world);
            if is_required(argument) {
                base.insert(argument_name.to_owned(), values[0].1.clone());
            }
            // Numbers and times name no objects. Lists are asked for with them.
            let is_name = !matches!(named(&argument["type"])["name"].as_str(), Some("Int" | "DateTime"));
            if is_name || is_thorough {
                all.extend(values.into_iter().map(|(path, value)| (argument_name.to_owned(), path, value)));
            }
        }
        let given = |about: String, mut variables: Map<String, Value>| {
            complete(field, &mut variables, world);
            Given { about, taken: None, variables }
        };
        let mut variants = vec![given("as it is".to_owned(), base.clone())];
        for (argument, path, value) in all {
            let mut variables = base.clone();
            variables.insert(argument.clone(), value);
            variants.push(given(format!("{argument}{path}"), variables));
        }
        variants
    }

    /// The values of an argument that find objects of a tenant.
    fn values(&self, of: &Value, name: &str, owner: &str, is_thorough: bool, world: &World) -> Vec<(String, Value)> {
        let one = |value: Value| vec![(String::new(), value)];
        match of["kind"].as_str().unwrap() {
            "NON_NULL" => self.values(&of["ofType"], name, owner, is_thorough, world),
            "LIST" => {
                let items = self.values(&of["ofType"], name, owner, is_thorough, world);
                items.into_iter().map(|(path, value)| (path, json!([value]))).collect()
            }
            "ENUM" => {
                let names = each(&self.find(of)["enumValues"]).map(|value| value["name"].clone());
                let names = names.map(|name| (format!(" {}", name.as_str().unwrap()), name));
                names.take(if is_thorough { usize::MAX } else { 1 }).collect()
            }
            "INPUT_OBJECT" => self.objects(self.find(of), is_thorough, world),
            _ => match of["name"].as_str().unwrap() {
                "ID" => {
                    let id = world.id(kind_of_id(name, owner));
                    let (global, uuid) = (id.global.clone(), id.uuid.clone());
                    let mut ids = vec![(String::new(), json!(global)), (" as UUID".to_owned(), json!(uuid))];
                    ids.dedup_by(|a, b| a.1 == b.1);
                    ids
                }
                "UUID" => one(json!(world.uuid(name))),
                "Int" | "Long" => one(json!(world.number(name))),
                "Boolean" => one(json!(true)),
                "Decimal" => one(json!("1")),
                // From the beginning of the log on, too.
                "Position" if name == "after" => {
                    ["0", world.position.as_str()].map(|after| (format!(" {after}"), json!(after))).to_vec()
                }
                "Position" if owner == "ResumeParkedEventInput" => one(json!(world.parked)),
                "Position" => one(json!(world.position)),
                "DateTime" => one(json!(world.time(name))),
                "String" => one(json!(world.text(name, owner, is_thorough))),
                other => {
                    panic!("no value of {other} for {name} of {owner}: add it to tests/system/isolation/schema.rs")
                }
            },
        }
    }

    /// The values of an input object: the required fields, then with each other value of each field.
    fn objects(&self, object: &Value, is_thorough: bool, world: &World) -> Vec<(String, Value)> {
        let owner = object["name"].as_str().unwrap();
        let is_one_of = object["isOneOf"] == true;
        let mut base = if is_one_of { json!({}) } else { world.base(owner) };
        let mut all = Vec::new();
        for field in each(&object["inputFields"]) {
            let name = field["name"].as_str().unwrap();
            let is_id = matches!(named(&field["type"])["name"].as_str(), Some("ID" | "UUID")) || name == "tenantId";
            if !(is_required(field) || is_one_of || is_thorough || is_id) {
                continue;
            }
            let values = self.values(&field["type"], name, owner, is_thorough, world);
            if is_required(field) && base[name].is_null() {
                base[name] = values[0].1.clone();
            }
            all.extend(values.into_iter().map(|(path, value)| (name.to_owned(), path, value)));
        }
        let with = |(name, path, value): (String, String, Value)| {
            let mut object = base.clone();
            object[&name] = value;
            world.complete_filter(owner, &mut object);
            (format!(".{name}{path}"), object)
        };
        let variants: Vec<_> = all.into_iter().map(with).collect();
        if is_one_of {
            return variants;
        }
        let mut bare = base.clone();
        world.complete_filter(owner, &mut bare);
        [(String::new(), bare)].into_iter().chain(variants).collect()
    }

    /// A selection of what is returned: all scalars, and objects inside of them up to `levels`. One that is not whole has
    /// no texts that agents work with, and no objects of other kinds, which may take further permissions.
    fn selection(&self, of: &Value, levels: usize, is_whole: bool) -> String {
        let object = self.find(of);
        let mut selected = "__typename".to_owned();
        match object["kind"].as_str() {
            Some("OBJECT") => {}
            _ => return String::new(),
        }
        for field in each(&object["fields"]).filter(|field| !each(&field["args"]).any(is_required)) {
            let name = field["name"].as_str().unwrap();
            let page = if each(&field["args"]).any(|argument| argument["name"] == "first") { "(first: 3)" } else { "" };
            let inside = self.find(&field["type"]);
            let is_other_kind = each(&inside["fields"]).any(|field| field["name"] == "id" || field["name"] == "nodes");
            match inside["kind"].as_str().unwrap() {
                "SCALAR" | "ENUM" if is_whole || !CONTENTS.contains(&name) => selected += &format!(" {name}{page}"),
                "SCALAR" | "ENUM" => {}
                "OBJECT" if !is_whole && CONTENTS.contains(&name) => {}
                "OBJECT" if name == "edges" => selected += " edges { cursor }",
                "OBJECT" if levels > 0 && (is_whole || name == "nodes" || !is_other_kind) => {
                    selected += &format!(" {name}{page}{}", self.selection(&field["type"], levels - 1, is_whole));
                }
                _ => {}
            }
        }
        format!(" {{ {selected} }}")
    }
}

fn body(root: &str, field: &Value, selection: &str, variables: &Map<String, Value>) -> Value {
    let name = field["name"].as_str().unwrap();
    let (mut definitions, mut given) = (String::new(), String::new());
    for argument in each(&field["args"]) {
        let argument_name = argument["name"].as_str().unwrap();
        if variables.contains_key(argument_name) {
            definitions += &format!("${argument_name}: {} ", type_notation(&argument["type"]));
            given += &format!("{argument_name}: ${argument_name} ");
        }
    }
    let in_brackets = |text: String| if text.is_empty() { text } else { format!("({text})") };
    let (definitions, given) = (in_brackets(definitions), in_brackets(given));
    let query = format!("{} {definitions} {{ {name}{given}{selection} }}", root.to_lowercase());
    json!({ "query": query, "variables": variables })
}

fn given(about: &str, taken: Option<&str>, arguments: Value) -> Given {
    let Value::Object(variables) = arguments else { unreachable!() };
    Given { about: about.to_owned(), taken: taken.map(str::to_owned), variables }
}

/// Arguments, with more of them.
fn given_with(about: &str, arguments: &Value, more: Value) -> Given {
    let mut arguments = arguments.clone();
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    given(about, None, arguments)
}

fn changes(world: &World) -> Vec<Given> {
    let all = json!({ "from": { "position": "0" }, "to": { "position": world.position } });
    let with = |about: &str, more: Value| given_with(about, &all, more);
    let of_tag = json!([{ "dimension": "TAG", "value": format!("{}-tagvalue", world.mark) }]);
    let key = format!("{}-tagkey", world.mark);
    vec![
        with("all", json!({})),
        with("by", json!({ "by": ["AGENT", "TASK", "MODEL"] })),
        with("a tag", json!({ "by": ["TAG"], "filter": of_tag, "tagKey": key })),
        with(
            "a range",
            json!({ "startedFrom": world.time("from"), "startedTo": world.time("to"), "timeZone": "Europe/Berlin" }),
        ),
    ]
}

/// Periods of time and what no sums by the hour are kept by are no filters of these, and their times are not all times.
fn outlook(field: &str, world: &World) -> Vec<Given> {
    let times = match field {
        "costForecast" => json!({ "at": "2024-01-01T00:00:00Z" }),
        "meterCosts" => json!({ "by": ["AGENT"] }),
        _ => json!({ "from": "2023-12-20T00:00:00Z", "to": "2023-12-27T00:00:00Z" }),
    };
    let with = |about: &str, more: Value| given_with(about, &times, more);
    let filter = |dimension: &str| {
        let mut filter = json!({ "dimension": dimension });
        world.complete_filter("UsageFilter", &mut filter);
        with(&format!("filter {dimension}"), json!({ "filter": [filter] }))
    };
    let mut of_tag = json!({ "tagKey": world.text("tagKey", "usageReport", true),
        "filter": [{ "dimension": "TAG", "value": format!("{}-tagvalue", world.mark) }] });
    // Sums by the hour are kept by a tag alone.
    if field == "costAnomalies" {
        of_tag["by"] = json!("TAG");
    }
    let filters = ["AGENT", "USER", "TEAM", "KEY", "MODEL", "TOOL"].map(filter);
    let of_zone = with("timeZone", json!({ "timeZone": "Europe/Berlin" }));
    [with("as it is", json!({})), with("tag", of_tag), of_zone].into_iter().chain(filters).collect()
}

/// Terms of budgets with each form of scope, in the month of the calls.
fn previews(world: &World) -> Vec<Given> {
    let marked = |name: &str| format!("{}-{name}", world.mark);
    let of_tag = json!([{ "dimension": format!("tag:{}", marked("tagkey")), "value": marked("tagvalue") }]);
    let with = |about: &str, scope: Value| {
        let terms = json!({ "name": "preview", "scope": scope, "limit": "1", "enforcement": "HARD", "period": "DAY" });
        given(about, None, json!({ "terms": terms, "month": "2023-11", "minPosition": world.position }))
    };
    vec![
        with("all", json!({ "tenant": true })),
        with("an agent", json!({ "agentId": world.id("Agent").global })),
        with("a model", json!({ "model": marked("model") })),
        with("a tag", json!({ "conditions": of_tag })),
    ]
}

/// The arguments of fields of which one argument says what another is.
fn special(field: &str, world: &World) -> Option<Vec<Given>> {
    match field {
        "node" => {
            let of_kind =
                |(kind, taken): &(&str, &str)| given(kind, Some(taken), json!({ "id": world.id(kind).global }));
            // Ids of what has no type of its own, or is read otherwise.
            let others = ["Dag", "Invitation", "Session"];
            let others = others.map(|kind| given(kind, None, json!({ "id": world.id(kind).global })));
            Some(NODES.iter().map(of_kind).chain(others).collect())
        }
        "streamEvents" => {
            let of_stream =
                |(category, id): (&String, &String)| given(category, None, json!({ "category": category, "id": id }));
            Some(world.streams.iter().map(of_stream).collect())
        }
        "costChanges" => Some(changes(world)),
        "aggregateChanges" => {
            let of_stream = |(category, id): (&String, &String)| {
                let taken = reading(category);
                let (from, to) = (json!({ "position": "0" }), json!({ "position": world.position }));
                given(category, Some(&taken), json!({ "category": category, "id": id, "from": from, "to": to }))
            };
            Some(world.streams.iter().map(of_stream).collect())
        }
        "aggregateState" => {
            let points = [json!({ "position": world.position }), json!({ "time": world.time("time") })];
            let of_stream = |(category, id): (&String, &String)| {
                let taken = reading(category);
                points.clone().map(|point| {
                    let about = format!("{category} {point}");
                    given(&about, Some(&taken), json!({ "category": category, "id": id, "asOf": point }))
                })
            };
            Some(world.streams.iter().flat_map(of_stream).collect())
        }
        "costForecast" | "costAnomalies" | "meterCosts" => Some(outlook(field, world)),
        "budgetPreview" => Some(previews(world)),
        _ => None,
    }
}

/// Adds the arguments without which others are refused, or without which a page would be too large.
fn complete(field: &Value, variables: &mut Map<String, Value>, world: &World) {
    let has_tag = Value::Object(variables.clone()).to_string().contains("\"TAG\"");
    let (has_key, is_before) = (variables.contains_key("tagKey"), variables.contains_key("before"));
    let (is_report, is_statements) = (field["name"] == "usageReport", field["name"] == "costStatements");
    let of_tag = json!([{ "dimension": "TAG", "value": format!("{}-tagvalue", world.mark) }]);
    // One member alone is no period.
    let is_compared = variables.contains_key("compare");
    if is_compared {
        variables.insert("compare".to_owned(), json!({ "previous": true }));
    }
    let is_page = |argument: &Value| argument["name"] == "first" && !argument["defaultValue"].is_null();
    for (is_needed, name, value) in [
        (has_tag, "tagKey", json!(world.text("tagKey", "usageReport", true))),
        (has_key && !is_statements, "by", json!(["TAG"])),
        (has_key && is_statements, "filter", of_tag),
        (is_report && variables.contains_key("after"), "by", json!(["MODEL"])),
        (is_before, "last", json!(50)),
        (each(&field["args"]).any(is_page), "first", json!(world.number("first"))),
        (is_compared, "from", json!(world.time("from"))),
        (is_compared, "to", json!(world.time("to"))),
    ] {
        if is_needed && !variables.contains_key(name) {
            variables.insert(name.to_owned(), value);
        }
    }
}
