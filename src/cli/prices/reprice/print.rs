//! What a repricing prints.

use super::{Done, MAX_NAMED, Reprice};
use crate::cli::output::{self, Format};
use commands::{PriceDifference, UnpricedBy, UnpricedCount};
use domain::Name;
use indicatif::HumanCount;
use serde_json::json;
use std::collections::BTreeMap;

/// The most models without a price, versions of the price book, and calls that could not be charged again, that a message lists.
const MAX_LISTED: usize = 10;

const HEADER: [&str; 7] = ["model", "day", "calls", "unpriced_before", "before", "after", "difference"];

impl Reprice {
    pub(super) fn print(&self, done: &Done) -> anyhow::Result<()> {
        let lines: Vec<_> = done.repriced.differences.iter().map(line).collect();
        let columns = HEADER.map(str::to_owned);
        match self.format {
            Format::Json => self.print_json(done, &lines)?,
            Format::Csv => output::csv(&columns, &lines)?,
            Format::Table => output::table(&columns, &lines, 2..HEADER.len())?,
        }
        self.describe(done);
        Ok(())
    }

    fn print_json(&self, done: &Done, lines: &[Vec<String>]) -> anyhow::Result<()> {
        let object = |line: &Vec<String>| {
            let fields = HEADER.iter().zip(line).map(|(name, value)| ((*name).to_owned(), json!(value)));
            fields.collect::<serde_json::Map<_, _>>()
        };
        let rows: Vec<_> = lines.iter().map(object).collect();
        let unpriced = done.repriced.unpriced.iter().map(|(by, count)| {
            let UnpricedBy { model, provider, reason } = by;
            let UnpricedCount { calls, charged } = count;
            json!({ "model": model, "provider": provider, "reason": reason, "calls": calls, "charged": charged })
        });
        let failed = done.failed.iter().map(|(call, reason)| json!({ "call": call, "reason": reason }));
        let versions = done.repriced.book_versions.iter();
        let versions = versions.map(|(version, calls)| json!({ "version": version, "calls": calls }));
        output::json(&json!({
            "currency": "USD",
            "applied": self.apply,
            "calls": done.repriced.calls,
            "book_versions": versions.collect::<Vec<_>>(),
            "differences": rows,
            "unpriced": unpriced.collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
            "more_failed": done.more_failed,
            "left_from": done.left_from,
        }))
    }

    fn describe(&self, done: &Done) {
        let (changed, seen) = (done.repriced.changed(), done.repriced.calls);
        let did = if self.apply { "were charged again" } else { "would be charged again" };
        say!("{changed} of {seen} calls {did} by {} of the price book.", versions(&done.repriced.book_versions));
        if done.repriced.book_versions.len() > 1 {
            say!("Prices changed meanwhile. Run the command again, so that all calls are charged by the same version.");
        }
        describe_unpriced(done);
        for (call, reason) in done.failed.iter().take(MAX_LISTED) {
            say!("not charged again: the call {call}: {reason}");
        }
        let more = done.failed.len().saturating_sub(MAX_LISTED) + done.more_failed;
        if more > 0 {
            say!("not charged again: {more} more calls; --format json names the first {MAX_NAMED}");
        }
        if let Some(from) = done.left_from {
            say!(
                "Calls that started at {} or later are left. To go on, run the command again with --from {0}.",
                from.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
            );
        }
        if !self.apply && changed > 0 {
            say!("Nothing was changed. To charge these calls again, add --apply --reason TEXT.");
        }
    }
}

/// The versions of the price book, with the number of calls that were looked at by each if there are several.
fn versions(of_calls: &BTreeMap<u64, u64>) -> String {
    if of_calls.len() <= 1 {
        return of_calls.keys().map(|version| format!("version {version}")).collect();
    }
    let mut shown: Vec<_> =
        of_calls.iter().take(MAX_LISTED).map(|(version, calls)| format!("{version} ({calls} calls)")).collect();
    if of_calls.len() > MAX_LISTED {
        shown.push(format!("and {} more", of_calls.len() - MAX_LISTED));
    }
    format!("versions {}", shown.join(", "))
}

/// Names the calls that have no price now, and says what to do about it.
fn describe_unpriced(done: &Done) {
    let mut unpriced: Vec<_> = done.repriced.unpriced.iter().collect();
    unpriced.sort_by_key(|(_, count)| std::cmp::Reverse(count.calls));
    let Some((first, _)) = unpriced.first() else { return };
    let sum = |of: fn(&UnpricedCount) -> u64| HumanCount(unpriced.iter().map(|(_, count)| of(count)).sum());
    let (calls, charged) = (sum(|count| count.calls), sum(|count| count.charged));
    say!("{calls} of these calls have no price now; {charged} of them keep the charge that they have:");
    for (by, count) in unpriced.iter().take(MAX_LISTED) {
        let model = by.model.as_ref().map_or("no model", Name::as_str);
        let provider = by.provider.as_ref().map_or("no provider", Name::as_str);
        say!("  {model} ({provider}): {}: {}", HumanCount(count.calls), by.reason);
    }
    if unpriced.len() > MAX_LISTED {
        say!("  and {} more; --format json lists all", unpriced.len() - MAX_LISTED);
    }
    let model = first.model.as_ref().map_or("MODEL", Name::as_str);
    say!(
        "`apex prices list --model '{model}'` lists the known prices. Set missing prices with `apex prices import TABLE.json \
         --effective-from DATE`, and run this command again."
    );
}

fn line(((model, day), difference): (&(Option<Name>, chrono::NaiveDate), &PriceDifference)) -> Vec<String> {
    let PriceDifference { calls, unpriced, before, after } = difference;
    let model = model.as_ref().map(ToString::to_string).unwrap_or_default();
    let sums = [before.to_string(), after.to_string(), difference.difference().to_string()];
    [model, day.to_string(), calls.to_string(), unpriced.to_string()].into_iter().chain(sums).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_versions_of_the_price_book_are_named_with_their_calls() {
        assert_eq!(versions(&[(7, 500)].into()), "version 7");
        assert_eq!(versions(&[(7, 500), (9, 3)].into()), "versions 7 (500 calls), 9 (3 calls)");
        let many: BTreeMap<_, _> = (1..=25).map(|version| (version, 1)).collect();
        assert!(versions(&many).ends_with(", 10 (1 calls), and 15 more"), "{}", versions(&many));
    }
}
