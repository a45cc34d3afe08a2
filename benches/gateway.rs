//! The gateway: how long a call takes through it, beside the direct call, to a stub of a provider that answers at once. What it adds is
//! the difference.
//!
//! All calls are within one hard budget: each is reserved before, and settled before its response ends, also that of a stream, which is
//! read to its end. The stub closes each connection.
//! `CALLS` sets the number of calls of a case (default: 2000).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use futures::StreamExt as _;
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::bench::{Bench, Table, percentile, setting};
use testkit::{ProviderStub, ServerProcess, apex_binary, wait_until};

const CLIENTS: [usize; 2] = [1, 16];

async fn graphql(client: &Client, address: &str, query: &str, input: Value) -> Value {
    let body = json!({ "query": query, "variables": { "input": input } });
    let response = client.post(format!("http://{address}/graphql")).json(&body).send().await.unwrap();
    response.json().await.unwrap()
}

/// A model with a price, and a hard budget that counts it.
async fn define(client: &Client, address: &str) {
    let components = json!([{ "meter": "OUTPUT", "rate": "1" }, { "meter": "INPUT", "rate": "1" }]);
    let price = json!({ "provider": "openai", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z", "components": components });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    graphql(client, address, set, json!({ "source": "bench", "prices": [price] })).await;
    let terms = json!({ "name": "all", "scope": { "tenant": true }, "limit": "1000000", "enforcement": "HARD", "period": "TOTAL" });
    let define = "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { budget { id } } }";
    let defined = graphql(client, address, define, json!({ "terms": terms })).await;
    let id = defined["data"]["defineBudget"]["budget"]["id"].clone();
    let period = format!("{{ budgetPeriod(id: {id}) {{ counted }} }}");
    wait_until("the budget is counted", async || {
        graphql(client, address, &period, Value::Null).await["data"]["budgetPeriod"]["counted"] == true
    })
    .await;
}

/// The times of calls by a number of clients.
async fn times(client: &Client, url: &str, is_streamed: bool, calls: usize, clients: usize) -> Vec<Duration> {
    let messages = json!([{ "role": "user", "content": "Weather?" }]);
    let body = json!({ "model": "m", "messages": messages, "max_tokens": 100, "stream": is_streamed });
    let call = async |_: usize| {
        let started = Instant::now();
        let response = client.post(url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        drop(response.bytes().await.unwrap());
        started.elapsed()
    };
    let calls = futures::stream::iter(0..calls).map(call).buffer_unordered(clients);
    calls.collect().await
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let calls = usize::try_from(setting("CALLS", 2000)).unwrap();
    let (bench, stub, program) = (Bench::new().await, ProviderStub::start().await, apex_binary());
    let direct = format!("{}/v1", stub.address);
    let arguments = ["--gateway-openai-url", &direct];
    let server = ServerProcess::start(program.to_str().unwrap(), &bench.url(), &arguments).await;
    let client = Client::new();
    define(&client, &server.address).await;
    let through = format!("http://{}/gateway/openai/v1", server.address);
    let mut table = Table::new();
    for (what, is_streamed) in [("chat", false), ("streamed chat", true)] {
        for clients in CLIENTS {
            let times = async |url: &str, calls: usize| {
                times(&client, &format!("{url}/chat/completions"), is_streamed, calls, clients).await
            };
            for url in [&direct, &through] {
                times(url, calls / 10 + 1).await;
            }
            let mut of_direct = times(&direct, calls).await;
            let mut of_gateway = times(&through, calls).await;
            for percent in [50, 99] {
                let us = |times: &mut [Duration]| percentile(times, percent).as_secs_f64() * 1e6;
                let case = format!("p{percent} of a {what}, {clients} clients: gateway; direct");
                table.figure(&case, "µs", us(&mut of_gateway), us(&mut of_direct));
            }
        }
    }
    table.write("gateway");
    drop(server);
    bench.drop_database().await;
}
