//! Budgets that refuse, under everything at once: 64 clients at three servers reserve, extend, release, settle and amend within several
//! budgets that are nearly spent, while servers are killed, the database is restarted, replies are lost, limits rise and fall, and
//! reservations expire. Then the whole log is audited, and budgets are compared with what the clients know.
//!
//! As a test it does few operations, with a fault of each kind. `make race` does a million (`APEX_TEST_RACE_OPERATIONS`) at servers of the
//! release binary (`APEX_TEST_RACE_BINARY`). `APEX_TEST_RACE_SEED` repeats the random choices of the clients.

mod audit;
mod clients;
mod fleet;

use self::audit::{Audited, audit_log};
use self::clients::{Abandoned, GROUPS, RESERVED, Tally, client, command_id, has_reached};
use self::fleet::{Counts, Fleet, Loss, Request, SERVERS};
use crate::reservations::{RESERVE, request};
use chrono::{TimeDelta, Utc};
use commands::Context;
use domain::spend_audit::Violation;
use domain::{ReservationId, derived_id};
use futures::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use testkit::{POLL_INTERVAL, TIMEOUT, operator, wait_until};

const CLIENTS: usize = 64;
/// The operations of a run that does not say how many.
const OPERATIONS: u64 = 1_200;
/// The operations from one change of the limits to the next.
const STEP_OPERATIONS: u64 = 100;
/// The most faults of a run, and after how many steps each comes at the earliest: a run that does not say how many operations it has
/// injects one of each kind.
const MAX_FAULTS: u64 = 200;
const MIN_STEPS_BETWEEN_FAULTS: u64 = OPERATIONS / STEP_OPERATIONS / FAULT_KINDS;
const FAULT_KINDS: u64 = 4;
/// The most times that servers with a planted bug are let race: each of them could be done before the next one begins.
const CONTROL_ROUNDS: u64 = 20;
/// What a call cost whose reservation had expired when it was reported.
const LATE: u64 = 1;

const PERIOD: &str =
    "query ($id: ID!) { budgetPeriod(id: $id) { limit charged assumed reserved left excess counted wouldRefuse } }";
const DEFINE: &str =
    "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { budget { id } error { code message } } }";
const REVISE: &str =
    "mutation ($input: ReviseBudgetInput!) { reviseBudget(input: $input) { outcome error { code message } } }";
const SET_PRICES: &str =
    "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome error { message } } }";

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

/// A budget of the race.
struct Budget {
    id: String,
    terms: Value,
    /// How much more than what is used its limit is, each time that it is changed; none if it stays.
    headroom: Option<u64>,
}

struct Race {
    fleet: Fleet,
    seed: u64,
    operations: u64,
    /// The commands that were answered.
    done: AtomicU64,
    /// Whether every fault was injected: clients race until then.
    is_disturbed: AtomicBool,
    abandoned: Mutex<Vec<Abandoned>>,
    /// The first is of money and of all calls, the second counts all calls.
    budgets: Vec<Budget>,
}

impl Race {
    /// Starts the servers, and defines the budgets.
    async fn start(bug: Option<&'static str>, seed: u64, operations: u64) -> Self {
        let (fleet, done, abandoned) = (Fleet::start(bug).await, AtomicU64::new(0), Mutex::default());
        let is_disturbed = AtomicBool::new(false);
        let race = Self { fleet, seed, operations, done, is_disturbed, abandoned, budgets: Vec::new() };
        let components = json!([{ "meter": "OUTPUT", "rate": "1" }]);
        let price =
            json!({ "provider": "p", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z", "components": components });
        let set = race.ask(SET_PRICES, json!({ "input": { "source": "test", "prices": [price] } })).await;
        assert_eq!(set["setPrices"]["outcome"], "DONE", "{set}");
        race
    }

    /// Defines a budget.
    async fn define(&mut self, more: &Value, limit: u64, headroom: Option<u64>) {
        let common = json!({ "scope": { "tenant": true }, "limit": limit.to_string(), "enforcement": "HARD", "period": "TOTAL" });
        let terms = crate::otlp::with(common, more);
        let input = json!({ "commandId": command_id(self, &["define", &more.to_string()]), "terms": terms });
        let defined = self.ask(DEFINE, json!({ "input": input })).await;
        let id = defined["defineBudget"]["budget"]["id"].as_str().unwrap_or_else(|| panic!("{defined}")).to_owned();
        self.budgets.push(Budget { id, terms, headroom });
    }

    /// Waits until the budgets are counted: before that, hard ones refuse.
    async fn await_counts(&self) {
        for Budget { id, .. } in &self.budgets {
            wait_until("the budget is counted", async || self.period(id).await["counted"] == true).await;
        }
    }

    /// Of each reservation, five budgets decide or count: all money, all calls, whose period has parts, its group, and one that is soft and one that is a shadow.
    async fn define_all(&mut self) {
        self.define(&json!({ "name": "all", "thresholds": [50, 100] }), 24, Some(24)).await;
        self.define(&json!({ "name": "calls", "measure": { "calls": true }, "parts": 4 }), 30, Some(30)).await;
        for group in 0..GROUPS {
            let condition = json!({ "dimension": "tag:group", "value": format!("g{group}") });
            let scope = json!({ "conditions": [condition] });
            self.define(&json!({ "name": format!("g{group}"), "scope": scope }), 10, Some(10)).await;
        }
        let soft = json!({ "name": "soft", "enforcement": "SOFT", "measure": { "meter": "OUTPUT" } });
        self.define(&soft, 1_000_000, None).await;
        self.define(&json!({ "name": "shadow", "enforcement": "SHADOW" }), 5, None).await;
        self.await_counts().await;
    }

    fn is_over(&self) -> bool {
        has_reached(&self.done, self.operations) && self.is_disturbed.load(Ordering::Relaxed)
    }

    async fn send(&self, query: &'static str, variables: &Value, server: usize, loss: Loss) -> Value {
        self.fleet.send(&Request { query, variables, server, loss }).await
    }

    /// Sends a request whose reply is not lost on purpose.
    async fn ask(&self, query: &'static str, variables: Value) -> Value {
        self.send(query, &variables, 0, Loss::None).await
    }

    async fn period(&self, id: &str) -> Value {
        self.ask(PERIOD, json!({ "id": id })).await["budgetPeriod"].take()
    }

    /// Changes the limits, so that the budgets are nearly spent all the time. Each fifth time, they are below what is used.
    async fn revise(&self, step: u64) {
        for Budget { id, terms, headroom } in &self.budgets {
            let Some(headroom) = headroom else { continue };
            let period = self.period(id).await;
            let used: Decimal = ["charged", "assumed", "reserved"].iter().map(|sum| decimal(&period[*sum])).sum();
            let limit = if step % 5 == 4 { used - Decimal::ONE } else { used + Decimal::from(*headroom) };
            let mut terms = terms.clone();
            terms["limit"] = json!(limit.max(Decimal::ONE).normalize().to_string());
            let command_id = command_id(self, &["revise", id, &step.to_string()]);
            let revised =
                self.ask(REVISE, json!({ "input": { "commandId": command_id, "id": id, "terms": terms } })).await;
            assert!(revised["reviseBudget"]["error"].is_null(), "{revised}");
        }
    }

    /// Expires the reservations whose clients are gone, as the timer does when they are due, and reports some of their calls then.
    async fn expire_abandoned(&self, tally: &mut Tally) {
        let abandoned = std::mem::take(&mut *self.abandoned.lock().unwrap());
        if abandoned.is_empty() {
            return;
        }
        let rooms = self.fleet.database.rooms().await;
        for Abandoned { reservation, is_sent, reported } in abandoned {
            let id = reservation.as_str().unwrap();
            let context = Context::new(operator(), command_id(self, &["expire", id]));
            let (id, later) = (ReservationId(id.parse().unwrap()), Utc::now() + TimeDelta::minutes(16));
            let deadline = Instant::now() + TIMEOUT;
            while let Err(error) = rooms.commands.expire_reservation(&context, id, later).await {
                assert!(Instant::now() < deadline, "a reservation does not expire: {error}");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            match reported {
                Some(call) => {
                    call.report(self, "settle", LATE, Some(&reservation)).await;
                    tally.charged += LATE;
                    tally.calls += 1;
                }
                None => tally.assumed += u64::from(is_sent),
            }
        }
        rooms.close().await.unwrap();
    }

    /// Injects a fault, and goes on when the clients have met it.
    async fn inject(&self, fault: u64) {
        let server = usize::try_from(fault).unwrap() % SERVERS;
        match fault % FAULT_KINDS {
            0 => self.fleet.kill(server).await,
            1 => self.fleet.restart_database().await,
            2 => {
                self.fleet.kill(server).await;
                self.fleet.restart_database().await;
            }
            _ => {
                for server in 0..SERVERS {
                    self.fleet.kill(server).await;
                }
            }
        }
        if fault % FAULT_KINDS < FAULT_KINDS - 1 {
            // The others go on without it.
            let some = self.done.load(Ordering::Relaxed) + 20;
            wait_until("the clients go on", async || {
                self.fleet.start_missing(false).await;
                has_reached(&self.done, some)
            })
            .await;
        }
        self.fleet.start_missing(true).await;
        wait_until("the database answers", async || {
            sqlx::query("select 1").execute(&self.fleet.database.pool).await.is_ok()
        })
        .await;
    }

    /// Changes limits, expires reservations and injects faults while clients race, at times that depend on how far they are.
    async fn disturb(&self) -> Tally {
        let steps = (self.operations / STEP_OPERATIONS).max(1);
        let steps_between_faults = steps.div_ceil(MAX_FAULTS).max(MIN_STEPS_BETWEEN_FAULTS);
        let mut tally = Tally::default();
        for step in 1..=steps {
            let due = self.operations * step / (steps + 1);
            wait_until("the clients go on", async || has_reached(&self.done, due)).await;
            self.revise(step).await;
            self.expire_abandoned(&mut tally).await;
            if step % steps_between_faults == 0 {
                self.inject(step / steps_between_faults - 1).await;
            }
        }
        self.is_disturbed.store(true, Ordering::Relaxed);
        tally
    }

    /// Lets all clients race until enough operations are done, and nothing is left that is not ended.
    async fn run(self: &Arc<Self>) -> Tally {
        let clients = (0..CLIENTS).map(|number| {
            let race = self.clone();
            tokio::spawn(async move { client(&race, number).await })
        });
        let (tallies, mut tally) = tokio::join!(join_all(clients), self.disturb());
        for of_client in tallies {
            tally.add(&of_client.unwrap());
        }
        self.fleet.start_missing(true).await;
        self.expire_abandoned(&mut tally).await;
        tally
    }

    /// Waits until the charging policy has charged all calls that nobody reserved for, and compares the budgets with what the clients
    /// know: the sums do not drift from what was done.
    async fn assert_charged(&self, tally: &Tally) {
        let [money, calls] = [&self.budgets[0].id, &self.budgets[1].id];
        let sums = async |id: &str| {
            let period = self.period(id).await;
            ["charged", "assumed", "reserved"].map(|name| decimal(&period[name]))
        };
        let dollars = [tally.charged, tally.assumed * RESERVED, 0].map(Decimal::from);
        let counted = [tally.calls, tally.assumed, 0].map(Decimal::from);
        let deadline = Instant::now() + TIMEOUT;
        while sums(money).await[0] < dollars[0] && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        assert_eq!(sums(money).await, dollars, "{tally:?}");
        assert_eq!(sums(calls).await, counted, "{tally:?}");
    }
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// The faults had their effects: otherwise nothing was tested.
fn assert_disturbed(counts: &Counts, faults: u64) {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert!(of(&counts.lost_replies) > CLIENTS as u64, "{counts:?}");
    if faults >= FAULT_KINDS {
        assert!(of(&counts.kills) >= faults / 2 && of(&counts.database_restarts) >= faults / 4, "{counts:?}");
        assert!(of(&counts.failed_attempts) > 0, "{counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_budget_is_overspent_while_servers_are_killed_the_database_restarts_and_replies_are_lost() {
    let seed = setting("APEX_TEST_RACE_SEED").unwrap_or_else(rand::random);
    let operations = setting("APEX_TEST_RACE_OPERATIONS").unwrap_or(OPERATIONS);
    eprintln!("race: seed {seed}, {operations} operations (APEX_TEST_RACE_SEED, APEX_TEST_RACE_OPERATIONS)");
    let mut race = Race::start(None, seed, operations).await;
    race.define_all().await;
    let race = Arc::new(race);
    let tally = race.run().await;
    let steps = operations / STEP_OPERATIONS;
    assert_disturbed(&race.fleet.counts, steps / steps.div_ceil(MAX_FAULTS).max(MIN_STEPS_BETWEEN_FAULTS));
    race.assert_charged(&tally).await;
    let Audited { events, granted, refused, grants_of_hard_budgets, violations, ended_twice } =
        audit_log(&race.fleet.database).await;
    eprintln!("race: {events} events, {tally:?}, {:?}", race.fleet.counts);
    assert_eq!(violations, [], "seed {seed}");
    assert!(ended_twice.is_empty(), "seed {seed}: {ended_twice:?}");
    // Each once, however often it was sent.
    assert_eq!((granted, refused), (tally.granted, tally.refused), "seed {seed}");
    assert!(granted > CLIENTS as u64 && refused > CLIENTS as u64, "{granted} granted, {refused} refused");
    // Those of all money, of all calls and of a group, and all of them for extensions.
    assert!(grants_of_hard_budgets >= 3 * granted, "{grants_of_hard_budgets} grants of budgets");
    race.fleet.terminate().await;
    race.fleet.database.verify_log().await;
}

/// Makes `apex.append` not compare the versions of the periods of budgets: a server checks what is left, and counts later.
const UNCOMPARED_PERIODS: &str = "do $plant$
    declare
        definition text := pg_get_functiondef('apex.append'::regproc);
        compared constant text := 's_expected[s] >= 0 and ';
    begin
        if strpos(definition, compared) = 0 then
            raise exception 'apex.append does not compare versions as the planted bug assumes';
        end if;
        execute replace(definition, compared, 'k_category[s_key[s]] <> ''budget_balance'' and s_expected[s] >= 0 and ');
    end
    $plant$";

/// Reserves at a server, and returns the status of the reservation.
async fn reserve(race: &Race, server: usize, (round, number): (u64, u64)) -> Value {
    let variables = request(derived_id(&[&format!("{server} {round} {number}")]), RESERVED);
    race.send(RESERVE, &variables, server, Loss::None).await["reserveSpend"]["reservation"]["status"].take()
}

fn is_overspent(found: &Violation) -> bool {
    matches!(found, Violation::Overspent { .. })
}

/// All servers reserve as much as fits, in as many rounds as are given or until the audit finds that they overspent: how many reservations
/// the log says were granted, and what the audit finds.
async fn reserve_at_all_servers(bug: Option<&'static str>, rounds: u64) -> (u64, Vec<Violation>) {
    let mut race = Race::start(bug, 1, 0).await;
    race.define(&json!({ "name": "all" }), 2 * RESERVED, None).await;
    race.await_counts().await;
    // Each server knows the period, most of them as it was before another one spent more of it.
    for server in 0..SERVERS {
        assert_eq!(reserve(&race, server, (0, 0)).await, if server < 2 { "HELD" } else { "REFUSED" });
    }
    let (race, mut audited) = (&race, Audited::default());
    for round in 1..=rounds {
        let Budget { id, terms, .. } = &race.budgets[0];
        let limit = (2 + 2 * round) * RESERVED;
        let terms = crate::otlp::with(terms.clone(), &json!({ "limit": limit.to_string() }));
        let revised = race.ask(REVISE, json!({ "input": { "id": id, "terms": terms } })).await;
        assert!(revised["reviseBudget"]["error"].is_null(), "{revised}");
        let of_server = |server| (1..=8).map(move |number| reserve(race, server, (round, number)));
        join_all((0..SERVERS).flat_map(of_server)).await;
        audited = audit_log(&race.fleet.database).await;
        if audited.violations.iter().any(is_overspent) {
            break;
        }
    }
    (audited.granted, audited.violations)
}

/// The control: with a log that does not compare the versions of periods, servers overspend, and the audit of the log says so. With the
/// log as it is, the same requests overspend nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_check_what_is_left_and_count_later_are_seen_to_overspend() {
    assert_eq!(reserve_at_all_servers(None, 1).await, (4, vec![]));
    let (granted, violations) = reserve_at_all_servers(Some(UNCOMPARED_PERIODS), CONTROL_ROUNDS).await;
    assert!(violations.iter().any(is_overspent), "{granted} granted: {violations:?}");
}
