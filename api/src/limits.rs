//! What a query may be, checked before it is validated and executed.
//!
//! The parser bounds tokens and nesting ([`crate::document`]). Validation follows fragments wherever they are spread,
//! and copies the values of variables wherever they are used; it trusts its input. So the document is measured first:
//! levels of fields through fragments, cycles, aliases, directives, how many selections it has with every fragment
//! written out, how much input its arguments hold with every variable written out, and how much of the schema
//! introspection would repeat. What remains takes a time in proportion to the limits.

use crate::Limits;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Name, Pos, Positioned, ServerError, ValidationResult};
use async_graphql_value::Value as InputValue;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// Levels of brackets of any kind in a query, and of lists and objects in its variables.
pub(crate) const MAX_NESTING: usize = 60;
/// How often the text of a request may be repeated by its arguments, once every variable and fragment is written out.
const MAX_INPUT_REPETITION: usize = 16;
/// The weight of one value beside the bytes of its text: about what it takes in memory, in units of text.
const VALUE_WEIGHT: usize = 16;
/// From how many selections on a document takes long to validate, with every fragment written out.
const LARGE_SELECTIONS: usize = 500;
/// The same for the weight of its arguments.
const LARGE_INPUT: usize = 64 * 1024;
/// What introspection may answer, in estimated values; about four times what the usual introspection query asks for.
const MAX_INTROSPECTION: usize = 1_000_000;
/// How many values lists of the schema hold, roughly.
const INTROSPECTION_LISTS: [(&str, usize); 8] = [
    ("types", 150),
    ("fields", 10),
    ("args", 3),
    ("inputFields", 4),
    ("enumValues", 4),
    ("possibleTypes", 8),
    ("interfaces", 2),
    ("directives", 5),
];
/// Lists of introspection that lead from types back to types, and how deep they may be nested: each level multiplies
/// what is answered, without end. The usual introspection query nests none of them in another.
const INTROSPECTION_CYCLES: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];
const MAX_INTROSPECTION_CYCLES: usize = 3;
/// From how many values on introspection takes long: the library answers it without a pause.
const LARGE_INTROSPECTION: usize = 20_000;

/// An error of the request with a code.
pub(crate) fn refusal(code: &str, message: impl Into<String>, at: Option<Pos>) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    ServerError { extensions: Some(extensions), ..ServerError::new(message, at) }
}

/// Measures the variables of a request: how much they hold, each with its text, by name.
///
/// # Errors
/// `TOO_DEEP`, if their lists and objects are nested too deep.
pub(crate) fn measure_variables(variables: &serde_json::Map<String, Json>) -> Result<Weights, ServerError> {
    let mut weights = Weights::with_capacity(variables.len());
    for (name, value) in variables {
        let Some(weight) = json_weight(value, MAX_NESTING) else {
            let message = format!("the variable {name:?} is nested more than {MAX_NESTING} levels deep");
            return Err(refusal("TOO_DEEP", message, None));
        };
        weights.insert(name.clone(), weight);
    }
    Ok(weights)
}

/// The weight of each variable.
pub(crate) type Weights = HashMap<String, usize>;

fn json_weight(value: &Json, levels: usize) -> Option<usize> {
    let weight = match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(items) => {
            let levels = levels.checked_sub(1)?;
            items.iter().try_fold(0, |sum, item| Some(sum + json_weight(item, levels)?))?
        }
        Json::Object(fields) => {
            let levels = levels.checked_sub(1)?;
            fields.iter().try_fold(0, |sum, (name, field)| Some(sum + name.len() + json_weight(field, levels)?))?
        }
    };
    Some(weight + VALUE_WEIGHT)
}

/// Measures a document: how deep, how wide and how large it is. What it answers is whether validating it takes long
/// enough for other tasks to notice, however short the text is.
pub(crate) fn check_document(
    document: &ExecutableDocument,
    variables: &Weights,
    limits: &Limits,
) -> Result<bool, ServerError> {
    let variables = &with_defaults(document, variables);
    let mut survey = Survey { fragments: &document.fragments, variables, known: HashMap::new(), limits };
    let mut sum = Measure::default();
    for (_, operation) in document.operations.iter() {
        let mut measured = survey.selections(&operation.node.selection_set, 0)?;
        let definitions = &operation.node.variable_definitions;
        let of_variables: usize = definitions.iter().map(|definition| definition.node.directives.len()).sum();
        measured.directives = measured.directives.saturating_add(operation.node.directives.len() + of_variables);
        survey.check(&measured, operation.pos)?;
        sum.size = sum.size.saturating_add(measured.size);
        sum.input = sum.input.saturating_add(measured.input);
        sum.introspection = sum.introspection.saturating_add(measured.introspection);
    }
    if sum.size > limits.max_complexity {
        return Err(too_complex(sum.size, limits.max_complexity));
    }
    let max_input = limits.max_body_bytes.saturating_mul(MAX_INPUT_REPETITION);
    if sum.input > max_input {
        let message = format!("the arguments hold more than {max_input} bytes with every variable written out");
        return Err(refusal("TOO_COMPLEX", message, None));
    }
    // What no operation uses was not measured, and would be validated all the same.
    if let Some((name, fragment)) = document.fragments.iter().find(|(name, _)| !survey.known.contains_key(name)) {
        let message = format!("the fragment {:?} is never used", name.as_str());
        return Err(refusal("GRAPHQL_VALIDATION_FAILED", message, Some(fragment.pos)));
    }
    Ok(sum.size > LARGE_SELECTIONS || sum.input > LARGE_INPUT || sum.introspection > LARGE_INTROSPECTION)
}

/// The weights with those of the defaults of variables that are not given: the largest, where operations differ.
fn with_defaults(document: &ExecutableDocument, given: &Weights) -> Weights {
    let mut weights = given.clone();
    for definition in document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions) {
        let (name, default) = (definition.node.name.node.as_str(), &definition.node.default_value);
        if let Some(default) = default.as_ref().filter(|_| !given.contains_key(name)) {
            let weight = weight(&default.node.clone().into_value(), given);
            let known = weights.entry(name.to_owned()).or_default();
            *known = weight.max(*known);
        }
    }
    weights
}

/// How much an argument holds with its variables written out. The parser bounds how deep it is.
fn weight(value: &InputValue, variables: &Weights) -> usize {
    let sum = |sum: usize, item: &InputValue| sum.saturating_add(weight(item, variables));
    let inside = match value {
        InputValue::Variable(name) => variables.get(name.as_str()).copied().unwrap_or_default(),
        InputValue::String(text) => text.len(),
        InputValue::List(items) => items.iter().fold(0, sum),
        InputValue::Object(fields) => fields.values().fold(0, sum),
        _ => 0,
    };
    inside.saturating_add(VALUE_WEIGHT)
}

fn too_deep(at: Pos) -> ServerError {
    let message = format!("the query has more than {MAX_NESTING} levels of selections, through fragments too");
    refusal("TOO_DEEP", message, Some(at))
}

fn too_complex(found: usize, limit: usize) -> ServerError {
    refusal("TOO_COMPLEX", format!("the query costs {found}, {limit} is allowed; ask for smaller pages"), None)
}

/// What a set of selections comes to with its fragments written out.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// Levels of fields.
    depth: usize,
    /// Levels of fields inside introspection.
    introspection_depth: usize,
    /// Levels of selection sets, be they of fields or of fragments.
    levels: usize,
    /// Selections.
    size: usize,
    aliases: usize,
    directives: usize,
    /// The weight of all arguments with variables written out.
    input: usize,
    /// What these fields would answer if they were fields of introspection, in values.
    schema_values: usize,
    /// What the introspection among them answers.
    introspection: usize,
    /// Levels of lists that lead from types back to types.
    schema_cycles: usize,
}

impl Measure {
    fn add(&mut self, other: &Self) {
        self.depth = self.depth.max(other.depth);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.levels = self.levels.max(other.levels);
        self.schema_cycles = self.schema_cycles.max(other.schema_cycles);
        let sums = [
            (&mut self.size, other.size),
            (&mut self.aliases, other.aliases),
            (&mut self.directives, other.directives),
            (&mut self.input, other.input),
            (&mut self.schema_values, other.schema_values),
            (&mut self.introspection, other.introspection),
        ];
        for (sum, other) in sums {
            *sum = sum.saturating_add(other);
        }
    }
}

struct Survey<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Weights,
    /// The measure of each fragment; none while it is being taken, which is how a circle shows.
    known: HashMap<&'a Name, Option<Measure>>,
    limits: &'a Limits,
}

impl<'a> Survey<'a> {
    fn check(&self, measured: &Measure, at: Pos) -> Result<(), ServerError> {
        let limits = self.limits;
        let depths = [
            ("the query", measured.depth, limits.max_depth),
            ("its introspection", measured.introspection_depth, Limits::INTROSPECTION_DEPTH),
        ];
        for (what, depth, limit) in depths {
            if depth > limit {
                let message = format!("{what} has {depth} levels of fields, {limit} are allowed");
                return Err(refusal("TOO_DEEP", message, Some(at)));
            }
        }
        if measured.introspection > MAX_INTROSPECTION {
            let found = measured.introspection;
            let message = format!("introspection would answer about {found} values, {MAX_INTROSPECTION} are allowed");
            return Err(refusal("TOO_COMPLEX", message, Some(at)));
        }
        let counted = [
            ("TOO_MANY_ALIASES", "aliases", measured.aliases, limits.max_aliases),
            ("TOO_MANY_DIRECTIVES", "directives", measured.directives, limits.max_directives),
        ];
        for (code, what, found, limit) in counted {
            if found > limit {
                return Err(refusal(code, format!("the query has {found} {what}, {limit} are allowed"), Some(at)));
            }
        }
        Ok(())
    }

    /// `level` is how many selection sets lead here, through fragments too: nothing that follows them goes deeper.
    fn selections(&mut self, set: &'a Positioned<SelectionSet>, level: usize) -> Result<Measure, ServerError> {
        if level > MAX_NESTING {
            return Err(too_deep(set.pos));
        }
        let mut sum = Measure::default();
        for selection in &set.node.items {
            let measured = match &selection.node {
                Selection::Field(field) => self.field(&field.node, level + 1)?,
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos, level + 1)?
                }
            };
            sum.add(&measured);
            sum.size = sum.size.saturating_add(1);
            self.add_directives(&mut sum, selection.node.directives());
        }
        sum.levels += 1;
        Ok(sum)
    }

    fn add_directives(&self, sum: &mut Measure, directives: &[Positioned<Directive>]) {
        sum.directives = sum.directives.saturating_add(directives.len());
        for directive in directives {
            sum.input = sum.input.saturating_add(self.arguments(&directive.node.arguments));
        }
    }

    fn field(&mut self, field: &'a Field, level: usize) -> Result<Measure, ServerError> {
        let mut measured = self.selections(&field.selection_set, level)?;
        measured.aliases = measured.aliases.saturating_add(usize::from(field.alias.is_some()));
        measured.input = measured.input.saturating_add(self.arguments(&field.arguments));
        let list = INTROSPECTION_LISTS.iter().find(|(name, _)| *name == field.name.node.as_str());
        let values = measured.schema_values.saturating_add(1).saturating_mul(list.map_or(1, |(_, length)| *length));
        if INTROSPECTION_CYCLES.contains(&field.name.node.as_str()) {
            measured.schema_cycles += 1;
        }
        if field.name.node.starts_with("__") {
            if measured.schema_cycles > MAX_INTROSPECTION_CYCLES {
                let [found, names] = [measured.schema_cycles.to_string(), INTROSPECTION_CYCLES.join(", ")];
                let message = format!("introspection nests {found} of {names}, {MAX_INTROSPECTION_CYCLES} are allowed");
                return Err(refusal("TOO_DEEP", message, Some(field.name.pos)));
            }
            measured.schema_cycles = 0;
            measured.introspection_depth = measured.introspection_depth.max(measured.depth) + 1;
            measured.depth = 0;
            measured.introspection = measured.introspection.saturating_add(values);
            measured.schema_values = 0;
        } else {
            measured.depth += 1;
            measured.schema_values = values;
        }
        Ok(measured)
    }

    fn arguments(&self, arguments: &[(Positioned<Name>, Positioned<InputValue>)]) -> usize {
        arguments.iter().fold(0_usize, |sum, (_, value)| sum.saturating_add(weight(&value.node, self.variables)))
    }

    fn fragment(&mut self, name: &'a Name, at: Pos, level: usize) -> Result<Measure, ServerError> {
        match self.known.get(name) {
            Some(Some(measured)) if level + measured.levels > MAX_NESTING => Err(too_deep(at)),
            Some(Some(measured)) => Ok(*measured),
            Some(None) => Err(refusal("FRAGMENT_CYCLE", format!("the fragment {name:?} contains itself"), Some(at))),
            None => {
                // A fragment that is not there is for validation to refuse.
                let Some(fragment) = self.fragments.get(name) else { return Ok(Measure::default()) };
                self.known.insert(name, None);
                let mut measured = self.selections(&fragment.node.selection_set, level)?;
                self.add_directives(&mut measured, &fragment.node.directives);
                self.known.insert(name, Some(measured));
                Ok(measured)
            }
        }
    }
}

/// Refuses queries that cost more than a limit. The library computes the cost; its own limit does not say the number.
pub(crate) struct ComplexityLimit(pub(crate) usize);

impl ExtensionFactory for ComplexityLimit {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0))
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ComplexityLimit {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let validated = next.run(ctx).await?;
        if validated.complexity > self.0 {
            return Err(vec![too_complex(validated.complexity, self.0)]);
        }
        Ok(validated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;
    use async_graphql::Value;
    use serde_json::json;

    fn check(query: &str) -> Result<(), String> {
        check_with(query, &json!({}))
    }

    fn check_with(query: &str, variables: &Json) -> Result<(), String> {
        let limits = Limits::default();
        let code = |error: ServerError| match error.extensions.unwrap().get("code") {
            Some(Value::String(code)) => code.clone(),
            other => panic!("{other:?}"),
        };
        let variables = measure_variables(variables.as_object().unwrap()).map_err(code)?;
        check_document(&parse(query, &limits).map_err(code)?, &variables, &limits).map(drop).map_err(code)
    }

    fn nested(levels: usize) -> String {
        format!("{}x{}", "{ a ".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn queries_of_everyday_size_pass() {
        assert_eq!(check("query Q($a: Int = 3) { agents(first: $a) { nodes { id name } } }"), Ok(()));
        assert_eq!(check(&nested(15)), Ok(()));
    }

    #[test]
    fn deep_queries_are_refused_however_deep() {
        for levels in [16, 40, 61, 1_000, 4_000] {
            assert_eq!(check(&nested(levels)), Err("TOO_DEEP".to_owned()), "{levels} levels");
        }
        assert_eq!(check(&nested(100_000)), Err("TOO_DEEP".to_owned()));
        assert_eq!(
            check(&format!("{{ a(b: {}1{}) }}", "[".repeat(100_000), "]".repeat(100_000))),
            Err("TOO_DEEP".into())
        );
    }

    #[test]
    fn brackets_in_text_do_not_count() {
        let brackets = "{".repeat(100);
        assert_eq!(check(&format!("{{ a(b: \"{brackets}\") }} # {brackets}")), Ok(()));
        assert_eq!(check(&format!("{{ a(b: \"\"\"{brackets} \\\"\"\" \" \"\"\") }}")), Ok(()));
        assert_eq!(check(&format!("{{ a(b: \"\\\"{brackets}\") }}")), Ok(()));
    }

    #[test]
    fn depth_is_counted_through_fragments() {
        let chain: String = (0..20).map(|n| format!("fragment F{n} on T {{ a {{ ...F{} }} }} ", n + 1)).collect();
        let query = format!("{{ ...F0 }} {chain} fragment F20 on T {{ a }}");
        assert_eq!(check(&query), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn fragments_that_multiply_are_refused_without_writing_them_out() {
        let bomb: String = (0..40).map(|n| format!("fragment F{n} on T {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
        let query = format!("{{ ...F0 }} {bomb} fragment F40 on T {{ a }}");
        assert_eq!(check(&query), Err("TOO_COMPLEX".to_owned()));
    }

    #[test]
    fn fragments_in_a_circle_or_a_long_chain_are_refused() {
        let circle = "{ ...A } fragment A on T { ...B } fragment B on T { ...A }";
        assert_eq!(check(circle), Err("FRAGMENT_CYCLE".to_owned()));
        let chain: String = (0..900).map(|n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1)).collect();
        assert_eq!(check(&format!("{{ ...F0 }} {chain} fragment F900 on T {{ a }}")), Err("TOO_DEEP".to_owned()));
    }

    /// Each fragment alone is within the limit, and all of them together would overflow the stack.
    #[test]
    fn nesting_is_counted_through_fragments() {
        let (open, close) = ("... { ".repeat(50), "} ".repeat(50));
        let chain = |count: usize| -> String {
            let link = |n| format!("fragment F{n} on T {{ {open} ...F{} {close} }} ", n + 1);
            let links: String = (0..count).map(link).collect();
            format!("{{ ...F0 }} {links} fragment F{count} on T {{ a }}")
        };
        assert_eq!(check(&chain(1)), Ok(()));
        assert_eq!(check(&chain(55)), Err("TOO_DEEP".to_owned()));
        // Known by the time that it is reached from deeper down.
        let again = format!("{{ ...G {open} ...G {close} }} fragment G on T {{ {open} a {close} }}");
        assert_eq!(check(&again), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn aliases_directives_and_tokens_are_counted() {
        let aliases: String = (0..101).map(|n| format!("a{n}: head ")).collect();
        assert_eq!(check(&format!("{{ {aliases} }}")), Err("TOO_MANY_ALIASES".to_owned()));
        let directives = "@skip(if: true) ".repeat(51);
        assert_eq!(check(&format!("{{ a {directives} }}")), Err("TOO_MANY_DIRECTIVES".to_owned()));
        assert_eq!(check(&format!("{{ {} }}", "a ".repeat(10_000))), Err("TOO_MANY_TOKENS".to_owned()));
        let many: String = (0..100_000).map(|n| format!("a{n}: head ")).collect();
        assert_eq!(check(&format!("{{ {many} }}")), Err("TOO_MANY_TOKENS".to_owned()));
    }

    #[test]
    fn directives_count_wherever_they_stand() {
        let directives = "@skip(if: true) ".repeat(26);
        for query in [
            format!("query {directives} {{ a {directives} }}"),
            format!("query ($a: Int {directives}) {{ a(b: $a) {directives} }}"),
            format!("{{ ...F {directives} }} fragment F on T {directives} {{ a }}"),
            format!("{{ ... {directives} {{ a {directives} }} }}"),
        ] {
            assert_eq!(check(&query), Err("TOO_MANY_DIRECTIVES".to_owned()), "{query}");
        }
    }

    #[test]
    fn fragments_that_nobody_uses_are_refused_before_they_are_validated() {
        assert_eq!(check("{ a } fragment F on T { a }"), Err("GRAPHQL_VALIDATION_FAILED".to_owned()));
        assert_eq!(check("{ ...F } fragment F on T { ...G } fragment G on T { a }"), Ok(()));
    }

    #[test]
    fn a_large_variable_is_not_used_many_times() {
        let uses = |count: usize| format!("query ($a: [Int]) {{ {} }}", "b(c: {d: [$a]}) ".repeat(count));
        let large = json!({ "a": vec![1; 100_000] });
        assert_eq!(check_with(&uses(5), &large), Ok(()));
        assert_eq!(check_with(&uses(500), &large), Err("TOO_COMPLEX".to_owned()));
        let text = json!({ "a": "x".repeat(1_000_000) });
        assert_eq!(check_with(&uses(5), &text), Ok(()));
        assert_eq!(check_with(&uses(500), &text), Err("TOO_COMPLEX".to_owned()));
        let literal = format!("{{ {} }} fragment F on T {{ b(c: \"{}\") }}", "...F ".repeat(500), "x".repeat(500_000));
        assert_eq!(check(&literal), Err("TOO_COMPLEX".to_owned()));
    }

    #[test]
    fn deep_variables_are_refused() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([{ "a": inner }]));
        assert_eq!(check_with("{ a }", &json!({ "a": nested(30) })), Ok(()));
        assert_eq!(check_with("{ a }", &json!({ "a": nested(31) })), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn introspection_that_goes_in_circles_is_refused() {
        let circle = |levels: usize| {
            let lists: String = (0..levels).map(|n| ["possibleTypes { ", "interfaces { "][n % 2]).collect();
            format!("{{ __type(name: \"Node\") {{ {lists} name {} }} }}", "}".repeat(levels))
        };
        assert_eq!(check(&circle(3)), Ok(()));
        for levels in [4, 23] {
            assert_eq!(check(&circle(levels)), Err("TOO_DEEP".to_owned()), "{levels} levels");
        }
        let through = "{ __schema { types { ...A } } } fragment A on __Type { fields { type { ...B } } }
            fragment B on __Type { fields { type { ...C } } } fragment C on __Type { fields { type { fields { name } } } }";
        assert_eq!(check(through), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn defaults_of_variables_count_wherever_they_are_used() {
        let uses = "a(b: $a) ".repeat(1_000);
        let query = |given: &str| format!("query ($a: String = \"{given}\") {{ {uses} }}");
        assert_eq!(check(&query("short")), Ok(()));
        assert_eq!(check(&query(&"x".repeat(900_000))), Err("TOO_COMPLEX".to_owned()));
        assert_eq!(check_with(&query(&"x".repeat(900_000)), &json!({ "a": "short" })), Ok(()));
    }

    #[test]
    fn introspection_may_go_deeper() {
        let types = "ofType { ".repeat(9);
        let query = format!(
            "{{ __schema {{ types {{ fields {{ args {{ type {{ {types} name {} }} }} }} }} }} }}",
            "}".repeat(9)
        );
        assert_eq!(check(&query), Ok(()));
    }

    /// The query that tools send, as `graphql-js` has it.
    const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description
        queryType { name kind } mutationType { name kind } subscriptionType { name kind }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
        fragment FullType on __Type { kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
                type { ...TypeRef } isDeprecated deprecationReason }
            inputFields(includeDeprecated: true) { ...InputValue }
            interfaces { ...TypeRef }
            enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
            possibleTypes { ...TypeRef } }
        fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
        fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
            kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

    #[test]
    fn introspection_counts() {
        assert_eq!(check(INTROSPECTION), Ok(()));
        let twice =
            INTROSPECTION.replace("{ __schema {", "{ a: __typename b: __schema { types { ...FullType } } __schema {");
        assert_eq!(check(&twice), Ok(()));
        let (open, close) = ("fields { type { ".repeat(6), "} } ".repeat(6));
        let nested = format!("{{ __schema {{ types {{ {open} name {close} }} }} }}");
        assert_eq!(check(&nested), Err("TOO_DEEP".to_owned()));
        let aliases: String = (0..95).map(|n| format!("a{n}: fields {{ args {{ name }} name }} ")).collect();
        let wide = format!("{{ __schema {{ types {{ {aliases} }} }} }}");
        assert_eq!(check(&wide), Err("TOO_COMPLEX".to_owned()));
    }
}
