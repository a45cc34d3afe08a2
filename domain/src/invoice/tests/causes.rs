use super::fixture::{Call, batch, call, compare, compare_within, day, expected, figure, found, line};
use crate::invoice::{Figure, InvoiceLine, Reconciliation};
use crate::meter::Meter::{self, CacheRead, Input, Output};
use crate::testing::name;

/// What an invoice that is right says of a million input and 100,000 output tokens.
fn right() -> [InvoiceLine; 2] {
    [line(1, 1, Input, "1000000", "2"), line(2, 1, Output, "100000", "1")]
}

/// The calls of it, none of which has a long context.
fn whole() -> Vec<Call> {
    let mut all = vec![call(1, [(Input, 150_000), (Output, 40_000)]), call(1, [(Input, 150_000), (Output, 60_000)])];
    all.extend((0..7).map(|_| call(1, [(Input, 100_000)])));
    all
}

#[track_caller]
fn assert_found(reconciliation: &Reconciliation, right: &[(&str, Option<u32>, &str)]) {
    let right: Vec<_> =
        right.iter().map(|(cause, line, difference)| (*cause, *line, (*difference).to_owned())).collect();
    assert_eq!(found(reconciliation), right, "{reconciliation:#?}");
    let sum: Figure = reconciliation.variances.iter().map(|one| one.difference).sum();
    assert_eq!(sum, reconciliation.summary.difference);
}

#[test]
fn an_invoice_that_is_right_has_no_variance() {
    let reconciliation = compare(&right(), &whole());
    assert_found(&reconciliation, &[]);
    let summary = reconciliation.summary;
    assert_eq!((summary.billed, summary.expected, summary.calls), (figure("3"), figure("3"), 9));
    assert!(summary.causes.is_empty());
}

#[test]
fn what_only_one_side_has_is_missing() {
    let [input, output] = right();
    assert_found(&compare(std::slice::from_ref(&input), &whole()), &[("missing", None, "-1")]);
    let unknown = InvoiceLine { model: Some(name("o3")), ..line(3, 2, Input, "10", "0.25") };
    let reconciliation = compare(&[input, output, unknown], &whole());
    assert_found(&reconciliation, &[("missing", Some(3), "0.25")]);
    let variance = &reconciliation.variances[0];
    assert_eq!((variance.billed_quantity, variance.expected_quantity), (Some(figure("10")), None));
    assert!(variance.detail.contains("no calls were recorded"), "{variance:?}");
}

#[test]
fn the_same_line_twice_is_a_duplicate_and_two_lines_that_are_half_are_not() {
    let [input, output] = right();
    let again = InvoiceLine { line: 9, ..output.clone() };
    let reconciliation = compare(&[again, input.clone(), output], &whole());
    assert_found(&reconciliation, &[("duplicate", Some(9), "1")]);
    assert_eq!(reconciliation.variances[0].detail, "equal to line 2");
    let halves = [line(2, 1, Output, "50000", "0.5"), line(3, 1, Output, "50000", "0.5")];
    assert_found(&compare(&[vec![input], halves.to_vec()].concat(), &whole()), &[]);
}

#[test]
fn a_multiple_is_a_duplicate_of_either_side() {
    let [input, _] = right();
    let twice = line(2, 1, Output, "200000", "2");
    assert_found(&compare(&[input.clone(), twice], &whole()), &[("duplicate", Some(2), "1")]);
    // Six of the same calls were charged, and three of them billed.
    let charged: Vec<_> = (0..6).map(|_| call(1, [(Output, 10_000)])).collect();
    let reconciliation = compare(&[line(1, 1, Output, "30000", "0.3")], &charged);
    assert_found(&reconciliation, &[("duplicate", Some(1), "-0.3")]);
    assert!(reconciliation.variances[0].detail.starts_with("charged 2 times"), "{reconciliation:?}");
}

#[test]
fn another_rate_at_the_same_quantity_is_a_price() {
    let [input, _] = right();
    let costly = line(2, 1, Output, "100000", "1.2");
    let reconciliation = compare(&[input, costly], &whole());
    assert_found(&reconciliation, &[("price", Some(2), "0.2")]);
    assert_eq!(reconciliation.variances[0].detail, "billed at 12 USD for 1000000, expected 10 USD");
}

#[test]
fn the_rate_of_another_tier_is_named() {
    let [_, output] = right();
    let by_batch = line(1, 1, Input, "1000000", "1");
    let reconciliation = compare(&[by_batch, output.clone()], &whole());
    assert_found(&reconciliation, &[("tier", Some(1), "-1")]);
    assert_eq!(reconciliation.variances[0].detail, "billed at the rate of service_tier batch");
    let long = line(1, 1, Input, "1000000", "4");
    let reconciliation = compare(&[long, output], &whole());
    assert_found(&reconciliation, &[("tier", Some(1), "2")]);
    assert_eq!(reconciliation.variances[0].detail, "billed at the rate of context > 200000");
}

#[test]
fn a_batch_that_is_billed_as_standard_is_found_among_other_calls() {
    let charged = [call(1, [(Output, 50_000)]), batch(1, [(Output, 30_000)])];
    // 0.5 and 0.15 are expected.
    let reconciliation = compare(&[line(1, 1, Output, "80000", "0.8")], &charged);
    assert_found(&reconciliation, &[("tier", Some(1), "0.15")]);
    let charged = [call(1, [(Output, 50_000)]), batch(1, [(Output, 30_000)]), batch(1, [(Output, 1)])];
    let reconciliation = compare(&[line(1, 1, Output, "80001", "0.400005")], &charged);
    assert_eq!(found(&reconciliation)[0].0, "tier", "{reconciliation:?}");
}

#[test]
fn cached_tokens_that_are_billed_as_uncached_are_a_cache() {
    let charged = [call(1, [(Input, 40_000), (CacheRead, 60_000), (Output, 1_000)])];
    let lines = [line(1, 1, Input, "100000", "0.2"), line(2, 1, Output, "1000", "0.01")];
    let reconciliation = compare(&lines, &charged);
    // 60,000 more of input at 2 USD, and 60,000 fewer read from the cache at 0.5 USD for a million.
    assert_found(&reconciliation, &[("cache", Some(1), "0.12"), ("cache", None, "-0.03")]);
    // The other way round.
    let lines = [line(1, 1, CacheRead, "100000", "0.05"), line(2, 1, Output, "1000", "0.01")];
    let reconciliation = compare(&lines, &charged);
    assert_found(&reconciliation, &[("cache", None, "-0.08"), ("cache", Some(1), "0.02")]);
}

#[test]
fn a_duplicate_is_found_beside_a_cache() {
    let charged = [call(1, [(Input, 40_000), (CacheRead, 60_000), (Output, 1_500)])];
    let output = |number, quantity, amount| line(number, 1, Output, quantity, amount);
    let lines = [line(1, 1, Input, "100000", "0.2"), output(2, "1000", "0.01"), output(3, "500", "0.005")];
    let again = output(4, "500", "0.005");
    let reconciliation = compare(&[&lines[..], &[again]].concat(), &charged);
    let right = [("cache", Some(1), "0.12"), ("cache", None, "-0.03"), ("duplicate", Some(4), "0.005")];
    assert_found(&reconciliation, &right);
    assert_eq!(reconciliation.variances[2].detail, "equal to line 3");
}

#[test]
fn equal_lines_of_many_contents_are_each_found_with_the_first_one() {
    let charged: Vec<_> = (1..=300).map(|units| call(1, [(Output, units)])).collect();
    let of = |number: u32, units: u32| {
        // At 10 USD for a million.
        let amount = Figure::from_pico(i128::from(units) * 10_000_000);
        line(number, 1, Output, &units.to_string(), &amount.to_string())
    };
    let lines: Vec<_> = (1..=300).chain(1..=300).zip(1..).map(|(units, number)| of(number, units)).collect();
    let reconciliation = compare(&lines, &charged);
    assert_eq!(reconciliation.variances.len(), 300, "{:?}", reconciliation.summary);
    for one in &reconciliation.variances {
        let line = one.line.unwrap();
        assert_eq!((one.cause.as_str(), one.detail.clone()), ("duplicate", format!("equal to line {}", line - 300)));
    }
}

#[test]
fn a_cache_and_a_price_of_the_same_meter_are_two_variances() {
    let charged = [call(1, [(Input, 40_000), (CacheRead, 60_000)])];
    let reconciliation = compare(&[line(1, 1, Input, "100000", "0.3")], &charged);
    assert_found(&reconciliation, &[("cache", Some(1), "0.12"), ("price", Some(1), "0.1"), ("cache", None, "-0.03")]);
}

#[test]
fn another_quantity_is_valued_at_the_expected_rate_and_the_rest_is_a_price() {
    let [input, _] = right();
    let more = line(2, 1, Output, "130000", "1.3");
    assert_found(&compare(&[input.clone(), more], &whole()), &[("quantity", Some(2), "0.3")]);
    let more_and_costly = line(2, 1, Output, "130000", "1.56");
    let right = [("quantity", Some(2), "0.3"), ("price", Some(2), "0.26")];
    assert_found(&compare(&[input, more_and_costly], &whole()), &right);
}

#[test]
fn what_rounding_explains_is_rounding_and_not_more() {
    let charged = [call(1, [(Output, 12_345)])];
    let of = |amount: &str| {
        let lines = [line(1, 1, Output, "12345", amount)];
        compare_within(&lines, expected(&charged), figure("0.005"))
    };
    assert_found(&of("0.12"), &[("rounding", Some(1), "-0.00345")]);
    assert_found(&of("0.13"), &[("price", Some(1), "0.00655")]);
}

#[test]
fn lines_without_an_amount_count_at_the_rates_of_the_calls() {
    let quantities = [line(1, 1, Input, "1000000", ""), line(2, 1, Output, "100000", "")];
    let reconciliation = compare(&quantities, &whole());
    assert_found(&reconciliation, &[]);
    assert_eq!(reconciliation.summary.billed, figure("3"));
    let [input, _] = quantities;
    let reconciliation = compare(&[input.clone(), line(2, 1, Output, "130000", "")], &whole());
    assert_found(&reconciliation, &[("quantity", Some(2), "0.3")]);
    // A day without calls has the average rate of the period; a model without calls has none.
    let other_day = line(2, 2, Input, "1000", "");
    let unknown = InvoiceLine { model: Some(name("o3")), ..line(3, 2, Input, "7", "") };
    let output = line(4, 1, Output, "100000", "");
    let reconciliation = compare(&[input, other_day, unknown, output], &whole());
    assert_found(&reconciliation, &[("missing", Some(2), "0.002"), ("missing", Some(3), "0")]);
    assert_eq!(reconciliation.summary.unvalued_lines, 1);
}

#[test]
fn lines_without_a_quantity_are_compared_by_amount() {
    let [input, output] = right().map(|line| InvoiceLine { quantity: None, ..line });
    assert_found(&compare(&[input.clone(), output.clone()], &whole()), &[]);
    let more = InvoiceLine { amount: Some(figure("1.1")), ..output.clone() };
    assert_found(&compare(&[input.clone(), more], &whole()), &[("quantity", Some(2), "0.1")]);
    let twice = InvoiceLine { amount: Some(figure("2")), ..output.clone() };
    assert_found(&compare(&[input.clone(), twice], &whole()), &[("duplicate", Some(2), "1")]);
    let by_batch = InvoiceLine { amount: Some(figure("0.5")), ..output };
    assert_found(&compare(&[input, by_batch], &whole()), &[("tier", Some(2), "-0.5")]);
}

#[test]
fn lines_without_a_model_or_a_meter_are_compared_with_all_of_them() {
    let of_all_models =
        |meter: Meter, quantity, amount| InvoiceLine { model: None, ..line(1, 1, meter, quantity, amount) };
    let lines = [of_all_models(Input, "1000000", "2"), of_all_models(Output, "100000", "1")];
    assert_found(&compare(&lines, &whole()), &[]);
    let of_all_meters = InvoiceLine { meter: None, ..line(1, 1, Input, "", "3.5") };
    assert_found(&compare(std::slice::from_ref(&of_all_meters), &whole()), &[("quantity", Some(1), "0.5")]);
    let of_the_day = InvoiceLine { model: None, amount: Some(figure("3")), ..of_all_meters };
    assert_found(&compare(&[of_the_day], &whole()), &[]);
}

#[test]
fn only_calls_of_the_provider_are_expected() {
    let mut expected = expected(&whole());
    expected.add_unpriced(Some(&name("OpenAI")));
    expected.add_unpriced(Some(&name("anthropic")));
    expected.add_unpriced(None);
    let noon = day(1).and_hms_opt(12, 0, 0).unwrap().and_utc();
    expected.add_cost(noon, (Some(&name("anthropic")), Some(&name("claude"))), 5).unwrap();
    let reconciliation = compare_within(&right(), expected, Figure::ZERO);
    assert_found(&reconciliation, &[]);
    assert_eq!((reconciliation.summary.unpriced_calls, reconciliation.summary.calls), (1, 9));
}

#[test]
fn a_cost_whose_components_are_not_known_is_that_of_the_model_of_the_price_book() {
    let mut expected = expected(&[]);
    let of = |model: &str| (Some(name("openai")), Some(name(model)));
    for model in ["gpt-4o-2024-08-06", "gpt-4o"] {
        let (provider, model) = of(model);
        expected.add_cost(super::fixture::noon(day(1)), (provider.as_ref(), model.as_ref()), 5).unwrap();
    }
    let all_meters = InvoiceLine { meter: None, ..line(1, 1, Input, "", "0.00000000001") };
    assert_found(&compare_within(&[all_meters], expected, Figure::ZERO), &[]);
}
