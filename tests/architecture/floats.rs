//! Money is never a float: which files may use floats at all, and why.

use crate::sources::sources;

/// The files in which floats are used, each with what for. None of them computes, stores or sends an amount of money
/// that was spent or is charged.
const FLOATS: &[(&str, &str)] = &[
    ("api/src/edge/tls.rs", "metrics"),
    ("api/src/http/connection.rs", "metrics"),
    ("api/src/http/sse.rs", "metrics"),
    ("api/src/http/websocket/connection.rs", "metrics"),
    ("commands/src/observe.rs", "metrics, of which no amount is read"),
    ("gateway/src/scan.rs", "numbers in requests that are no amounts"),
    ("identity/src/people/totp_rows.rs", "periods of time"),
    ("identity/src/sessions/signing_keys.rs", "the age of a key"),
    ("ingest/src/formats/otlp/attribute_value.rs", "attributes of spans that are no amounts"),
    ("ingest/src/formats/otlp/contents/protobuf.rs", "values of attributes that are shown as JSON"),
    ("ingest/src/formats/otlp/json/fields.rs", "attributes of spans that are no amounts"),
    ("ingest/src/formats/otlp/proto/mod.rs", "attributes of spans that are no amounts"),
    ("policies/src/finish_job.sql", "periods of time"),
    ("policies/src/gauges.sql", "metrics"),
    ("policies/src/observe.rs", "metrics"),
    ("policies/src/retry.rs", "random delays"),
    ("projections/src/outlook/estimate.rs", "estimates of costs, which are no charges"),
    ("projections/src/outlook/forecast.rs", "estimates of costs, which are no charges"),
    ("projections/src/outlook/anomalies.rs", "estimates of costs, which are no charges"),
    ("projections/src/outlook/series.rs", "statistics of costs"),
    ("projections/src/outlook/statistics/backtest.rs", "statistics of costs"),
    ("projections/src/outlook/statistics/bands.rs", "statistics of costs"),
    ("projections/src/outlook/statistics/detection.rs", "statistics of costs"),
    ("projections/src/outlook/statistics/methods.rs", "statistics of costs"),
    ("projections/src/outlook/statistics/robust.rs", "statistics of costs"),
    ("src/asyncapi.rs", "versions of formats, in a text of several lines"),
    ("src/cli/demo.rs", "the pace of the simulation"),
    ("src/cli/serve.rs", "metrics"),
    ("src/simulation.rs", "the pace of the simulation"),
    ("src/telemetry.rs", "metrics"),
    ("src/telemetry/json.rs", "fields of log lines"),
    ("streams/src/appender.rs", "metrics"),
    ("streams/src/backoff.rs", "random delays"),
    ("streams/src/relay/kafka/publisher.rs", "metrics"),
    ("streams/src/tail.rs", "metrics"),
];

/// Files with amounts, in which a float would be one of money.
const MONEY: &[&str] =
    &["domain/", "ingest/src/prices/", "projections/", "api/src/graphql/price/", "src/cli/prices", "src/cli/report"];

/// Estimates of what costs will be, or should have been: they are computed from amounts, and never become one.
const ESTIMATES: &str = "projections/src/outlook/";

/// The first word of a code that is a float: a type, a conversion, or a literal.
fn float(code: &str) -> Option<String> {
    const TYPES: [&str; 9] =
        ["f32", "f64", "as_f64", "to_f64", "from_f64", "from_f64_retain", "double", "float4", "float8"];
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let without_texts = without_texts(code);
    let words = without_texts.split(|character: char| !is_word(character) && character != '.');
    words
        .map(|word| word.trim_end_matches('.'))
        .find(|word| {
            let parts: Vec<_> = word.split('.').collect();
            let is_literal = matches!(parts.as_slice(), [whole, fraction] if is_number(whole) && is_number(fraction));
            is_literal || parts.iter().any(|part| TYPES.contains(part))
        })
        .map(str::to_owned)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Code without the texts in quotation marks, such as messages with the number of a version. A `tuple.0.1` is no number, as
/// it does not start with a digit.
fn without_texts(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    for line in code.lines() {
        let (mut is_text, mut is_escaped) = (false, false);
        for character in line.chars() {
            match character {
                '"' if !is_escaped => is_text = !is_text,
                _ if is_text => {}
                _ => kept.push(character),
            }
            is_escaped = character == '\\' && !is_escaped;
        }
        kept.push('\n');
    }
    kept
}

#[test]
fn no_amount_of_money_is_a_float() {
    let mut unused: Vec<&str> = FLOATS.iter().map(|(path, _)| *path).collect();
    let mut found = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        let Some(word) = float(&source.code) else { continue };
        unused.retain(|listed| *listed != path);
        if !FLOATS.iter().any(|(listed, _)| *listed == path) {
            found.push(format!("{path} uses {word}"));
        }
    }
    assert!(found.is_empty(), "floats outside of the list:\n{}", found.join("\n"));
    assert!(unused.is_empty(), "listed, but without floats: {unused:?}");
    let of_money = |path: &str| MONEY.iter().any(|folder| path.starts_with(folder)) && !path.starts_with(ESTIMATES);
    let listed = FLOATS.iter().filter(|(path, _)| of_money(path));
    assert_eq!(listed.count(), 0, "a file with amounts may not use floats");
}

#[test]
fn planted_floats_are_detected() {
    for code in [
        "let rate = 0.5;",
        "fn cost(tokens: u64) -> f64 {",
        "amount.to_f64()",
        "value.as_f64().unwrap()",
        "Decimal::from_f64_retain(rate)",
        "cost double precision not null",
        "1_000.25 * units",
    ] {
        assert!(float(code).is_some(), "{code}");
    }
    for code in ["pair.0.1", "call?.0.0", "let range = 0..5;", "\"version 1.2\"", "let f640 = 1;", "a.0", "0..=9"] {
        assert_eq!(float(code), None, "{code}");
    }
}
