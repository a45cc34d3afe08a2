//! The requests: known attacks, documents generated from a grammar over the names of the schema, and mutations of both.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The server's limit on a request body, in bytes, less the envelope of a request over a WebSocket.
const MAX_BODY_BYTES: usize = 1024 * 1024 - 1024;

/// A request and its encodings.
#[derive(Debug, Clone)]
pub(super) struct Hostile {
    pub(super) name: String,
    pub(super) query: String,
    pub(super) variables: Value,
    /// The query and the variables as a JSON body.
    pub(super) body: Vec<u8>,
    /// A body that need not be valid JSON.
    pub(super) raw: Vec<u8>,
}

impl Hostile {
    fn new(name: impl Into<String>, query: impl Into<String>, variables: Value) -> Self {
        let mut query = query.into();
        loop {
            let body = json!({ "query": query, "variables": variables }).to_string().into_bytes();
            if body.len() <= MAX_BODY_BYTES {
                return Self { name: name.into(), query, variables, raw: body.clone(), body };
            }
            // JSON escapes make the body longer than the query, so the query is cut in proportion.
            let end = query.floor_char_boundary(query.len() * MAX_BODY_BYTES / body.len());
            query.truncate(end);
        }
    }

    /// Whether the request may be a subscription, which may never send a message.
    pub(super) fn may_wait(&self) -> bool {
        self.query.contains("subscription")
    }
}

/// Known attacks and requests that exceed the limits. They are built once, since some of them are large.
pub(super) static KNOWN: LazyLock<Vec<Hostile>> = LazyLock::new(|| {
    let mut known: Vec<_> = texts().into_iter().map(|(name, query)| Hostile::new(name, query, json!({}))).collect();
    known.extend(documents().into_iter().map(|(name, query)| Hostile::new(name, query, json!({}))));
    known.extend(variables().into_iter().map(|(name, query, variables)| Hostile::new(name, query, variables)));
    known
});

/// Queries that are expensive or deeply nested for the lexer and the parser.
fn texts() -> Vec<(&'static str, String)> {
    let mut texts = vec![
        ("brackets behind an unclosed block string", hidden_brackets(1_600)),
        ("many brackets behind an unclosed block string", hidden_brackets(400_000)),
        ("nested selections", format!("{}a{}", "{ a ".repeat(100_000), "}".repeat(100_000))),
        ("a long name", format!("{{ {} }}", "a".repeat(900_000))),
        ("comments", format!("{{ head }} {}", "# x\n".repeat(200_000))),
        ("commas", format!("{{ head {} }}", ",".repeat(900_000))),
        ("a long string", format!("{{ agent(id: \"{}\") {{ id }} }}", "x".repeat(900_000))),
        ("a long block string", format!("{{ agent(id: \"\"\"{}\"\"\") {{ id }} }}", "x\n ".repeat(300_000))),
    ];
    for part in ["x\\\"\"\"\"\"", "\"\"\"", "\"", "\\"] {
        for bytes in [56_000, 900_000] {
            let quotes = part.repeat(bytes / part.len());
            texts.push(("quotes in a block string", format!("{{ a(b: [\"\"\"{quotes} \"] ) }}")));
        }
    }
    for (open, close) in [("[", "]"), ("{a:", "}"), ("{", "}"), ("(", ")")] {
        for levels in [60, 61, 100_000] {
            let (open, close) = (open.repeat(levels), close.repeat(levels));
            texts.push(("nested values", format!("{{ agents(filter: {open}1{close}) {{ nodes {{ id }} }} }}")));
            texts.push(("nested directives", format!("{{ head @skip(if: {open}1{close}) }}")));
            texts.push(("nested defaults", format!("query ($a: Int = {open}1{close}) {{ head }}")));
            texts.push(("nested types", format!("query ($a: {open}Int{close}) {{ head }}")));
        }
    }
    texts
}

/// Queries that are expensive or deeply nested for validation and execution.
fn documents() -> Vec<(&'static str, String)> {
    let chain: String = (0..900).map(|n| format!("fragment F{n} on Query {{ ...F{} }} ", n + 1)).collect();
    let (open, close) = ("... { ".repeat(57), "} ".repeat(57));
    let link = |n| format!("fragment F{n} on Query {{ {open} ...F{} {close} }} ", n + 1);
    let nested: String = (0..55).map(link).collect();
    let bomb: String = (0..40).map(|n| format!("fragment F{n} on Query {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
    let unused: String = (0..600).map(|n| format!("fragment F{n} on Query {{ ...G }} ")).collect();
    let variables: String = (0..1_900).map(|n| format!("$a{n}: Int ")).collect();
    let operations: String = (0..450).map(|n| format!("query Q{n}($a: Int) {{ ...F }} ")).collect();
    let uses = "agents(first: $a) { nodes { id } } ".repeat(200);
    let lists: String = (0..12).map(|n| format!("a{n}: agents(first: 500) {{ nodes {{ id }} }} ")).collect();
    let (types, ends) = ("fields { type { ".repeat(8), "} } ".repeat(8));
    let of_type = "name ofType { name ofType { name } }";
    let introspection = format!(
        "{{ __schema {{ types {{ kind name description fields {{ name description args {{ name type {{ {of_type} }} }}
            type {{ {of_type} }} }} inputFields {{ name }} enumValues {{ name }} possibleTypes {{ name }} }} }} }}"
    );
    vec![
        ("nested inline fragments", format!("{}a{}", "{ ... ".repeat(59), "}".repeat(59))),
        ("a chain of fragments", format!("{{ ...F0 }} {chain} fragment F900 on Query {{ head }}")),
        ("a chain of nested fragments", format!("{{ ...F0 }} {nested} fragment F55 on Query {{ head }}")),
        ("fragments that multiply", format!("{{ ...F0 }} {bomb} fragment F40 on Query {{ head }}")),
        ("a cycle of fragments", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned()),
        ("unused fragments", format!("{{ head }} {unused} fragment G on Query {{ {} }}", "head ".repeat(5_000))),
        ("many fields", format!("{{ {} }}", "head ".repeat(9_990))),
        ("as many fields as are allowed", format!("{{ {} }}", "__typename head ".repeat(1_800))),
        ("many unknown fields", format!("{{ {} }}", "heed ".repeat(9_990))),
        ("many unknown arguments", format!("{{ head({}) }}", "aa: 1 ".repeat(3_300))),
        ("many unused variables", format!("query {}({variables}) {{ head }}", "n".repeat(250))),
        ("many operations", format!("{{ ...F }} {operations} fragment F on Query {{ {uses} }}")),
        ("an unknown type with a default", "query ($a: Nope = 1) { agents(first: $a) { nodes { id } } }".to_owned()),
        ("nested introspection", format!("{{ __schema {{ types {{ {types} name {ends} }} }} }}")),
        ("introspection", introspection),
        ("NUL", "{ memories(filter: {search: \"\\u0000\", tag: \"\\u0000\"}) { nodes { id } } }".to_owned()),
        (
            "many words",
            format!("{{ memories(filter: {{search: \"{}\"}}) {{ nodes {{ id }} }} }}", "word ".repeat(180_000)),
        ),
        ("a subscription", "subscription { events(after: \"0\") { position } }".to_owned()),
        ("wide lists", format!("{{ {lists} }}")),
    ]
}

/// Queries whose variables are large, used many times or deeply nested.
fn variables() -> Vec<(&'static str, String, Value)> {
    let uses = |count: usize| {
        format!("query ($a: AgentStatus) {{ {} }}", "agents(filter: {status: $a}) { nodes { id } } ".repeat(count))
    };
    let (text, list) = (json!({ "a": "x".repeat(900_000) }), json!({ "a": vec![0; 400_000] }));
    let nested = |levels: usize| json!({ "a": (0..levels).fold(json!(1), |inner, _| json!([inner])) });
    let first = "query ($a: Int) { agents(first: $a) { nodes { id } } }";
    vec![
        ("a large text in a variable that is used too often", uses(600), text.clone()),
        ("a large text in a variable that is used often", uses(18), text),
        ("a large list in a variable that is used too often", uses(600), list.clone()),
        ("a large list in a variable that is used often", uses(2), list),
        ("deep variables", first.to_owned(), nested(60)),
        ("variables that are too deep", first.to_owned(), nested(120)),
    ]
}

fn hidden_brackets(levels: usize) -> String {
    format!("{{ a(b: [\"\"\"  \" {}{} ] ) }}", "[".repeat(levels), "]".repeat(levels))
}

/// Names of the schema, and some that the schema does not have.
const NAMES: [&str; 44] = [
    "agents",
    "agent",
    "tasks",
    "task",
    "calls",
    "call",
    "memories",
    "memory",
    "budgets",
    "budget",
    "budgetAlerts",
    "events",
    "streamEvents",
    "usageReport",
    "prices",
    "head",
    "node",
    "nodes",
    "edges",
    "cursor",
    "pageInfo",
    "hasNextPage",
    "id",
    "name",
    "status",
    "rows",
    "total",
    "cost",
    "first",
    "after",
    "filter",
    "by",
    "from",
    "search",
    "types",
    "category",
    "minPosition",
    "asOf",
    "__typename",
    "__schema",
    "registerAgent",
    "input",
    "x",
    "on",
];
const TYPES: [&str; 12] = [
    "Query",
    "Mutation",
    "Agent",
    "Node",
    "Task",
    "AgentConnection",
    "Int",
    "ID",
    "String",
    "AgentFilter",
    "DateTime",
    "X",
];
const SCALARS: [&str; 22] = [
    "0",
    "-1",
    "50",
    "501",
    "99999999999999999999",
    "1e308",
    "-0.0",
    "true",
    "null",
    "MODEL",
    "AGENT",
    "\"\"",
    "\"x\"",
    "\"\\u0000\"",
    "\"2023-11-14T22:00:00Z\"",
    "\"9223372036854775807\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"QWdlbnQ6eA\"",
    "\"\"\" \\\"\"\" \"\"\"",
    "\"\u{202e}\"",
    "$a",
    "$b",
];
const FRAGMENTS: [&str; 14] =
    ["\"\"\"", "\"", "\\", "{", "}", "[", "]", "(", ")", "#", "\u{0}", "...", "$", "@skip(if: true)"];

/// Generates requests.
pub(super) struct Bodies {
    random: StdRng,
    known: Vec<&'static Hostile>,
}

impl Bodies {
    pub(super) fn new(random: StdRng) -> Self {
        // The large attacks have been sent unchanged; mutations of them would be large again.
        let known = KNOWN.iter().filter(|hostile| hostile.raw.len() < 100_000).collect();
        Self { random, known }
    }

    fn random_below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit.max(1))
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random_below(of.len())]
    }

    pub(super) fn next(&mut self) -> Hostile {
        let hostile = match self.random_below(10) {
            0..6 => {
                let query = self.document();
                let variables = json!({ "a": self.variable(6), "b": self.variable(2) });
                Hostile::new("a document of the grammar", query, variables)
            }
            _ => {
                let place = self.random_below(self.known.len());
                self.known[place].clone()
            }
        };
        match self.random_below(3) {
            0 => hostile,
            1 => self.with_text_mutated(hostile),
            _ => self.with_bytes_mutated(hostile),
        }
    }

    fn with_text_mutated(&mut self, hostile: Hostile) -> Hostile {
        let mut query = hostile.query;
        for _ in 0..=self.random_below(4) {
            let (from, to) = (self.random_below(query.len() + 1), self.random_below(query.len() + 1));
            let (from, to) = (query.floor_char_boundary(from.min(to)), query.floor_char_boundary(from.max(to)));
            match self.random_below(4) {
                0 => query.insert_str(from, self.pick(&FRAGMENTS)),
                1 => query.replace_range(from..to, ""),
                2 if query.len() < MAX_BODY_BYTES / 8 => {
                    let part = query[from..to].to_owned();
                    query.insert_str(to, &part);
                }
                _ => query.insert_str(from, self.pick(&NAMES)),
            }
        }
        Hostile::new(format!("{}, changed", hostile.name), query, hostile.variables)
    }

    /// Changes random bytes of the raw body, and one character of the query, which must stay valid UTF-8.
    fn with_bytes_mutated(&mut self, mut hostile: Hostile) -> Hostile {
        for _ in 0..=self.random_below(8) {
            let place = self.random_below(hostile.raw.len());
            if let Some(byte) = hostile.raw.get_mut(place) {
                *byte = self.random.random();
            }
        }
        let text: Vec<char> = hostile.query.chars().collect();
        let place = self.random_below(text.len());
        let changed = char::from(self.random.random::<u8>());
        hostile.query = text.iter().enumerate().map(|(n, &c)| if n == place { changed } else { c }).collect();
        hostile.body = Hostile::new("", hostile.query.as_str(), hostile.variables.clone()).body;
        hostile.name += ", with bytes changed";
        hostile
    }

    fn document(&mut self) -> String {
        let mut document = match self.random_below(8) {
            0 => "mutation ".to_owned(),
            1 => "subscription ".to_owned(),
            2 | 3 => "query ($a: Int = 3, $b: String) ".to_owned(),
            4 => format!("query ($a: [{}!]!, $b: {}) ", self.pick(&TYPES), self.pick(&TYPES)),
            _ => String::new(),
        };
        document += &self.selection_set(5);
        for name in ["F", "G"] {
            if self.random_below(3) == 0 {
                document += &format!(" fragment {name} on {} {}", self.pick(&TYPES), self.selection_set(3));
            }
        }
        document
    }

    fn selection_set(&mut self, levels: usize) -> String {
        let selections: Vec<_> = (0..=self.random_below(4)).map(|_| self.selection(levels)).collect();
        format!("{{ {} }}", selections.join(" "))
    }

    fn selection(&mut self, levels: usize) -> String {
        let directive =
            if self.random_below(8) == 0 { format!("@include(if: {})", self.value(1)) } else { String::new() };
        match self.random_below(8) {
            0 => format!("...{} {directive}", self.pick(&["F", "G"])),
            1 if levels > 0 => format!("... on {} {directive} {}", self.pick(&TYPES), self.selection_set(levels - 1)),
            _ => {
                let alias = if self.random_below(4) == 0 { format!("{}: ", self.pick(&NAMES)) } else { String::new() };
                let arguments = if self.random_below(2) == 0 { self.arguments() } else { String::new() };
                let inside = if levels > 0 && self.random_below(2) == 0 {
                    self.selection_set(levels - 1)
                } else {
                    String::new()
                };
                format!("{alias}{}{arguments} {directive} {inside}", self.pick(&NAMES))
            }
        }
    }

    fn arguments(&mut self) -> String {
        let given: Vec<_> =
            (0..=self.random_below(3)).map(|_| format!("{}: {}", self.pick(&NAMES), self.value(4))).collect();
        format!("({})", given.join(", "))
    }

    fn value(&mut self, levels: usize) -> String {
        match self.random_below(6) {
            0 if levels > 0 => {
                let items: Vec<_> = (0..self.random_below(4)).map(|_| self.value(levels - 1)).collect();
                format!("[{}]", items.join(" "))
            }
            1 if levels > 0 => {
                let fields: Vec<_> = (0..self.random_below(4))
                    .map(|_| format!("{}: {}", self.pick(&NAMES), self.value(levels - 1)))
                    .collect();
                format!("{{{}}}", fields.join(" "))
            }
            _ => self.pick(&SCALARS).to_owned(),
        }
    }

    fn variable(&mut self, levels: usize) -> Value {
        match self.random_below(9) {
            0 => Value::Null,
            1 => json!(self.random.random::<i64>()),
            2 => json!(self.random.random::<bool>()),
            3 => json!(self.random.random::<f64>()),
            4 | 5 if levels > 0 => (0..self.random_below(4)).map(|_| self.variable(levels - 1)).collect(),
            6 if levels > 0 => {
                let fields =
                    (0..self.random_below(4)).map(|_| (self.pick(&NAMES).to_owned(), self.variable(levels - 1)));
                Value::Object(fields.collect())
            }
            7 => json!("x".repeat(self.random_below(10_000))),
            _ => json!(self.pick(&["", "\u{0}", "x", "MODEL", "2023-11-14T22:00:00Z", "5", "QWdlbnQ6eA"])),
        }
    }
}
