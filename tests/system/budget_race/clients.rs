//! Clients that race: what they reserve, and how they end it.

use super::Race;
use super::fleet::{Counts, Loss};
use crate::reservations::{REPORT, RESERVE};
use domain::derived_id;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

pub(super) const GROUPS: u64 = 4;
/// What each reservation sets aside, in dollars: the price of a million tokens.
pub(super) const RESERVED: u64 = 2;
/// What it is extended to.
const EXTENDED: u64 = 3;

const EXTEND: &str = "mutation ($input: ExtendReservationInput!) { extendReservation(input: $input) {
    outcome error { code message } reservation { status } } }";
const RELEASE: &str = "mutation ($input: ReleaseReservationInput!) { releaseReservation(input: $input) {
    outcome error { code message } reservation { status } } }";

/// What clients know of what they did: what budgets must say in the end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) extended: u64,
    /// Dollars that calls cost.
    pub(super) charged: u64,
    /// Calls.
    pub(super) calls: u64,
    /// Reservations that expired, and whose call was sent and is not reported.
    pub(super) assumed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.granted += other.granted;
        self.refused += other.refused;
        self.extended += other.extended;
        self.charged += other.charged;
        self.calls += other.calls;
        self.assumed += other.assumed;
    }
}

/// A reservation whose client is gone.
pub(super) struct Abandoned {
    pub(super) reservation: Value,
    pub(super) is_sent: bool,
    /// The call, if it is reported after the reservation has expired.
    pub(super) reported: Option<Call>,
}

/// A call, with the random choices that belong to it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    name: String,
    server: usize,
    choices: u64,
}

impl Call {
    fn new(race: &Race, client: usize, number: u64) -> Self {
        let name = format!("{} {client} {number}", race.seed);
        // Without the bits that say which kind of UUID it is.
        let choices = derived_id(&["race", &name]).as_u64_pair().1 & 0xffff_ffff_ffff;
        Self { name, server: client, choices }
    }

    /// A random number below a limit, of which there are several: one for each `which`.
    fn choose(&self, which: u32, limit: u64) -> u64 {
        (self.choices >> (which * 6)) % limit
    }

    fn group(&self) -> String {
        format!("g{}", self.choose(0, GROUPS))
    }

    fn loss(&self, command: &str) -> Loss {
        match derived_id(&[command, &self.name]).as_u64_pair().1 % 8 {
            0 => Loss::Reply,
            1 => Loss::HangUp,
            _ => Loss::None,
        }
    }

    /// Sends a command of this call until it is answered.
    async fn send(&self, race: &Race, what: &str, query: &'static str, mut input: Value) -> Value {
        input["commandId"] = json!(derived_id(&[what, &self.name]));
        let answered = race.send(query, &json!({ "input": input }), self.server, self.loss(what)).await;
        Counts::increment(&race.done);
        answered
    }

    fn of_model(&self, output: u64) -> Value {
        json!({ "provider": "p", "model": "m", "usage": { "output": output * 1_000_000 },
                "tags": [{ "key": "group", "value": self.group() }] })
    }

    /// Reports that the call used as many dollars; it settles a reservation if one is given.
    pub(super) async fn report(&self, race: &Race, what: &str, used: u64, reservation: Option<&Value>) {
        let mut input = self.of_model(used);
        input["callKey"] = json!(format!("{} of {}", if what == "beside" { what } else { "call" }, self.name));
        if let Some(reservation) = reservation {
            input["reservation"] = reservation.clone();
        }
        let reported = self.send(race, what, REPORT, input).await;
        assert!(reported["reportCall"]["error"].is_null(), "{what} of {self:?}: {reported}");
    }
}

/// Reserves, and ends the reservation, until enough operations were done.
pub(super) async fn client(race: &Race, number: usize) -> Tally {
    let mut tally = Tally::default();
    for attempt in 0.. {
        if race.is_over() {
            break;
        }
        let call = Call::new(race, number, attempt);
        if call.choose(1, 10) == 0 {
            // A call that nobody reserved for, which the charging policy charges.
            call.report(race, "beside", 1, None).await;
            tally.charged += 1;
            tally.calls += 1;
        }
        if let Some((reservation, is_sent)) = reserve(race, &call, &mut tally).await {
            end(race, &call, &mut tally, reservation, is_sent).await;
        }
    }
    tally
}

/// Reserves, and says whether the call is sent; none if that is refused.
async fn reserve(race: &Race, call: &Call, tally: &mut Tally) -> Option<(Value, bool)> {
    let is_sent = call.choose(2, 3) > 0;
    let mut input = call.of_model(RESERVED);
    input["sent"] = is_sent.into();
    let mut reserved = call.send(race, "reserve", RESERVE, input.clone()).await;
    let reservation = reserved["reserveSpend"]["reservation"].take();
    if call.choose(3, 8) == 0 {
        // A retry gets the same answer, at another server, too.
        input["commandId"] = json!(derived_id(&["reserve", &call.name]));
        let mut again = race.send(RESERVE, &json!({ "input": input }), call.server + 1, Loss::None).await;
        assert_eq!(again["reserveSpend"]["reservation"].take(), reservation, "{call:?}");
    }
    if reservation["status"] == "REFUSED" {
        assert_eq!(reservation["refusal"]["reason"], "EXCEEDED", "{call:?}: {reservation}");
        tally.refused += 1;
        return None;
    }
    assert_eq!(reservation["status"], "HELD", "{call:?}: {reserved} {reservation}");
    tally.granted += 1;
    Some((reservation["uuid"].clone(), is_sent))
}

async fn end(race: &Race, call: &Call, tally: &mut Tally, reservation: Value, is_sent: bool) {
    let used = call.choose(4, 4);
    let way = call.choose(5, 10);
    match way {
        0 | 1 => {
            let released = call.send(race, "release", RELEASE, json!({ "uuid": reservation })).await;
            assert_eq!(released["releaseReservation"]["reservation"]["status"], "RELEASED", "{call:?}: {released}");
            return;
        }
        2 | 3 => {
            let reported = (way == 2).then(|| call.clone());
            race.abandoned.lock().unwrap().push(Abandoned { reservation, is_sent, reported });
            return;
        }
        4 => {
            let usage = json!({ "output": EXTENDED * 1_000_000 });
            let input = json!({ "uuid": reservation, "usage": usage, "sent": true });
            let extended = call.send(race, "extend", EXTEND, input).await;
            match extended["extendReservation"]["error"]["code"].as_str() {
                None => tally.extended += 1,
                // It does not fit.
                code => assert_eq!(code, Some("REFUSED"), "{call:?}: {extended}"),
            }
        }
        _ => {}
    }
    call.report(race, "settle", used, Some(&reservation)).await;
    tally.charged += used;
    tally.calls += 1;
    if way == 5 {
        // Another source knows of more usage, and counts instead.
        call.report(race, "amend", used + 1, None).await;
        tally.charged += 1;
    }
}

/// Whether a counter says that as much was done.
pub(super) fn has_reached(done: &AtomicU64, number: u64) -> bool {
    done.load(Ordering::Relaxed) >= number
}

/// A command id of the race itself.
pub(super) fn command_id(race: &Race, parts: &[&str]) -> Uuid {
    let seed = race.seed.to_string();
    let parts: Vec<_> = [seed.as_str()].into_iter().chain(parts.iter().copied()).collect();
    derived_id(&parts)
}
