//! Prices: tables that are imported, providers that begin later, versions of the book, and what a charge says.

use crate::graphql::command;
use ingest::{CallReport, prices, report_call};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use testkit::{ProgramOutput, Server, TestDatabase};

fn write(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

async fn import_prices(database: &TestDatabase, table: &str, from: &str) -> ProgramOutput {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "prices.json", table);
    database.run(&["prices", "import", path.to_str().unwrap(), "--effective-from", from]).await
}

/// The meter, rate and conditions of each component of the newest prices of a model.
async fn components(database: &TestDatabase, model: &str) -> Vec<(String, String, String)> {
    let output = database.run(&["prices", "list", "--model", model, "--format", "csv"]).await.assert_success();
    let mut reader = csv::Reader::from_reader(output.stdout.as_bytes());
    let text = |row: &csv::StringRecord, column: usize| row[column].to_owned();
    reader.records().map(|row| row.unwrap()).map(|row| (text(&row, 4), text(&row, 5), text(&row, 7))).collect()
}

fn component(meter: &str, rate: &str, when: &str) -> (String, String, String) {
    (meter.to_owned(), rate.to_owned(), when.to_owned())
}

#[tokio::test]
async fn price_tables_are_read_in_all_their_forms_and_bad_entries_are_named() {
    let database = TestDatabase::new().await;
    let table = concat!(
        "\u{feff}",
        r#"{"dashscope/tiered": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"range": [0, 32000], "input_cost_per_token": 3e-07, "output_cost_per_token": 1.5e-06},
            {"range": [32000, 128000], "input_cost_per_token": 5e-07, "output_cost_per_token": 2.5e-06}]},
        "quoted": {"litellm_provider": "codestral", "mode": "chat", "input_cost_per_token": "3e-07",
            "output_cost_per_token": "0.0000009"},
        "ollama/free": {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0,
            "output_cost_per_token": 0.0},
        "paged": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
            "ocr_cost_per_page": 0.001},
        "no-output": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06,
            "output_cost_per_token": null},
        "twice": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
        "twice": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 5e-06, "output_cost_per_token": 9e-06},
        "per-thousand": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 0.015,
            "output_cost_per_token": 0.06}}"#
    );
    let output = import_prices(&database, table, "2025-01-01").await.assert_success();
    for text in [
        "skipped: no-output: it has no output_cost_per_token",
        "skipped: twice: twice has another price for the same model; the first is used",
        "skipped: per-thousand: input_cost_per_token is 15000.000 dollars per million tokens, above the maximum of 1000",
        "not read: ocr_cost_per_page, in 1 entries: no meter counts pages",
        "5 of 5 prices were new or changed",
    ] {
        assert!(output.stderr.contains(text), "{text:?} is not in:\n{}", output.stderr);
    }
    let tiered = [
        component("input", "0.3", ""),
        component("input", "0.5", "context > 32000"),
        component("output", "1.5", ""),
        component("output", "2.5", "context > 32000"),
    ];
    assert_eq!(components(&database, "tiered").await, tiered);
    assert_eq!(components(&database, "quoted").await, [component("input", "0.3", ""), component("output", "0.9", "")]);
    assert_eq!(components(&database, "twice").await, [component("input", "1", ""), component("output", "2", "")]);
    // A price of 0 is a price: its calls are charged.
    let server = database.serve(&[]).await;
    let cost = async |model: &str, input: u64| {
        let call = json!({ "provider": "dashscope", "model": model, "startedAt": "2025-10-01T00:00:00Z",
                           "usage": { "input": input, "output": 1000 } });
        let call = if model == "free" { with(call, "provider", json!("ollama")) } else { call };
        command(&server, "reportCall", call, "call { cost price { tier } }").await["call"].take()
    };
    assert_eq!(cost("free", 1000).await, json!({ "cost": "0", "price": { "tier": "standard" } }));
    assert_eq!(cost("tiered", 32_000).await, json!({ "cost": "0.0111", "price": { "tier": "standard" } }));
    assert_eq!(cost("tiered", 32_001).await, json!({ "cost": "0.0185005", "price": { "tier": "context > 32000" } }));
}

fn with(mut value: Value, field: &str, other: Value) -> Value {
    value[field] = other;
    value
}

/// Tables whose entries were read in part or not at all, with what is right.
#[tokio::test]
async fn each_bad_entry_of_a_table_is_refused_alone() {
    let database = TestDatabase::new().await;
    let entry = |name: &str, provider: &str, fields: &str| {
        format!(r#""{name}": {{"litellm_provider": {provider}, "mode": "chat", {fields}}}"#)
    };
    let nulls = [
        entry("a-1", r#""x""#, r#""input_cost_per_token": 1e-06, "output_cost_per_token": null"#),
        entry(
            "a-2",
            r#""x""#,
            r#""input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "cache_read_input_token_cost": null"#,
        ),
        entry("a-3", "null", r#""input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06"#),
        entry(
            "a-4",
            r#""x""#,
            r#""input_cost_per_token": 0.0, "input_cost_per_query": 0.002, "output_cost_per_token": 0.0"#,
        ),
        entry("a-5", r#""x""#, r#""input_cost_per_token": -1e-06, "output_cost_per_token": 2e-06"#),
        entry("a-6", r#""x""#, r#""input_cost_per_token": true, "output_cost_per_token": 2e-06"#),
        entry("n-1", r#""x""#, r#""input_cost_per_token": NaN, "output_cost_per_token": 2e-06"#),
        entry("n-2", r#""x""#, r#""input_cost_per_token": 3e-06, "output_cost_per_token": 2e-06"#),
        entry("u-1", r#""wandb""#, r#""input_cost_per_token": 0.015, "output_cost_per_token": 0.06"#),
        entry("u-2", r#""azure_ai""#, r#""input_cost_per_token": 0.0032, "output_cost_per_token": 0.00971"#),
    ];
    let output = import_prices(&database, &format!("{{{}}}", nulls.join(",\n")), "2026-01-01").await.assert_success();
    for text in [
        "skipped: a-1: it has no output_cost_per_token",
        "skipped: a-3: it names no provider",
        "skipped: a-4: it costs 0 but for input_cost_per_query, which is not read",
        "skipped: a-5: input_cost_per_token: -1 is negative",
        "skipped: a-6: input_cost_per_token is true, which is not a number",
        "skipped: n-1: input_cost_per_token is \"NaN\", which is not a number",
        "skipped: u-1: input_cost_per_token is 15000.000 dollars per million tokens, above the maximum of 1000",
        "skipped: u-2: input_cost_per_token is 3200.0000 dollars per million tokens",
        "2 of 2 prices were new or changed",
    ] {
        assert!(output.stderr.contains(text), "{text:?} is not in:\n{}", output.stderr);
    }
    assert_eq!(components(&database, "n-2").await, [component("input", "3", ""), component("output", "2", "")]);
}

/// The price changed between the two records of one call, which began before.
#[tokio::test]
async fn a_call_has_the_price_of_its_beginning_in_any_order_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let line = |uuid: &str, at: &str, output: u64| {
        let usage = json!({ "input_tokens": 100_000, "output_tokens": output });
        json!({ "type": "assistant", "sessionId": "s1", "requestId": "r1", "uuid": uuid, "timestamp": at,
                "message": { "id": "m1", "model": "claude-3-5-haiku-20241022", "usage": usage } })
    };
    let first = write(&folder, "hk1.jsonl", &line("a", "2024-12-02T23:59:59Z", 1).to_string());
    let second = write(&folder, "hk2.jsonl", &line("b", "2024-12-03T00:00:01Z", 1_000).to_string());
    for files in [[&first, &second], [&second, &first]] {
        let database = TestDatabase::new().await;
        let files = files.map(|file| file.to_str().unwrap());
        database.run(&[&["import", "claude-code"], &files[..]].concat()).await.assert_success();
        let total = database.total().await;
        assert_eq!((&total["calls"], &total["cost"]), (&json!(1), &json!("0.105")));
    }
}

#[tokio::test]
async fn an_import_that_later_prices_stand_above_says_so() {
    let database = TestDatabase::new().await;
    let table = sold_by("acme", "m");
    import_prices(&database, &table, "2025-06-01").await.assert_success();
    let earlier = table.replace("7e-06", "8e-06");
    let output = import_prices(&database, &earlier, "2025-01-01").await.assert_success();
    let text = "without effect on calls since 2025-06-01 00:00:00 UTC: acme/m from 2025-01-01 00:00:00 UTC";
    assert!(output.stderr.contains(text), "{}", output.stderr);
    let output = import_prices(&database, &table.replace("7e-06", "6e-06"), "2025-07-01").await.assert_success();
    assert!(!output.stderr.contains("without effect"), "{}", output.stderr);
}

#[tokio::test]
async fn the_shipped_prices_and_those_of_a_newer_table_can_be_set_again() {
    let database = TestDatabase::new().await;
    let output = database.run(&["prices", "update"]).await.assert_success();
    assert!(output.stderr.contains("\n0 of "), "{}", output.stderr);
    assert!(output.stderr.contains("Source: genai-prices ") && output.stderr.contains("(MIT)"), "{}", output.stderr);
    let folder = tempfile::tempdir().unwrap();
    let newer = json!([{ "id": "openai", "models": [
        { "id": "gpt-next", "match": { "starts_with": "gpt-next" },
          "prices": { "input_mtok": 7, "output_mtok": { "base": 9, "tiers": [{ "start": 1000, "price": 18 }] } } },
    ] }]);
    let path = write(&folder, "data.json", &newer.to_string());
    let output = database.run(&["prices", "update", "--from", path.to_str().unwrap()]).await.assert_success();
    assert!(output.stderr.contains(" prices were new or changed"), "{}", output.stderr);
    let expected =
        [component("input", "7", ""), component("output", "9", ""), component("output", "18", "context > 1000")];
    assert_eq!(components(&database, "gpt-next").await, expected);
    // The formats are recognized.
    let models = json!([{ "modelName": "lf-1", "matchPattern": "^lf-1$", "tokenizerId": "claude",
                          "pricingTiers": [{ "isDefault": true, "prices": { "input": 1e-6, "output": 2e-6 } }] }]);
    let path = write(&folder, "langfuse.json", &models.to_string());
    let details = folder.path().join("details.json");
    let import = ["prices", "import", path.to_str().unwrap(), "--details", details.to_str().unwrap()];
    database.run(&import).await.assert_success();
    assert_eq!(components(&database, "lf-1").await, [component("input", "1", ""), component("output", "2", "")]);
    let details: Value = serde_json::from_str(&std::fs::read_to_string(details).unwrap()).unwrap();
    assert_eq!(details, json!({ "skipped": [], "not_read": [] }));
}

/// A span of a call on 20 October 2025 that names no provider.
const NO_PROVIDER: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000abc",
    "spanId":"0000000000000abc","name":"chat","startTimeUnixNano":"1760954400000000000",
    "endTimeUnixNano":"1760954401000000000","attributes":[
        {"key":"gen_ai.response.model","value":{"stringValue":"gpt-4o"}},
        {"key":"gen_ai.usage.input_tokens","value":{"intValue":"1000"}},
        {"key":"gen_ai.usage.output_tokens","value":{"intValue":"100"}}]}]}]}]}"#;

fn sold_by(provider: &str, model: &str) -> String {
    json!({ model: { "litellm_provider": provider, "mode": "chat", "input_cost_per_token": 7e-06,
                     "output_cost_per_token": 3e-05 } })
    .to_string()
}

#[tokio::test]
async fn another_provider_that_begins_later_changes_no_price_before() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(&folder, "trace.json", &NO_PROVIDER.replace('\n', ""));
    let import = ["import", "otlp", trace.to_str().unwrap()];
    let cost = async |prices: &[(String, &str)]| {
        let database = TestDatabase::new().await;
        for (table, from) in prices {
            import_prices(&database, table, from).await.assert_success();
        }
        let output = database.run(&import).await.assert_success();
        (database.total().await["cost"].take(), output.stderr)
    };
    assert_eq!(cost(&[]).await.0, "0.0035");
    assert_eq!(cost(&[(sold_by("azure", "gpt-4o"), "2026-01-01")]).await.0, "0.0035");
    // Also of a provider that sold it then, the price is not that of a call that names none: there is the maker's.
    assert_eq!(cost(&[(sold_by("azure", "gpt-4o"), "2020-01-01")]).await.0, "0.0035");
    // Without a maker, the import says which providers it could be.
    let trace = write(&folder, "other.json", &NO_PROVIDER.replace('\n', "").replace("gpt-4o", "open-weights"));
    let import = ["import", "otlp", trace.to_str().unwrap()];
    let database = TestDatabase::new().await;
    for provider in ["groq", "together_ai"] {
        import_prices(&database, &sold_by(provider, "open-weights"), "2020-01-01").await.assert_success();
    }
    let output = database.run(&import).await.assert_success();
    let text = "open-weights (no provider): 1: it names no provider, and it could be any of groq, together_ai";
    assert!(output.stderr.contains(text), "{}", output.stderr);
    assert_eq!(database.total().await["unpriced_calls"], 1);
    // A report that names the provider is charged at its price.
    let output = database.run(&["import", "otlp", trace.to_str().unwrap(), "--provider", "groq"]).await;
    output.assert_success();
    assert_eq!(database.total().await["cost"], "0.01");
}

/// Sets a price of the model `m` of `acme` for the same date, and returns the version of the price book after it.
async fn set_price(server: &Server, input: &str) -> Value {
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z", "components": [
        { "meter": "OUTPUT", "rate": "15" },
        { "meter": "INPUT", "rate": input },
        { "meter": "INPUT", "rate": "6", "when": { "context": { "above": 1000 } } },
        { "meter": "SEARCHES", "rate": "0.01" },
        { "meter": "REASONING", "rate": "0.5", "per": 1000,
          "when": { "serviceTier": "batch", "time": { "from": "22:00", "to": "06:00", "weekdays": [6, 7] } } },
    ] });
    let payload = command(server, "setPrices", json!({ "prices": [price] }), "outcome bookVersion").await;
    assert_eq!(payload["outcome"], "DONE");
    payload["bookVersion"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_has_the_lines_of_a_receipt() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let version = set_price(&server, "3").await;
    let call = json!({ "provider": "acme", "model": "m", "callKey": "receipt", "startedAt": "2023-11-14T22:13:20Z",
                       "usage": { "input": 1001, "output": 300, "reasoning": 100, "images": 1 } });
    let charged =
        command(&server, "reportCall", call, "position call { id uuid cost price { tier bookVersion } }").await;
    assert_eq!(charged["call"]["cost"], "0.010506");
    assert_eq!(charged["call"]["price"], json!({ "tier": "context > 1000", "bookVersion": version }));
    let stored: String = sqlx::query_scalar(
        "select payload ->> 'charge' from apex.events where type = 'call.recorded' and stream_id = $1::uuid",
    )
    .bind(charged["call"]["uuid"].as_str().unwrap())
    .fetch_one(&mut database.owner().await)
    .await
    .unwrap();
    let when = json!({ "context": { "above": 1000 } });
    let expected = json!({
        "amount": "0.010506", "book_version": version, "effective_from": "2023-01-01T00:00:00Z",
        "lines": [
            { "meter": "input", "units": 1001, "rate": "6", "when": when },
            { "meter": "output", "units": 300, "rate": "15" },
        ],
        "unbilled": ["images"],
    });
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), expected);
    let query = "query ($id: ID!, $position: Position) { call(id: $id, minPosition: $position) { charge {
        amount currency bookVersion effectiveFrom seller unbilled
        lines { meter units rate per cost when { context { above graduated } } } } } }";
    let seen = server.graphql(query, json!({ "id": charged["call"]["id"], "position": charged["position"] })).await;
    let size = json!({ "context": { "above": 1000, "graduated": false } });
    let expected = json!({
        "amount": "0.010506", "currency": "USD", "bookVersion": version, "effectiveFrom": "2023-01-01T00:00:00Z",
        "seller": null, "unbilled": ["IMAGES"],
        "lines": [
            { "meter": "INPUT", "units": 1001, "rate": "6", "per": 1_000_000, "cost": "0.006006", "when": size },
            { "meter": "OUTPUT", "units": 300, "rate": "15", "per": 1_000_000, "cost": "0.0045", "when": null },
        ],
    });
    assert_eq!(seen["call"]["charge"], expected);
}

/// A price that is set again for the same date leaves the earlier one in the earlier versions of the book.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_listed_as_of_any_version_of_the_book() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let version = set_price(&server, "3").await;
    set_price(&server, "4").await;
    let query = "query ($version: Long) { prices(model: \"m\", asOfVersion: $version) { nodes {
        listPrice effectiveTo bookVersion components { meter rate per when {
            context { above graduated } serviceTier time { from to utcOffsetMinutes weekdays } } } } } }";
    let listed = server.graphql(query, json!({ "version": version })).await["prices"]["nodes"].take();
    let size = json!({ "context": { "above": 1000, "graduated": false }, "serviceTier": null, "time": null });
    let time = json!({ "from": "22:00", "to": "06:00", "utcOffsetMinutes": 0, "weekdays": [6, 7] });
    let batch = json!({ "context": null, "serviceTier": "batch", "time": time });
    let expected = json!([{ "listPrice": false, "effectiveTo": null, "bookVersion": version, "components": [
        { "meter": "INPUT", "rate": "3", "per": 1_000_000, "when": null },
        { "meter": "INPUT", "rate": "6", "per": 1_000_000, "when": size },
        { "meter": "OUTPUT", "rate": "15", "per": 1_000_000, "when": null },
        { "meter": "REASONING", "rate": "0.5", "per": 1000, "when": batch },
        { "meter": "SEARCHES", "rate": "0.01", "per": 1, "when": null },
    ] }]);
    assert_eq!(listed, expected);
    let now = server.graphql(query, json!({})).await["prices"]["nodes"].take();
    assert_eq!(now[0]["components"][0]["rate"], "4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_is_not_valid_is_rejected_with_its_fault() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let input = |rate: &str| json!({ "meter": "INPUT", "rate": rate });
    let when = |rate: &str, when: Value| with(input(rate), "when", when);
    let graduated = |above: u64| json!({ "context": { "above": above, "graduated": true } });
    for (components, code, message) in [
        (json!([]), "INVALID_PRICE", "the price of acme/m is not valid: it has no components"),
        (json!([input("-1")]), "NEGATIVE_RATE", "-1 is negative"),
        (json!([with(input("1"), "per", json!(0))]), "INVALID_INPUT", "per: 0 units"),
        (json!([input("1"), input("2")]), "INVALID_PRICE", "two components of input have the same conditions (none)"),
        (json!([when("1", graduated(5))]), "INVALID_PRICE", "no component from 0 on"),
        (
            json!([input("1"), when("2", graduated(5)), when("3", json!({ "context": { "above": 9 } }))]),
            "INVALID_PRICE",
            "they overlap",
        ),
        (
            json!([when("1", json!({ "time": { "from": "25:00", "to": "06:00" } }))]),
            "INVALID_INPUT",
            "\"25:00\" is not a time",
        ),
        (json!([when("1", json!({ "time": { "from": "05:00", "to": "05:00" } }))]), "INVALID_PRICE", "the whole day"),
    ] {
        let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                            "components": components });
        let payload =
            command(&server, "setPrices", json!({ "prices": [price] }), "outcome error { code message }").await;
        assert_eq!((&payload["outcome"], &payload["error"]["code"]), (&json!("REJECTED"), &json!(code)), "{payload}");
        assert!(payload["error"]["message"].as_str().unwrap().contains(message), "{payload}");
    }
}

/// A report that carries an older price book than the call was charged by is repeated with the newest one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_with_an_older_price_book_is_charged_by_the_version_of_the_call() {
    use domain::price_book::{Price, PriceComponent, PriceSource, rate};
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let principal = testkit::operator();
    let old = prices::load_or_init(&rooms.commands, &principal).await.unwrap();
    let component = |meter| PriceComponent::per_million(meter, rate(2.into()).unwrap());
    let components = vec![component(domain::Meter::Input)];
    let price = Price::new(testkit::name("acme"), testkit::name("m"), components);
    let source = PriceSource::named(testkit::name("test"));
    let set = prices::set(&rooms.commands, &principal, vec![price], source, uuid::Uuid::now_v7()).await.unwrap();
    let facts = |input: u64| domain::call::CallFacts {
        provider: Some(testkit::name("acme")),
        model: Some(testkit::name("m")),
        usage: [(domain::Meter::Input, domain::Quantity::new(input).unwrap())].into_iter().collect(),
        ..domain::call::CallFacts::new(domain::call::CallKind::Llm, testkit::at(0), testkit::name("test"))
    };
    let id = domain::CallId(uuid::Uuid::now_v7());
    let mut costs = Vec::new();
    for (input, book) in [(1_000_000, &set.book), (3_000_000, &old)] {
        let report = CallReport::new(id, facts(input), &book.state);
        let context = commands::Context::new(principal.clone(), report.command_id());
        let outcome = report_call(&rooms.commands, &context, &report).await.unwrap();
        let charge = outcome.call.charged.as_ref().unwrap().charge.clone().unwrap();
        costs.push((charge.amount.to_string(), charge.book_version));
    }
    let version = set.book.version.get();
    assert_eq!(costs, [("2".to_owned(), version), ("6".to_owned(), version)]);
    rooms.close().await.unwrap();
}
