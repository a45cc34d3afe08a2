use super::fixture::{Call, call, compare_within, day, expected, figure};
use crate::invoice::{Figure, InvoiceLine, rounding_of};
use crate::meter::Meter::{self, CacheRead, Input, Output};
use crate::testing::{name, usage};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn some_call() -> impl Strategy<Value = Call> {
    let quantity = || 0_u64..50;
    (1_u32..4, option::of(Just("batch")), quantity(), quantity(), quantity()).prop_map(
        |(of, tier, input, output, cached)| {
            let usage = usage([(Input, input * 1_000), (Output, output * 777), (CacheRead, cached * 1_000)]);
            Call { tier, usage, ..call(of, []) }
        },
    )
}

/// Lines that are near to what is expected, or not: with and without a model, a meter, a quantity and an amount.
fn some_line() -> impl Strategy<Value = InvoiceLine> {
    let meter = option::weighted(0.9, select(vec![Input, Output, CacheRead, Meter::Requests]));
    let model = option::weighted(0.9, select(vec!["gpt-4o", "gpt-4o-2024-08-06", "o3"]));
    let units = prop_oneof![0_u64..50, Just(777), Just(1_000)];
    let amount = option::weighted(0.9, -3_i128..60);
    (1_u32..5, meter, model, option::weighted(0.9, units), amount, option::weighted(0.2, Just("batch"))).prop_map(
        |(of, meter, model, units, amount, tier)| InvoiceLine {
            line: 1,
            day: day(of),
            model: model.map(name),
            meter,
            quantity: units.map(|units| Figure::from_units(units * 1_000)),
            // A third has no end as a decimal number.
            amount: amount.map(|thirds| Figure::from_pico(thirds * 1_000_000_000_000 / 3)),
            tier: tier.map(name),
            reference: None,
        },
    )
}

fn numbered(lines: Vec<InvoiceLine>) -> Vec<InvoiceLine> {
    let numbered = lines.into_iter().zip(1..);
    let lines = numbered.map(|(line, number)| InvoiceLine { line: number, ..line });
    lines.filter(|line| line.quantity.is_some() || line.amount.is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_causes_add_up_to_the_difference_in_whatever_order_the_lines_are(
        calls in vec(some_call(), 0..12), lines in vec(some_line(), 0..14), copies in vec(any::<prop::sample::Index>(), 0..3),
        shuffled in any::<u64>(), places in 0_u8..=12,
    ) {
        let mut lines = lines;
        // Some lines are there twice.
        if !lines.is_empty() {
            for copy in copies {
                lines.push(copy.get(&lines).clone());
            }
        }
        let mut lines = numbered(lines);
        let tolerance = rounding_of(places);
        let found = compare_within(&lines, expected(&calls), tolerance);
        let billed: Figure = lines.iter().filter_map(|line| line.amount).sum();
        let all_are_stated = lines.iter().all(|line| line.amount.is_some());
        prop_assert!(!all_are_stated || found.summary.billed == billed);
        prop_assert_eq!(found.summary.difference, found.summary.billed - found.summary.expected);
        let of_variances: Figure = found.variances.iter().map(|one| one.difference).sum();
        prop_assert_eq!(of_variances, found.summary.difference);
        let of_causes: Figure = found.summary.causes.iter().map(|cause| cause.difference).sum();
        prop_assert_eq!(of_causes, found.summary.difference);
        for one in &found.variances {
            prop_assert_eq!(one.difference, one.billed - one.expected);
            prop_assert!(one.cause != crate::invoice::Cause::Rounding || !one.difference.is_zero());
        }
        // The order of the lines does not matter, nor does a second time.
        let mut seed = shuffled;
        lines.sort_by_key(|line| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(line.line));
            seed
        });
        let again = compare_within(&lines, expected(&calls), tolerance);
        prop_assert_eq!(&again.variances, &found.variances);
        prop_assert_eq!(again.summary.variances_hash, found.summary.variances_hash);
    }

    /// An invoice that bills what is expected, by meter and day, has no variance; and with one amount more it has one.
    #[test]
    fn an_invoice_that_is_right_has_no_variance(calls in vec(some_call(), 1..12), more in 1_i128..1_000_000) {
        let right = expected(&calls);
        let mut lines: Vec<_> = right.entries.iter().zip(1..).map(|(((day, model, meter), entry), number)| InvoiceLine {
            line: number,
            day: *day,
            model: model.clone(),
            meter: *meter,
            quantity: Some(entry.total.quantity),
            amount: Some(entry.total.amount),
            tier: None,
            reference: None,
        }).collect();
        prop_assert!(compare_within(&lines, right.clone(), Figure::ZERO).variances.is_empty());
        let Some(first) = lines.first_mut() else { return Ok(()) };
        let more = Figure::from_pico(more * 1_000_000);
        first.amount = first.amount.map(|amount| amount + more);
        let found = compare_within(&lines, right, Figure::ZERO);
        prop_assert_eq!(found.variances.len(), 1, "{:?}", found);
        prop_assert_eq!(found.variances[0].difference, more);
    }

    #[test]
    fn a_figure_is_read_as_it_is_written(pico in -10_i128.pow(36) + 1..10_i128.pow(36)) {
        let figure = Figure::from_pico(pico);
        prop_assert_eq!(Figure::parse(&figure.to_string()).unwrap(), figure);
        prop_assert!(figure.places() <= 12);
    }
}

/// The control: a variance that is not in the result is missed by the sum.
#[test]
fn a_variance_that_is_left_out_is_found() {
    let lines = [super::fixture::line(1, 1, Input, "1000", "5"), super::fixture::line(2, 1, Output, "7", "3")];
    let mut found = compare_within(&lines, expected(&[]), Figure::ZERO);
    let sum = |found: &crate::invoice::Reconciliation| found.variances.iter().map(|one| one.difference).sum::<Figure>();
    assert_eq!(sum(&found), found.summary.difference);
    found.variances.pop();
    assert_ne!(sum(&found), found.summary.difference);
}

#[test]
fn text_that_is_no_plain_decimal_is_no_figure() {
    for text in ["", "-", ".5", "5.", "1e3", "+1", "1,000", " 1", "0.1234567890123", "1234567890123456789012345", "٣"]
    {
        assert!(Figure::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(figure("-0.50").to_string(), "-0.5");
    assert_eq!((figure("0.50").places(), figure("7").places(), rounding_of(2).to_string()), (1, 0, "0.005".to_owned()));
    assert_eq!(rounding_of(12), Figure::ZERO);
}

/// So that what is computed of them can be read again from an event.
#[test]
fn a_figure_that_is_computed_is_in_range_or_none() {
    let largest = figure("999999999999999");
    assert_eq!(largest.times(1_000, 1), Some(figure("999999999999999000")));
    assert_eq!(largest.times(1_001, 1), None);
    assert_eq!((-largest).times(i128::MAX, 1), None);
    assert_eq!(largest.times(1, 0), None);
}
