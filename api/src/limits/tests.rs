use super::{check_document, measure_variables};
use crate::config::Limits;
use crate::document::parse;
use async_graphql::{ServerError, Value};
use serde_json::{Value as Json, json};

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
fn ordinary_queries_are_accepted() {
    assert_eq!(check("query Q($a: Int = 3) { agents(first: $a) { nodes { id name } } }"), Ok(()));
    assert_eq!(check(&nested(15)), Ok(()));
}

#[test]
fn deep_queries_are_rejected_at_any_depth() {
    for levels in [16, 40, 61, 1_000, 4_000] {
        assert_eq!(check(&nested(levels)), Err("TOO_DEEP".to_owned()), "{levels} levels");
    }
    assert_eq!(check(&nested(100_000)), Err("TOO_DEEP".to_owned()));
    assert_eq!(check(&format!("{{ a(b: {}1{}) }}", "[".repeat(100_000), "]".repeat(100_000))), Err("TOO_DEEP".into()));
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
fn fragments_that_multiply_are_rejected_without_expanding_them() {
    let bomb: String = (0..40).map(|n| format!("fragment F{n} on T {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
    let query = format!("{{ ...F0 }} {bomb} fragment F40 on T {{ a }}");
    assert_eq!(check(&query), Err("TOO_COMPLEX".to_owned()));
}

#[test]
fn fragment_cycles_and_long_chains_are_rejected() {
    let circle = "{ ...A } fragment A on T { ...B } fragment B on T { ...A }";
    assert_eq!(check(circle), Err("FRAGMENT_CYCLE".to_owned()));
    let chain: String = (0..900).map(|n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1)).collect();
    assert_eq!(check(&format!("{{ ...F0 }} {chain} fragment F900 on T {{ a }}")), Err("TOO_DEEP".to_owned()));
}

/// Each fragment is within the limit; all of them together would overflow the stack.
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
    // Already measured by the time that it is spread at a deeper level.
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
fn directives_count_in_every_location() {
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
fn unused_fragments_are_rejected_before_they_are_validated() {
    assert_eq!(check("{ a } fragment F on T { a }"), Err("GRAPHQL_VALIDATION_FAILED".to_owned()));
    assert_eq!(check("{ ...F } fragment F on T { ...G } fragment G on T { a }"), Ok(()));
}

#[test]
fn a_large_variable_may_not_be_used_many_times() {
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
fn deep_variables_are_rejected() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([{ "a": inner }]));
    assert_eq!(check_with("{ a }", &json!({ "a": nested(30) })), Ok(()));
    assert_eq!(check_with("{ a }", &json!({ "a": nested(31) })), Err("TOO_DEEP".to_owned()));
}

#[test]
fn introspection_cycles_are_rejected() {
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
fn defaults_of_variables_count_for_each_use() {
    let uses = "a(b: $a) ".repeat(1_000);
    let query = |given: &str| format!("query ($a: String = \"{given}\") {{ {uses} }}");
    assert_eq!(check(&query("short")), Ok(()));
    assert_eq!(check(&query(&"x".repeat(900_000))), Err("TOO_COMPLEX".to_owned()));
    assert_eq!(check_with(&query(&"x".repeat(900_000)), &json!({ "a": "short" })), Ok(()));
}

#[test]
fn introspection_may_be_deeper() {
    let types = "ofType { ".repeat(9);
    let query =
        format!("{{ __schema {{ types {{ fields {{ args {{ type {{ {types} name {} }} }} }} }} }} }}", "}".repeat(9));
    assert_eq!(check(&query), Ok(()));
}

/// The introspection query of `graphql-js`, which most tools send.
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
fn the_size_of_introspection_is_limited() {
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
