//! All faults, again and again, for as long as asked; and the table at the end.

use crate::checker::Violation;
use crate::faults::Fault;
use crate::naive::Plant;
use crate::runtime;
use crate::stage::{Tally, run as strike};
use comfy_table::Table;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long one fault strikes before the next has its turn.
const TURN: Duration = Duration::from_secs(4);

/// The first few, and how many more there are.
pub(crate) fn first(violations: &[Violation]) -> String {
    let mut lines: Vec<_> = violations.iter().take(5).map(ToString::to_string).collect();
    if violations.len() > lines.len() {
        lines.push(format!("and {} more", violations.len() - lines.len()));
    }
    lines.join("\n")
}

#[derive(Default)]
struct Row {
    tally: Tally,
    failures: Vec<String>,
}

/// Whether every promise was kept, and every planted bug found.
pub(crate) fn run(duration: Duration, seed: u64) -> bool {
    println!("chaos: seed {seed}, {} s", duration.as_secs());
    let begun = Instant::now();
    let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
    // Every fault has its turn, however short the time is.
    let turn = TURN.min(duration / u32::try_from(Fault::ALL.len()).unwrap_or(1));
    for number in 0.. {
        let index = number % Fault::ALL.len();
        if number >= Fault::ALL.len() && begun.elapsed() >= duration {
            break;
        }
        let (fault, seed) = (Fault::ALL[index], seed.wrapping_add(number as u64));
        let row = rows.entry(index).or_default();
        // A run of its own runtime: whatever becomes of it, nothing of it is left for the next.
        let ended = std::thread::spawn(move || runtime().block_on(strike(fault, turn, seed))).join();
        match ended {
            Ok(tally) => {
                if !tally.report.violations.is_empty() {
                    row.failures.push(format!("{} (seed {seed}): {}", fault.name(), first(&tally.report.violations)));
                }
                row.tally.injected += tally.injected;
                row.tally.report.add(tally.report);
            }
            Err(_) => row.failures.push(format!("{} (seed {seed}): it came to no end, see above", fault.name())),
        }
    }
    let holds = print(&rows);
    catch_plants(seed) && holds
}

/// The controls: what is wrong on purpose is found.
fn catch_plants(seed: u64) -> bool {
    let mut caught = 0;
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["planted bug", "acknowledged", "lost", "skipped", "duplicated", "caught"]);
    for plant in Plant::ALL {
        let ended = std::thread::spawn(move || runtime().block_on(plant.run(seed))).join();
        let is_found = ended.as_ref().is_ok_and(|report| plant.is_found(report));
        caught += usize::from(is_found);
        let report = ended.unwrap_or_default();
        let numbers = [report.acknowledged, report.lost, report.skipped, report.duplicated];
        let cells = numbers.map(|number| number.to_string());
        let verdict = if is_found { "yes" } else { "NO" }.to_owned();
        table.add_row(std::iter::once(plant.name().to_owned()).chain(cells).chain([verdict]));
    }
    let (found, all) = crate::planted::caught();
    println!("{table}");
    println!("planted bugs caught: {caught} of {} systems, {found} of {all} histories", Plant::ALL.len());
    caught == Plant::ALL.len() && found == all
}

fn print(rows: &BTreeMap<usize, Row>) -> bool {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["fault", "injected", "acknowledged", "lost", "skipped", "duplicated", "other", "failed runs"]);
    let mut failures = Vec::new();
    for (index, row) in rows {
        let Tally { injected, report, .. } = &row.tally;
        let counted = |violation: &&Violation| {
            matches!(violation, Violation::Lost { .. } | Violation::Skipped { .. } | Violation::Duplicated { .. })
        };
        let other = report.violations.len() - report.violations.iter().filter(counted).count();
        let numbers = [*injected, report.acknowledged, report.lost, report.skipped, report.duplicated, other as u64];
        let cells = numbers.into_iter().chain([row.failures.len() as u64]).map(|number| number.to_string());
        table.add_row(std::iter::once(Fault::ALL[*index].name().to_owned()).chain(cells));
        failures.extend(&row.failures);
    }
    println!("{table}");
    for failure in &failures {
        println!("{failure}");
    }
    failures.is_empty()
}
