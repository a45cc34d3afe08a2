//! A long run: all faults in turn for a given time, and a table of the results.

use crate::checker::Violation;
use crate::faults::Fault;
use crate::naive::BrokenSystem;
use crate::run::{self, RunConfig, RunSummary};
use crate::runtime;
use comfy_table::Table;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long each fault is injected before the next.
const TURN: Duration = Duration::from_secs(4);

/// The first violations, and the number of the others.
pub(crate) fn first(violations: &[Violation]) -> String {
    let mut lines: Vec<_> = violations.iter().take(5).map(ToString::to_string).collect();
    if violations.len() > lines.len() {
        lines.push(format!("and {} more", violations.len() - lines.len()));
    }
    lines.join("\n")
}

#[derive(Default)]
struct Row {
    summary: RunSummary,
    failures: Vec<String>,
}

/// Runs and prints the table. Returns whether no guarantee was violated and every planted bug was found.
pub(crate) fn run(duration: Duration, seed: u64) -> bool {
    println!("chaos: seed {seed}, {} s", duration.as_secs());
    let started = Instant::now();
    let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
    // Every fault is injected, however short the time is.
    let turn = TURN.min(duration / u32::try_from(Fault::ALL.len()).unwrap_or(1));
    for number in 0.. {
        let index = number % Fault::ALL.len();
        if number >= Fault::ALL.len() && started.elapsed() >= duration {
            break;
        }
        let (fault, seed) = (Fault::ALL[index], seed.wrapping_add(number as u64));
        let row = rows.entry(index).or_default();
        // On a runtime of its own, so that no task of it remains.
        let result = std::thread::spawn(move || runtime().block_on(run::run(&RunConfig::of(fault, turn), seed))).join();
        match result {
            Ok(summary) => {
                if !summary.report.violations.is_empty() {
                    row.failures.push(format!("{} (seed {seed}): {}", fault.name(), first(&summary.report.violations)));
                }
                if summary.time_reversals > 0 {
                    row.failures.push(format!(
                        "{} (seed {seed}): recorded_at decreased {} times",
                        fault.name(),
                        summary.time_reversals
                    ));
                }
                row.summary.injected += summary.injected;
                row.summary.report.add(summary.report);
            }
            Err(_) => row.failures.push(format!("{} (seed {seed}): the run panicked, see above", fault.name())),
        }
    }
    let holds = print(&rows);
    find_planted_bugs(seed) && holds
}

/// The controls: every planted bug is found.
fn find_planted_bugs(seed: u64) -> bool {
    let mut found = 0;
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["planted bug", "acknowledged", "lost", "skipped", "duplicated", "found"]);
    for system in BrokenSystem::ALL {
        let result = std::thread::spawn(move || runtime().block_on(system.run(seed))).join();
        let is_found = result.as_ref().is_ok_and(|report| system.is_found(report));
        found += usize::from(is_found);
        let report = result.unwrap_or_default();
        let numbers = [report.acknowledged, report.lost, report.skipped, report.duplicated];
        let cells = numbers.map(|number| number.to_string());
        let verdict = if is_found { "yes" } else { "NO" }.to_owned();
        table.add_row(std::iter::once(system.name().to_owned()).chain(cells).chain([verdict]));
    }
    let (histories, decisions) = (crate::planted::count_found(), crate::planted_decisions::count_found());
    let (histories, all) = (histories.0 + decisions.0, histories.1 + decisions.1);
    println!("{table}");
    println!("planted bugs found: {found} of {} systems, {histories} of {all} histories", BrokenSystem::ALL.len());
    found == BrokenSystem::ALL.len() && histories == all
}

fn print(rows: &BTreeMap<usize, Row>) -> bool {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["fault", "injected", "acknowledged", "lost", "skipped", "duplicated", "other", "failed runs"]);
    let mut failures = Vec::new();
    for (index, row) in rows {
        let RunSummary { injected, report, .. } = &row.summary;
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
