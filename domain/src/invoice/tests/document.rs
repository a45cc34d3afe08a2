//! The figures in the document are those that a comparison gives.

use super::fixture::{Call, batch, call, compare, line};
use crate::meter::Meter;

/// The words of the parts of a cell, which are separated by commas.
fn parts(cell: &str) -> Vec<Vec<&str>> {
    let texts = cell.split(',').map(|part| part.trim().trim_matches('`'));
    texts.filter(|part| !part.is_empty() && *part != "nothing").map(|part| part.split(' ').collect()).collect()
}

fn of_call(words: &[&str]) -> Call {
    match words {
        [meter, quantity] => call(1, [(meter.parse().unwrap(), quantity.parse().unwrap())]),
        ["batch", meter, quantity] => batch(1, [(meter.parse().unwrap(), quantity.parse().unwrap())]),
        _ => panic!("{words:?} is no call"),
    }
}

#[test]
fn the_examples_of_the_document_are_what_a_comparison_finds() {
    let document = include_str!("../../../../docs/invoices.md");
    let (_, examples) = document.split_once("| example | the invoice bills |").unwrap();
    let rows: Vec<_> = examples.lines().skip(2).take_while(|row| row.starts_with('|')).collect();
    assert!(rows.len() >= 9, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, billed, calls, variances] = cells[..] else { panic!("{row}") };
        let lines: Vec<_> = parts(billed)
            .iter()
            .zip(1..)
            .map(|(words, number)| line(number, 1, words[0].parse::<Meter>().unwrap(), words[1], words[2]))
            .collect();
        let calls: Vec<_> = parts(calls).iter().map(|words| of_call(words)).collect();
        let found = compare(&lines, &calls).variances;
        let found: Vec<_> = found
            .iter()
            .map(|one| format!("{} {} {}", one.cause, one.meter.map_or("", Meter::name), one.difference))
            .collect();
        let right: Vec<_> = parts(variances).iter().map(|words| words.join(" ")).collect();
        assert_eq!(found, right, "{row}");
    }
}
