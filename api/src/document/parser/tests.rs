use super::*;
use async_graphql::parser::parse_query;
use proptest::prelude::*;
use serde_json::Value as Json;

fn read(text: &str) -> Result<Json, String> {
    parse(text, &Limits::default()).map(|document| serde_json::to_value(document).unwrap()).map_err(|e| e.message)
}

/// The result of the library's parser.
fn reference(text: &str) -> Result<Json, String> {
    parse_query(text).map(|document| serde_json::to_value(document).unwrap()).map_err(|e| e.to_string())
}

fn code(text: &str) -> String {
    match parse(text, &Limits::default()).unwrap_err().extensions.unwrap().get("code") {
        Some(async_graphql::Value::String(code)) => code.clone(),
        other => panic!("{other:?}"),
    }
}

/// A query that overflowed the stack of an earlier version, whose scanner took all of it for one string.
fn hidden_brackets(levels: usize) -> String {
    format!("{{ a(b: [\"\"\"  \" {}{} ] ) }}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn a_value_hidden_behind_an_unclosed_block_string_cannot_overflow_the_stack() {
    for levels in [1, 400, 1_600, 200_000] {
        assert_eq!(code(&hidden_brackets(levels)), "GRAPHQL_PARSE_FAILED");
    }
    for (open, close) in [("[", "]"), ("{a:", "}"), ("[{a:", "}]")] {
        for levels in [61, 1_600, 200_000] {
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            for query in [
                format!("{{ a(b: {value}) }}"),
                format!("{{ a @b(c: {value}) }}"),
                format!("query ($a: T = {value}) {{ a }}"),
                format!("query ($a: T @b(c: {value})) {{ a }}"),
                format!("{{ a(b: {}", open.repeat(levels)),
            ] {
                let code = code(&query);
                assert!(code == "TOO_DEEP" || code == "TOO_MANY_TOKENS", "{code}");
            }
        }
    }
    assert_eq!(code(&format!("query ($a: {}", "[".repeat(100_000))), "TOO_DEEP");
    assert_eq!(code(&"{a".repeat(100_000)), "TOO_DEEP");
    assert_eq!(code(&"{...".repeat(100_000)), "TOO_DEEP");
}

/// A query that took quadratic time in an earlier version: each quote began another search for the end of a string.
#[test]
fn quotes_are_read_once() {
    for body in ["x\\\"\"\"\"\"", "\"\"\"", "\\\"\"\"", "\"", "\\", "\"\\", "#\n\"\"", "\"\" \"\"\""] {
        let text = format!("{{ a(b: [\"\"\"{} \"] ) }}", body.repeat(1_000_000 / body.len()));
        let mut lexer = Lexer::new(&text, usize::MAX);
        let mut read = 0;
        // Each token advances the lexer, so there are at most as many as bytes.
        while let Ok((token, _)) = lexer.next() {
            if token == Token::End {
                break;
            }
            read += 1;
            assert!(read <= text.len(), "the lexer does not advance on {body:?}");
        }
        assert!(parse(&text, &Limits::default()).is_err(), "{body:?}");
    }
}

#[test]
fn only_tokens_count_towards_the_limit() {
    let fields = |count: usize| format!("{{ {} }} # {}", "a , \n ".repeat(count), "a ".repeat(20_000));
    assert!(read(&fields(9_998)).is_ok());
    assert_eq!(code(&fields(9_999)), "TOO_MANY_TOKENS");
}

#[test]
fn text_outside_the_grammar_is_rejected() {
    for bad in [
        "",
        "#",
        "a",
        "{",
        "{}",
        "}",
        "{ a",
        "{ a }}",
        "{ a() }",
        "{ a(b) }",
        "{ a(b:) }",
        "{ a(b: {c}) }",
        "{ a(b: {c:}) }",
        "{ a(b: [1) }",
        "{ a(b: {c: 1, c: 2}) }",
        "{ a(b: $) }",
        "{ a(b: 1 c) }",
        "{ a: }",
        "{ a: b: c }",
        "{ a {} }",
        "{ ... }",
        "{ ...on }",
        "{ ...on T }",
        "{ ...F { a } }",
        "{ a @ }",
        "{ a @b() }",
        "query",
        "query A",
        "query () { a }",
        "query ($a) { a }",
        "query ($a:) { a }",
        "query ($a: [T) { a }",
        "query ($a: T!!) { a }",
        "query ($a: T = $b) { a }",
        "query ($a: T = [$b]) { a }",
        "query ($a: T @b(c: $d)) { a }",
        "query ($a: T @b = 1) { a }",
        "{ a } { b }",
        "{ a } query A { b }",
        "query A { a } query A { b }",
        "query A { a } { b }",
        "fragment F on T { a }",
        "{ ...F } fragment F on T { a } fragment F on T { a }",
        "{ ...on } fragment on on T { a }",
        "{ ...F } fragment F T { a }",
        "{ a } type T { a: Int }",
        "\"\"\"a\"\"\" query A { a }",
        "{ a(b: 1e999) }",
        "{ a | b }",
        "{ a & b }",
    ] {
        assert_eq!(code(bad), "GRAPHQL_PARSE_FAILED", "{bad}");
    }
}

#[test]
fn errors_have_a_position() {
    let error = parse("{\n  a(b: %)\n}", &Limits::default()).unwrap_err();
    assert_eq!(error.locations, [Pos { line: 2, column: 8 }]);
    let error = parse("{ a(b: ] }", &Limits::default()).unwrap_err();
    assert_eq!((error.message.as_str(), error.locations[0].column), ("expected a value, found `]`", 8));
}

#[test]
fn valid_text_is_parsed_as_the_reference_parses_it() {
    for good in [
        "{ a }",
        "query { a: b(c: 1, d: [1 2.5e3 \"x\" true null E $v {f: [] g: {}}]) @e(f: $g) @h { i } }",
        "query Q($a: Int! = 3, $b: [[T!]]! = [[]], $c: on) @d { query fragment on mutation true null }",
        "mutation on { on }",
        "subscription S { ...F ...on T @a { b } ... { c } ... @d { e } }\nfragment F on T @g { h }",
        "query A { a } query B { b } fragment C on D { ...E } fragment E on F { g }",
        "\u{feff}{,a,,b(c:\"\"\"\n   d\n     e \n   \"\"\"),}# end",
        "{ a(b: -0, c: 0.0, d: 123456789012345678901234567890, e: -5e-7, f: \"\\u00e9\\n\\\\\\/\") }",
        "{ a(b: \"\u{0}\u{202e}é😀\") }\r\n",
    ] {
        assert_eq!(read(good).unwrap(), reference(good).unwrap(), "{good}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[_A-Za-z][_0-9A-Za-z]{0,6}",
        1 => prop::sample::select(vec!["query", "fragment", "type", "input", "mutation"]).prop_map(str::to_owned),
    ]
}

fn fragment_name() -> impl Strategy<Value = String> {
    name().prop_filter("not `on`", |name| name != "on")
}

/// Ignored characters, which may occur between any two tokens.
fn blank() -> impl Strategy<Value = String> {
    prop::sample::select(vec![" ", "\n", "\t", ", ", "\r\n", "  \u{feff}", "\n# a \" { \"\"\" é\n", " , "])
        .prop_map(str::to_owned)
}

fn joined(parts: Vec<String>) -> BoxedStrategy<String> {
    prop::collection::vec(blank(), parts.len().max(1))
        .prop_map(move |blanks| parts.iter().zip(blanks).map(|(part, blank)| part.clone() + &blank).collect())
        .boxed()
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ !#-\\[\\]-~é\u{202e}😀]{0,8}".prop_map(|text| format!("\"{text}\"")),
        prop::collection::vec(
            prop::sample::select(vec!["\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\t", "{", "#", "x"]),
            0..5
        )
        .prop_map(|parts| format!("\"{}\"", parts.concat())),
        // The reference keeps `\"""` and short blank lines as they are, which the specification does not.
        prop::collection::vec(prop::sample::select(vec!["a", " b", "\n    c", "\r\n      d", "\" ", "\\n", "{"]), 0..6)
            .prop_map(|parts| format!("\"\"\"{} \"\"\"", parts.concat())),
    ]
}

fn value(constant: bool) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,18})",
        "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,6}([eE][+-]?[0-9]{1,2})?",
        "-?[1-9][eE][0-9]{1,2}",
        string(),
        name(),
        prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
        if constant { Just("7".to_owned()).boxed() } else { name().prop_map(|name| format!("${name}")).boxed() },
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" "))),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    })
    .boxed()
}

fn arguments(constant: bool) -> impl Strategy<Value = String> {
    prop::collection::vec((name(), blank(), value(constant)), 0..3).prop_map(|arguments| {
        let written: Vec<_> =
            arguments.into_iter().map(|(name, blank, value)| format!("{name}{blank}:{value}")).collect();
        if written.is_empty() { String::new() } else { format!("({})", written.join(" ")) }
    })
}

fn directives(constant: bool) -> impl Strategy<Value = String> {
    prop::collection::vec((blank(), name(), arguments(constant)), 0..2)
        .prop_map(|all| all.into_iter().map(|(blank, name, arguments)| format!("{blank}@{name}{arguments}")).collect())
}

fn selection_set() -> BoxedStrategy<String> {
    let leaf = (name(), arguments(false), directives(false)).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
    let spread = (fragment_name(), directives(false)).prop_map(|(name, directives)| format!("...{name}{directives}"));
    let item = prop_oneof![3 => leaf, 1 => spread];
    let set = |items: Vec<String>| joined(items).prop_map(|items| format!("{{{items}}}"));
    prop::collection::vec(item, 1..4)
        .prop_flat_map(set)
        .prop_recursive(4, 24, 3, move |inner| {
            let field = (name(), name(), arguments(false), directives(false), inner.clone()).prop_map(
                |(alias, name, arguments, directives, set)| format!("{alias} : {name}{arguments}{directives}{set}"),
            );
            let fragment = (prop::option::of(name()), directives(false), inner).prop_map(|(on, directives, set)| {
                let on = on.map(|on| format!(" on {on}")).unwrap_or_default();
                format!("...{on}{directives}{set}")
            });
            prop::collection::vec(prop_oneof![field, fragment], 1..4).prop_flat_map(set)
        })
        .boxed()
}

fn variable() -> impl Strategy<Value = String> {
    let with_default = (name(), value(true)).prop_map(|(name, value)| format!("${name}: [T!]! = {value}"));
    // The reference wants directives before the default value, which the specification does not.
    let with_directive =
        (name(), directives(true)).prop_map(|(name, directives)| format!("${name}: [[T]!]{directives}"));
    prop_oneof![with_default, with_directive]
}

fn document() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["query", "mutation", "subscription"]);
    let variables = prop::collection::vec(variable(), 0..3)
        .prop_map(|all| if all.is_empty() { String::new() } else { format!("({})", all.join(" ")) });
    let operation = (kind, variables, directives(false), selection_set());
    let fragment = (fragment_name(), name(), directives(false), selection_set());
    let anonymous = selection_set().prop_map(|set| vec![set]);
    // Under names of their own, as no name may be defined twice.
    let named = prop::collection::vec(operation, 1..3).prop_map(|all| {
        let write =
            |(number, (kind, variables, directives, set))| format!("{kind} Q{number}{variables}{directives}{set}");
        all.into_iter().enumerate().map(write).collect::<Vec<_>>()
    });
    let fragments = prop::collection::vec(fragment, 0..3).prop_map(|all| {
        let write = |(number, (name, on, directives, set))| format!("fragment {name}{number} on {on}{directives}{set}");
        all.into_iter().enumerate().map(write).collect::<Vec<_>>()
    });
    (prop_oneof![anonymous, named], fragments)
        .prop_flat_map(|(operations, fragments)| joined(fragments.into_iter().chain(operations).collect()))
}

/// Removes what the two parsers treat differently: lines that end with `\r` alone, short blank lines and `\"""` in block
/// strings.
fn comparable(document: Json) -> Json {
    match document {
        Json::Object(fields) => {
            fields.into_iter().filter(|(name, _)| name != "pos").map(|(n, v)| (n, comparable(v))).collect()
        }
        Json::Array(items) => items.into_iter().map(comparable).collect(),
        Json::String(text) => text.split(|c: char| c.is_whitespace() || c == '\\').collect::<String>().into(),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_valid_is_lost(text in document()) {
        let expected = reference(&text);
        prop_assert!(expected.is_ok(), "the generator made an invalid document: {expected:?}\n{text}");
        prop_assert_eq!(read(&text), expected, "{}", text);
    }

    /// Mutated queries: if both parsers accept one, they agree. No words are joined, because the reference parses `truex` as
    /// two values.
    #[test]
    fn text_that_both_parsers_accept_is_parsed_alike(
        text in document(), at in any::<prop::sample::Index>(), other in r#"[\[\]{}()"$:=!@.# \\-]{1,3}"#,
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        characters.splice(at..at, other.chars());
        let text: String = characters.into_iter().collect();
        if let (Ok(own), Ok(expected)) = (read(&text), reference(&text)) {
            prop_assert_eq!(comparable(own), comparable(expected), "{}", text);
        }
    }
}
