//! Clients that race for what is left of one hard budget.

use super::programs::{LANGUAGES, Language, Program, run};
use super::proxy::{Mode, Proxy};
use super::{assert_charged, assert_not_overspent, serve, terms};
use crate::reservations::{define, period};
use serde_json::{Value, json};
use testkit::{Server, wait_until};

/// The clients of each language.
const CLIENTS: u64 = 16;

/// Whether more than the limit was charged.
fn is_overspent(period: &Value) -> bool {
    period["excess"] != "0"
}

/// LiteLLM's published failure: requests that are checked at the same time against what is left all pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_both_languages_that_race_for_a_hard_budget_overspend_nothing() {
    let (database, server) = serve().await;
    for mode in [Mode::Forward, Mode::LoseEveryOther] {
        race_by(&server, mode).await;
    }
    assert_not_overspent(&database).await;
    server.kill().await;
}

/// Lets all clients race at the same time, through a proxy.
async fn race_by(server: &Server, mode: Mode) {
    let (tag, proxy) = (format!("{mode:?}"), Proxy::start(&server.address, mode).await);
    let id = define(server, terms(&tag, "10")).await;
    let arguments = json!({ "tags": { "client": tag }, "clients": CLIENTS });
    let mut clients = LANGUAGES.map(|language| Program::start(language, &proxy.address, "race", &arguments));
    for client in &mut clients {
        assert_eq!(client.line().await, json!({ "ready": true }));
    }
    for client in &mut clients {
        client.go_on().await;
    }
    let (mut granted, mut refused) = (0, 0);
    for client in &mut clients {
        let seen = client.line().await;
        granted += seen["granted"].as_u64().unwrap();
        refused += seen["refused"].as_u64().unwrap();
    }
    for client in clients {
        client.end().await;
    }
    // Each uses all that it has reserved.
    assert_eq!((granted, refused), (10, 2 * CLIENTS - 10), "{mode:?}");
    let after = period(server, &id).await;
    assert!(!is_overspent(&after), "{after}");
    assert_charged(&after, "10");
    // All reserve, those that are granted it settle, and at least as many replies are lost as are not.
    let sent = 2 * CLIENTS + 10;
    assert!(proxy.requests() >= if mode == Mode::Forward { sent } else { 2 * sent - 1 }, "{}", proxy.requests());
}

/// The control: clients that check what is left and count later overspend, which is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_check_first_and_count_later_are_seen_to_overspend() {
    let (_database, server) = serve().await;
    let id = define(&server, terms("race", "10")).await;
    let arguments = json!({ "tags": { "client": "race" }, "clients": CLIENTS, "budget": id });
    let seen = run(Language::Python, &server.address, "race_by_checking", &arguments).await;
    assert_eq!(seen, json!({ "granted": CLIENTS, "refused": 0 }));
    let all = CLIENTS.to_string();
    wait_until("all calls are charged", async || period(&server, &id).await["charged"] == all.as_str()).await;
    let after = period(&server, &id).await;
    assert!(is_overspent(&after), "{after}");
    server.kill().await;
}
