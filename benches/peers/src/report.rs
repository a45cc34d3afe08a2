//! The results, as tables and as rows of JSON.

use crate::contenders::{Contender, Order as Promise};
use crate::store::Setting;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

/// The goal: Apex's rate as a multiple of the best peer on PostgreSQL with a safe order.
const GOAL: f64 = 5.0;

/// The description of a contender, which is also reported if it failed.
pub(crate) struct About {
    /// Its index in the order of reporting.
    pub(crate) index: usize,
    name: &'static str,
    version: &'static str,
    operation: &'static str,
    on_postgres: bool,
    promise: Promise,
    order_word: &'static str,
    order_because: &'static str,
    versions: &'static str,
    retries: &'static str,
    durable: &'static str,
    guarantee: String,
}

impl About {
    pub(crate) fn of(contender: &Contender, index: usize) -> Self {
        Self {
            index,
            name: contender.name,
            version: contender.version,
            operation: contender.operation,
            on_postgres: contender.on_postgres,
            promise: contender.order,
            order_word: contender.order_word(),
            order_because: contender.order_because,
            versions: contender.versions,
            retries: contender.retries,
            durable: contender.durable,
            guarantee: contender.guarantee(),
        }
    }

    fn is_ours(&self) -> bool {
        self.version == "here"
    }
}

/// The events written under load, and those that a concurrent reader saw.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) written: u64,
    pub(crate) seen: Option<u64>,
}

impl Order {
    fn missed(self) -> Option<u64> {
        self.seen.map(|seen| self.written.saturating_sub(seen))
    }
}

pub(crate) struct Finding {
    /// The medians of appends per second.
    pub(crate) many: f64,
    pub(crate) one: f64,
    pub(crate) setting: Setting,
    pub(crate) retries: u64,
    pub(crate) acknowledged: u64,
    pub(crate) order: Order,
}

pub(crate) struct Measured {
    pub(crate) about: About,
    /// The measurements, or the reason why there are none.
    pub(crate) finding: Result<Finding, String>,
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn setting(setting: Setting) -> String {
    let processes = if setting.processes > 1 { format!(" in {} processes", setting.processes) } else { String::new() };
    let pipelined = if setting.pipelined { ", pipelined" } else { "" };
    format!("{}{processes}{pipelined}", setting.connections)
}

fn found(measured: &[Measured]) -> Vec<(&About, &Finding)> {
    measured.iter().filter_map(|one| one.finding.as_ref().ok().map(|finding| (&one.about, finding))).collect()
}

fn named<'a>(measured: &'a [Measured], name: &str) -> Option<&'a Finding> {
    found(measured).into_iter().find(|(about, _)| about.name == name).map(|(_, finding)| finding)
}

/// The fastest peer on PostgreSQL with a safe order, by its source and by what the reader saw.
fn best_safe_peer(measured: &[Measured]) -> Option<(&About, &Finding)> {
    let safe = found(measured).into_iter().filter(|(about, finding)| {
        !about.is_ours() && about.on_postgres && about.promise == Promise::Safe && finding.order.missed() == Some(0)
    });
    safe.max_by(|one, other| one.1.many.total_cmp(&other.1.many))
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head);
    table
}

fn number(value: f64) -> Cell {
    Cell::new(format!("{value:.0}")).set_alignment(CellAlignment::Right)
}

fn rates(measured: &[Measured]) -> Table {
    let mut rates =
        table(&["", "64 in flight", "1 in flight", "Apex at 64", "connections", "retries", "skipped by a reader"]);
    let ours = named(measured, "Apex").map_or(f64::NAN, |ours| ours.many);
    let mut by_rate = found(measured);
    by_rate.sort_by(|one, other| other.1.many.total_cmp(&one.1.many));
    for (about, finding) in by_rate {
        let order = finding.order;
        let missed =
            order.missed().map_or("cannot read all".to_owned(), |missed| format!("{missed} of {}", order.written));
        rates.add_row(vec![
            Cell::new(format!("{} {}", about.name, if about.is_ours() { "" } else { about.version }).trim()),
            number(finding.many),
            number(finding.one),
            Cell::new(format!("{:.1} x", ours / finding.many)).set_alignment(CellAlignment::Right),
            Cell::new(setting(finding.setting)),
            number(finding.retries as f64),
            Cell::new(missed).set_alignment(CellAlignment::Right),
        ]);
    }
    rates
}

fn guarantees(measured: &[Measured]) -> Table {
    let mut guarantees = table(&["", "operation", "order", "because", "versions", "retries", "durable"]);
    for about in measured.iter().map(|one| &one.about) {
        let told = [about.name, about.operation, about.order_word, about.order_because, about.versions, about.retries];
        guarantees.add_row(told.into_iter().chain([about.durable]));
    }
    guarantees.set_width(180);
    guarantees
}

pub(crate) fn print(measured: &[Measured], rounds: u64) {
    println!(
        "\nAppends per second, each of one event of about 400 bytes to a new stream; medians of {rounds} round(s)"
    );
    println!("{}", rates(measured));
    for one in measured {
        match &one.finding {
            Ok(finding) => println!("{}: all {} acknowledged appends are stored", one.about.name, finding.acknowledged),
            Err(why) => println!("{}: not measured: {why}", one.about.name),
        }
    }
    println!("\nGuarantees, according to the source");
    println!("{}", guarantees(measured));
    if named(measured, "raw INSERT").and_then(|raw| raw.order.missed()) == Some(0) {
        println!(
            "The reader of raw INSERTs skipped nothing, but it should have: the numbers of skipped events prove nothing."
        );
    }
    let (Some(ours), Some((peer, theirs))) = (named(measured, "Apex"), best_safe_peer(measured)) else {
        println!("No peer on PostgreSQL with a safe order was measured.");
        return;
    };
    let ratio = ours.many / theirs.many;
    let verdict = if ratio >= GOAL { "reached" } else { "missed" };
    println!(
        "Apex appends {ratio:.1} times as fast as {}, the fastest on PostgreSQL with a safe order; the goal of {GOAL:.0} times is {verdict}.",
        peer.name
    );
}

fn row(case: String, rounds: u64, ours: f64, baseline: f64, guarantee: &str) -> Value {
    json!({
        "case": case, "unit": "events/s", "rounds": rounds, "ours": ours.round(), "baseline": baseline.round(),
        "ratio": (ours / baseline * 1000.0).round() / 1000.0, "guarantee": guarantee,
    })
}

/// A row for each peer and case, in the format of `benches/log.rs`; the baseline is the peer.
pub(crate) fn rows(measured: &[Measured], rounds: u64) -> Vec<Value> {
    let Some(ours) = named(measured, "Apex") else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for one in measured.iter().filter(|one| one.about.name != "Apex") {
        let (name, version) = (one.about.name, one.about.version);
        match &one.finding {
            Ok(theirs) => {
                let about = format!("1 event each; {name} {version}, connections: {}", setting(theirs.setting));
                let (many, one_each) = (format!("64 in flight, {about}"), format!("1 in flight, {about}"));
                rows.push(row(many, rounds, ours.many, theirs.many, &one.about.guarantee));
                rows.push(row(one_each, rounds, ours.one, theirs.one, &one.about.guarantee));
            }
            Err(why) => rows.push(json!({ "case": format!("{name} {version}"), "not measured": why })),
        }
    }
    if let Some((about, theirs)) = best_safe_peer(measured) {
        let case = format!("64 in flight, 1 event each; {}, the fastest on PostgreSQL with a safe order", about.name);
        rows.push(row(case, rounds, ours.many, theirs.many, &about.guarantee));
    }
    rows
}
