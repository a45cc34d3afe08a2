//! The SDK of OpenTelemetry for JavaScript, with Vercel's AI SDK and instrumentations of the client of OpenAI: Apex reports what
//! the provider stated, each call once, over each protocol, also if each export is sent twice.

use super::sdk::root;
use crate::identities::{Installation, ask};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use testkit::{ReservedPort, Server, TIMEOUT};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PROTOCOLS: [&str; 3] = ["http/protobuf", "http/json", "grpc"];

/// The prices of a token that was not cached, that was, and that was generated, in US dollars · 10⁻¹².
const PRICES: [(&str, [u64; 3]); 2] =
    [("gpt-5-mini-2025-08-07", [250_000, 25_000, 2_000_000]), ("gpt-4.1-2025-04-14", [2_000_000, 500_000, 8_000_000])];

/// An agent with a library, and the set-up of OpenTelemetry for it.
struct Agent {
    name: &'static str,
    /// A program in `tests/otlp`.
    telemetry: &'static str,
    /// The arguments of `tests/otlp/agent.mjs`.
    arguments: &'static [&'static str],
    /// Whether the library states how many tokens were read from the cache. Else they are charged as any other input.
    states_cached: bool,
    /// Whether it states how many of the generated tokens were reasoning.
    states_reasoning: bool,
    tool_calls: u64,
}

const AGENTS: [Agent; 4] = [
    Agent {
        name: "openinference",
        telemetry: "telemetry-openai.mjs",
        arguments: &["openai", "chat", "responses", "streamed-responses"],
        states_cached: true,
        states_reasoning: true,
        tool_calls: 0,
    },
    Agent {
        name: "openllmetry",
        telemetry: "telemetry-openllmetry.mjs",
        arguments: &["openai", "chat", "responses"],
        states_cached: false,
        states_reasoning: false,
        tool_calls: 0,
    },
    Agent {
        name: "ai",
        telemetry: "telemetry-ai.mjs",
        arguments: &["ai", "chat", "streamed-chat", "responses", "streamed-responses", "tool"],
        states_cached: true,
        states_reasoning: false,
        tool_calls: 1,
    },
    Agent {
        name: "ai-6",
        telemetry: "telemetry-ai-6.mjs",
        arguments: &["ai-6", "chat", "streamed-chat", "responses", "streamed-responses", "tool"],
        states_cached: true,
        states_reasoning: true,
        tool_calls: 1,
    },
];

/// What was charged, or is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Charged {
    calls: u64,
    unpriced: u64,
    /// Calls to tools.
    tools: u64,
    /// Without what was cached.
    input: u64,
    cached: u64,
    output: u64,
    reasoning: u64,
    /// In US dollars · 10⁻¹².
    cost: u64,
}

/// By agent and model. Calls to tools have no model.
type Charges = BTreeMap<(String, Option<String>), Charged>;

fn cost(amount: &str) -> u64 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    assert!(fraction.len() <= 12, "{amount} has more than 12 decimal places");
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// What Apex reports.
async fn reported(installation: &Installation, server: &Server, key: &str) -> Charges {
    let position = installation.database.head().await;
    let query = format!(
        "{{ usageReport(by: [AGENT, MODEL], first: 500, minPosition: \"{position}\") {{ nodes {{ keys {{ name value }}
            totals {{ calls unpricedCalls toolCalls inputTokens outputTokens cacheReadTokens reasoningTokens cost }} }} }} }}"
    );
    let (_, answer) = ask(server, key, &query).await;
    let rows = answer["data"]["usageReport"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let charged = |row: &Value| {
        let totals = &row["totals"];
        let count = |name: &str| totals[name].as_u64().or_else(|| totals[name].as_str()?.parse().ok()).unwrap();
        let charged = Charged {
            calls: count("calls"),
            unpriced: count("unpricedCalls"),
            tools: count("toolCalls"),
            input: count("inputTokens"),
            cached: count("cacheReadTokens"),
            output: count("outputTokens"),
            reasoning: count("reasoningTokens"),
            cost: cost(totals["cost"].as_str().unwrap_or("0")),
        };
        let name = |key: &Value| key["name"].as_str().or_else(|| key["value"].as_str()).map(str::to_owned);
        ((name(&row["keys"][0]).unwrap_or_default(), name(&row["keys"][1])), charged)
    };
    rows.iter().map(charged).collect()
}

/// What is to be charged by what the provider stated.
async fn truth(provider: &Provider) -> Charges {
    let stated: Value = testkit::http_get(format!("{}/usage", provider.address)).await.unwrap().json().await.unwrap();
    let mut charges = Charges::new();
    for agent in &AGENTS {
        for protocol in PROTOCOLS {
            let run = run_name(agent, protocol);
            let models = stated[&run].as_object().unwrap_or_else(|| panic!("{run}: {stated}"));
            for (model, counts) in models {
                let mut counts = counts.clone();
                if !agent.states_cached {
                    counts["input"] = json!(counts["input"].as_u64().unwrap() + counts["cached"].as_u64().unwrap());
                    counts["cached"] = json!(0);
                }
                let count = |name: &str| counts[name].as_u64().unwrap();
                let (_, prices) = PRICES.iter().find(|(priced, _)| priced == model).unwrap();
                let charged = Charged {
                    calls: count("calls"),
                    input: count("input"),
                    cached: count("cached"),
                    output: count("output"),
                    reasoning: if agent.states_reasoning { count("reasoning") } else { 0 },
                    cost: ["input", "cached", "output"]
                        .into_iter()
                        .zip(prices)
                        .map(|(n, price)| count(n) * price)
                        .sum(),
                    ..Charged::default()
                };
                charges.insert((run.clone(), Some(model.clone())), charged);
            }
            if agent.tool_calls > 0 {
                charges.insert((run, None), Charged { tools: agent.tool_calls, ..Charged::default() });
            }
        }
    }
    charges
}

/// Where a report is not what it is to be.
fn differences(reported: &Charges, truth: &Charges) -> Vec<String> {
    let keys = reported.keys().chain(truth.keys().filter(|key| !reported.contains_key(key)));
    let differing = keys.filter(|key| reported.get(key) != truth.get(key));
    differing.map(|key| format!("{key:?}: {:?} instead of {:?}", reported.get(key), truth.get(key))).collect()
}

fn run_name(agent: &Agent, protocol: &str) -> String {
    format!("{}-{}", agent.name, protocol.replace('/', "-"))
}

/// The stub of a provider, killed when dropped.
struct Provider {
    address: String,
    _child: Child,
}

impl Provider {
    async fn start() -> Self {
        let mut command = Command::new(root().join("target/tools/otlp-python/bin/python"));
        command.arg(root().join("tests/otlp/provider.py")).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).await.unwrap();
        Self { address: format!("http://127.0.0.1:{}", port.trim()), _child: child }
    }
}

fn node_folder() -> PathBuf {
    let folder = root().join("target/tools/otlp-node");
    assert!(folder.join("node").exists(), "run scripts/node-packages.sh otlp-node tests/otlp first");
    folder
}

/// Where agents export to, and the credential.
struct Target<'a> {
    /// The address for HTTP, and that for gRPC.
    addresses: [&'a str; 2],
    key: &'a str,
}

impl Target<'_> {
    /// Runs an agent, and returns what it wrote to its standard output and to its standard error.
    async fn run(
        &self,
        provider: &Provider,
        run: &str,
        protocol: &str,
        imports: &[&str],
        arguments: &[&str],
    ) -> [String; 2] {
        let folder = node_folder();
        let [http, grpc] = self.addresses;
        let mut node = Command::new(folder.join("node"));
        node.env_clear().args(["--preserve-symlinks", "--preserve-symlinks-main"]);
        for import in imports {
            node.arg("--import").arg(folder.join(import));
        }
        node.arg(folder.join("agent.mjs")).args(arguments);
        node.env("OTEL_EXPORTER_OTLP_ENDPOINT", if protocol == "grpc" { grpc } else { http })
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer {}", self.key))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_SERVICE_NAME", run)
            .env("OTEL_LOG_LEVEL", "warn")
            .env("OPENAI_BASE_URL", format!("{}/{run}/v1", provider.address))
            .env("OPENAI_API_KEY", "none");
        node.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(TIMEOUT, node.output()).await.unwrap_or_else(|_| panic!("{run} did not end")).unwrap();
        let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "{run}: {texts:?}");
        texts
    }
}

/// A key that reports calls, and one that reads.
async fn keys(installation: &Installation) -> (String, String) {
    let scopes = ["--scope", "command:calls", "--scope", "command:agents"];
    let exporting = installation.key("acme", "operator", &scopes).await;
    let account = installation.run(&["accounts", "create", "reader", "--role", "viewer", "--tenant", "acme"]).await;
    let create = ["keys", "create", "--account", &account, "--all-scopes", "--tenant", "acme"];
    (exporting, installation.run(&create).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_real_javascript_agents_appear_once_over_every_protocol() {
    let (installation, provider) = (Installation::new().await, Provider::start().await);
    let (key, reader) = keys(&installation).await;
    let port = ReservedPort::of(20_000..32_000);
    let own_port = format!("127.0.0.1:{}", port.number());
    let server = installation.serve(&["--otlp-listen", &own_port]).await;
    let target = Target { addresses: [&server.address, &format!("http://{own_port}")], key: &key };
    for protocol in PROTOCOLS {
        let runs = AGENTS.iter().map(async |agent| {
            let (run, imports) = (run_name(agent, protocol), ["send-twice.mjs", agent.telemetry]);
            let [written, errors] = target.run(&provider, &run, protocol, &imports, agent.arguments).await;
            assert!(written.contains("sent again: ") && errors.is_empty(), "{run}: {written} {errors}");
        });
        join_all(runs).await;
    }
    let (reported, truth) = (reported(&installation, &server, &reader).await, truth(&provider).await);
    let wrong = differences(&reported, &truth);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The comparison sees a single token, and a call too many or too few.
    for (key, charged) in &truth {
        let wrong: [fn(&mut Charged); 8] = [
            |charged| charged.calls += 1,
            |charged| charged.unpriced += 1,
            |charged| charged.tools += 1,
            |charged| charged.input += 1,
            |charged| charged.cached += 1,
            |charged| charged.output += 1,
            |charged| charged.reasoning += 1,
            |charged| charged.cost += 1,
        ];
        for change in wrong {
            let (mut other, mut changed) = (reported.clone(), charged.clone());
            change(&mut changed);
            other.insert(key.clone(), changed);
            assert_eq!(differences(&other, &truth).len(), 1);
        }
        let mut fewer = reported.clone();
        fewer.remove(key);
        assert_eq!(differences(&fewer, &truth).len(), 1);
    }
    server.kill().await;
}

/// A streamed chat, of which the instrumentation states no usage: its exporter is told, and the chat after it is charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_usage_and_refused_keys_are_told_to_the_exporter() {
    let (installation, provider) = (Installation::new().await, Provider::start().await);
    let (key, reader) = keys(&installation).await;
    let server = installation.serve(&[]).await;
    let imports = ["telemetry-openai.mjs"];
    let chat = Charged {
        calls: 1,
        input: 176,
        cached: 1024,
        output: 340,
        reasoning: 128,
        cost: 749_600_000,
        ..Charged::default()
    };
    let mut charges = Charges::new();
    for protocol in PROTOCOLS {
        let run = format!("streams-{}", protocol.replace('/', "-"));
        let target = Target { addresses: [&server.address; 2], key: &key };
        let streamed = target.run(&provider, &run, protocol, &imports, &["openai", "streamed-chat", "chat"]);
        let target = Target { addresses: [&server.address; 2], key: "apex_none" };
        let refused = target.run(&provider, "refused", protocol, &imports, &["openai", "chat"]);
        let ([_, streamed], [_, refused]) = tokio::join!(streamed, refused);
        assert!(streamed.contains("1 spans are calls to models, but state no usage"), "{protocol}: {streamed}");
        assert!(refused.contains(if protocol == "grpc" { "UNAUTHENTICATED" } else { "401" }), "{protocol}: {refused}");
        charges.insert((run, Some(PRICES[0].0.to_owned())), chat.clone());
    }
    assert_eq!(reported(&installation, &server, &reader).await, charges);
    server.kill().await;
}

/// The documentation shows the set-up that these tests run.
#[test]
fn the_documentation_has_the_set_up() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    for (program, documents) in [
        ("telemetry-openai.mjs", &["README.md", "docs/opentelemetry.md"][..]),
        ("telemetry-ai.mjs", &["docs/opentelemetry.md"]),
    ] {
        let lines = text(&format!("tests/otlp/{program}"));
        for document in documents {
            assert!(text(document).contains(&format!("{lines}```")), "{document} lacks:\n{lines}");
        }
    }
}
