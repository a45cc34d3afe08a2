use super::*;
use proptest::collection::btree_map;
use proptest::prelude::*;

fn sum(text: &str) -> Sum {
    Sum::parse(text).unwrap()
}

fn weights(of: &[(&'static str, &str)]) -> BTreeMap<&'static str, Sum> {
    of.iter().map(|(key, weight)| (*key, sum(weight))).collect()
}

fn total<K>(parts: &BTreeMap<K, Sum>) -> Sum {
    parts.values().fold(Sum::default(), |mut total, part| {
        total += part;
        total
    })
}

fn parts(amount: &str, digits: u32, of: &[(&'static str, &str)]) -> Vec<String> {
    split(&sum(amount), digits, &weights(of)).unwrap().values().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_over_goes_to_the_largest_remainders_and_of_equal_ones_to_the_lower_key() {
    // 3.3333… each: one cent is left over.
    assert_eq!(parts("10", 2, &[("c", "1"), ("a", "1"), ("b", "1")]), ["3.34", "3.33", "3.33"]);
    // 16.666…, 33.333… and 50: the largest remainder is that of the first.
    assert_eq!(parts("100", 2, &[("a", "1"), ("b", "2"), ("c", "3")]), ["16.67", "33.33", "50"]);
    // 0.4, 0.4 and 0.2 of a unit: the unit is that of the lower of the two keys.
    assert_eq!(parts("0.000000000001", 12, &[("a", "2"), ("b", "2"), ("c", "1")]), ["0.000000000001", "0", "0"]);
    assert_eq!(parts("-10", 2, &[("a", "1"), ("b", "1"), ("c", "1")]), ["-3.34", "-3.33", "-3.33"]);
    assert_eq!(parts("0", 2, &[("a", "1"), ("b", "0")]), ["0", "0"]);
    assert_eq!(
        parts("7000", 0, &[("a", "0.000000000001"), ("b", "0"), ("c", "0.000000000006")]),
        ["1000", "0", "6000"]
    );
}

#[test]
fn what_cannot_be_split_is_refused() {
    let refused =
        |amount: &str, digits, of: &[(&'static str, &str)]| split(&sum(amount), digits, &weights(of)).unwrap_err();
    assert_eq!(refused("1", 2, &[]), SplitError::NoWeight(sum("1")));
    assert_eq!(refused("0", 2, &[("a", "0")]), SplitError::NoWeight(sum("0")));
    assert_eq!(refused("1", 2, &[("a", "2"), ("b", "-1")]), SplitError::NegativeWeight(sum("-1")));
    assert_eq!(refused("0.001", 2, &[("a", "1")]), SplitError::TooFine { amount: sum("0.001"), digits: 2 });
}

#[test]
fn amounts_are_rounded_so_that_they_add_up_to_the_rounded_sum() {
    let round = |digits, of: &[(&'static str, &str)]| {
        round_together(&weights(of), digits).values().map(ToString::to_string).collect::<Vec<_>>()
    };
    // Rounded alone, each would be 0.33, and the sum 0.99.
    let third = "0.333333333333";
    assert_eq!(round(2, &[("a", third), ("b", third), ("c", "0.333333333334")]), ["0.33", "0.33", "0.34"]);
    assert_eq!(round(2, &[("a", "1.005"), ("b", "-1.005"), ("c", "0")]), ["1.01", "-1.01", "0"]);
    assert_eq!(round(0, &[("a", "0.5")]), ["0"]);
    assert_eq!(round(0, &[("a", "1.5")]), ["2"]);
    assert_eq!(round(2, &[]), Vec::<String>::new());
}

/// The planted fault: each part is rounded down, and what is left over is lost.
fn truncated(amount: &Sum, digits: u32, weights: &BTreeMap<u8, Sum>) -> BTreeMap<u8, Sum> {
    let total = weights.values().fold(BigDecimal::default(), |total, weight| total + weight.as_number());
    let part = |weight: &Sum| {
        let (numerator, denominator) = (amount.as_number() * weight.as_number(), total.clone());
        Sum::from((numerator / denominator).with_scale(digits.into()))
    };
    weights.iter().map(|(key, weight)| (*key, part(weight))).collect()
}

#[test]
fn truncation_is_found() {
    let weights: BTreeMap<u8, Sum> = (0..3).map(|key| (key, sum("1"))).collect();
    assert_ne!(total(&truncated(&sum("10"), 2, &weights)), sum("10"));
    assert_eq!(total(&split(&sum("10"), 2, &weights).unwrap()), sum("10"));
}

/// Amounts of up to 33 digits before the point.
fn amounts() -> impl Strategy<Value = Sum> {
    let huge = (any::<i128>(), 0_i64..=12)
        .prop_map(|(units, scale)| Sum::from(BigDecimal::new((units / 100_000).into(), scale)));
    let small =
        (-1_000_i128..1_000, 0_i64..=12).prop_map(|(units, scale)| Sum::from(BigDecimal::new(units.into(), scale)));
    prop_oneof![huge, small]
}

fn all_weights() -> impl Strategy<Value = BTreeMap<u8, Sum>> {
    let weight = prop_oneof![
        Just(Sum::default()),
        (1_u64..5).prop_map(|weight| Sum::from(BigDecimal::from(weight))),
        amounts().prop_map(|amount| Sum::from(amount.as_number().abs())),
    ];
    btree_map(any::<u8>(), weight, 1..40)
}

proptest! {
    #[test]
    fn parts_add_up_and_are_within_a_unit_of_the_exact_share(
        amount in amounts(), weights in all_weights(), more_digits in 0_u32..3,
    ) {
        let digits = MONEY_DIGITS + more_digits;
        let all = total(&weights);
        prop_assume!(!all.is_zero());
        let parts = split(&amount, digits, &weights).unwrap();
        prop_assert_eq!(total(&parts), amount.clone());
        prop_assert!(parts.keys().eq(weights.keys()));
        for (key, part) in &parts {
            // |part × all − amount × weight| < unit × all
            let exact = amount.as_number() * weights[key].as_number();
            let difference = (part.as_number() * all.as_number() - exact).abs();
            prop_assert!(difference < all.as_number() * BigDecimal::new(1.into(), digits.into()));
            prop_assert!(!weights[key].is_zero() || part.is_zero());
        }
        let opposite = Sum::from(-amount.as_number().clone());
        let mirrored = split(&opposite, digits, &weights).unwrap();
        prop_assert!(mirrored.values().zip(parts.values()).all(|(a, b)| *a == Sum::from(-b.as_number().clone())));
    }

    #[test]
    fn rounded_amounts_add_up_to_the_rounded_sum(
        amounts in btree_map(any::<u8>(), amounts(), 0..40), digits in 0_u32..=12,
    ) {
        let rounded = round_together(&amounts, digits);
        let expected = total(&amounts).into_number().with_scale_round(digits.into(), RoundingMode::HalfEven);
        prop_assert_eq!(total(&rounded), Sum::from(expected));
        for (key, amount) in &amounts {
            let difference = (rounded[key].as_number() - amount.as_number()).abs();
            prop_assert!(difference < BigDecimal::new(1.into(), digits.into()));
        }
    }
}
