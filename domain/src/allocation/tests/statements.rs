use super::super::*;
use crate::text::{CostCentreCode, Name};
use crate::{Meter, Sum};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Row = (Vec<Option<String>>, AllocatedUsage);

fn code(text: &str) -> CostCentreCode {
    CostCentreCode::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn sum(text: &str) -> Sum {
    Sum::parse(text).unwrap()
}

fn rule_set(codes: &[&str], rules: Vec<AllocationRule>, shared_cost: SharedCost) -> AllocationRuleSet {
    let cost_centres = codes.iter().map(|of| CostCentre { code: code(of), name: name(of) }).collect();
    AllocationRuleSet { cost_centres, rules, shared_cost }
}

fn usage(cost: &str, calls: i128, unpriced_calls: i128, output: i128) -> AllocatedUsage {
    let mut quantities = [0; Meter::COUNT];
    quantities[Meter::Output as usize] = output;
    AllocatedUsage { calls, unpriced_calls, cost: sum(cost), quantities, ..AllocatedUsage::default() }
}

fn row(keys: &[Option<&str>], usage: AllocatedUsage) -> Row {
    (keys.iter().map(|key| key.map(str::to_owned)).collect(), usage)
}

fn allocate(rules: &AllocationRuleSet, dimensions: &[AllocationDimension], rows: &[Row]) -> Allocation {
    let mut allocator = Allocator::new(rules, dimensions);
    rows.iter().for_each(|(keys, usage)| allocator.add(keys, usage));
    allocator.finish().unwrap()
}

/// The code, the direct cost, the part of the shared cost, and the total of each statement.
fn figures(allocation: &Allocation) -> Vec<[String; 4]> {
    let figures = |statement: &CostStatement| {
        let [direct, shared, total] = [&statement.direct.cost, &statement.shared.cost, &statement.total];
        [statement.cost_centre.code.to_string(), direct.to_string(), shared.to_string(), total.to_string()]
    };
    allocation.statements.iter().map(figures).collect()
}

/// Why the statements do not add up; none if they do.
fn fault(allocation: &Allocation) -> Option<String> {
    let all = |of: &dyn Fn(&CostStatement) -> Sum| {
        allocation.statements.iter().fold(Sum::default(), |mut sum, statement| {
            sum += &of(statement);
            sum
        })
    };
    let mut assigned = allocation.shared.usage.clone();
    for statement in &allocation.statements {
        let mut lines = AllocatedUsage::default();
        statement.lines.iter().for_each(|line| lines.add(&line.usage));
        if lines != statement.direct {
            return Some(format!("the lines of {} do not add up", statement.cost_centre.code));
        }
        assigned.add(&statement.direct);
        let mut total = statement.direct.cost.clone();
        total += &statement.shared.cost;
        if total != statement.total {
            return Some(format!("the total of {} is not direct and shared", statement.cost_centre.code));
        }
    }
    if assigned != allocation.total {
        return Some("usage was not assigned once".to_owned());
    }
    let [shared, base] = [all(&|of| of.shared.cost.clone()), all(&|of| of.shared.base.clone())];
    if shared != allocation.shared.usage.cost || base != allocation.shared.base {
        return Some(format!("parts of {shared} are shared of {}", allocation.shared.usage.cost));
    }
    let total = all(&|of| of.total.clone());
    (total != allocation.total.cost).then(|| format!("{total} instead of {}", allocation.total.cost))
}

#[test]
fn the_first_rule_that_assigns_usage_decides_and_the_rest_is_shared() {
    let (team, model) = (AllocationDimension::Team, AllocationDimension::Model);
    let rules = rule_set(
        &["CC-2", "CC-1", "CC-3"],
        vec![
            AllocationRule::Match {
                when: [(team.clone(), name("search")), (model.clone(), name("gpt"))].into(),
                cost_centre: code("CC-1"),
            },
            AllocationRule::Values { dimension: team.clone(), cost_centres: [(name("search"), code("CC-2"))].into() },
            AllocationRule::Codes { dimension: team.clone() },
        ],
        SharedCost::InEqualParts,
    );
    rules.check().unwrap();
    let rows = [
        row(&[Some("search"), Some("gpt")], usage("10", 1, 0, 5)),
        row(&[Some("search"), Some("claude")], usage("20", 1, 0, 0)),
        row(&[Some("search"), None], usage("0.5", 2, 1, 0)),
        row(&[Some("CC-3"), Some("gpt")], usage("1", 1, 0, 0)),
        // Neither the name of another team, nor a code in other letters, nor no value.
        row(&[Some("ads"), Some("gpt")], usage("6", 1, 0, 0)),
        row(&[Some("cc-3"), Some("gpt")], usage("3", 1, 0, 0)),
        row(&[None, Some("gpt")], usage("1", 3, 2, 0)),
    ];
    let allocation = allocate(&rules, &[team, model], &rows);
    assert_eq!(fault(&allocation), None);
    let expected = [
        ["CC-1", "10", "3.333333333334", "13.333333333334"],
        ["CC-2", "20.5", "3.333333333333", "23.833333333333"],
        ["CC-3", "1", "3.333333333333", "4.333333333333"],
    ];
    assert_eq!(figures(&allocation), expected);
    assert_eq!((allocation.shared.usage.calls, allocation.shared.usage.unpriced_calls), (5, 2));
    let lines = &allocation.statements[1].lines;
    assert_eq!((lines.len(), lines[0].rule, lines[0].value.as_deref()), (1, 2, Some("search")));
    assert_eq!((lines[0].usage.calls, lines[0].usage.unpriced_calls), (3, 1));
    let rounded: Vec<_> = allocation.rounded(2).values().map(ToString::to_string).collect();
    assert_eq!(rounded, ["13.34", "23.83", "4.33"]);
}

#[test]
fn shared_cost_is_split_by_the_stated_key() {
    let team = AllocationDimension::Team;
    let rows = [
        row(&[Some("A")], usage("30", 1, 0, 100)),
        row(&[Some("B")], usage("10", 1, 0, 300)),
        row(&[None], usage("7", 1, 0, 9)),
    ];
    let shared = |shared_cost| {
        let rules = rule_set(&["A", "B", "C"], vec![AllocationRule::Codes { dimension: team.clone() }], shared_cost);
        let allocation = allocate(&rules, std::slice::from_ref(&team), &rows);
        assert_eq!(fault(&allocation), None);
        let parts = allocation.statements.iter().map(|statement| statement.shared.cost.to_string()).collect::<Vec<_>>();
        (parts, allocation.shared.base.to_string())
    };
    let expected = |parts: [&str; 3], base: &str| (parts.map(str::to_owned).to_vec(), base.to_owned());
    let third = "2.333333333333";
    assert_eq!(shared(SharedCost::InEqualParts), expected(["2.333333333334", third, third], "3"));
    assert_eq!(shared(SharedCost::ByDirectCost), expected(["5.25", "1.75", "0"], "40"));
    assert_eq!(shared(SharedCost::ByMeter { meter: Meter::Output }), expected(["1.75", "5.25", "0"], "400"));
    let weights = [(code("A"), 1), (code("C"), 6)].into();
    assert_eq!(shared(SharedCost::ByWeights { weights }), expected(["1", "0", "6"], "7"));
    assert_eq!(shared(SharedCost::To { cost_centre: code("C") }), expected(["0", "0", "7"], "1"));
}

#[test]
fn shared_cost_is_split_in_equal_parts_if_no_cost_centre_has_any_of_the_key() {
    let team = AllocationDimension::Team;
    for (shared_cost, direct) in [
        (SharedCost::ByDirectCost, usage("0", 1, 1, 5)),
        (SharedCost::ByMeter { meter: Meter::Output }, usage("5", 1, 0, 0)),
        // Below zero is no share.
        (SharedCost::ByDirectCost, usage("-3", 1, 0, 5)),
    ] {
        let rules = rule_set(&["A", "B"], vec![AllocationRule::Codes { dimension: team.clone() }], shared_cost);
        let rows = [row(&[Some("A")], direct), row(&[None], usage("0.000000000003", 1, 0, 1))];
        let allocation = allocate(&rules, std::slice::from_ref(&team), &rows);
        assert_eq!(fault(&allocation), None);
        assert!(allocation.shared.is_in_equal_parts_instead);
        let parts: Vec<_> = allocation.statements.iter().map(|of| of.shared.cost.to_string()).collect();
        assert_eq!(parts, ["0.000000000002", "0.000000000001"]);
    }
}

#[test]
fn a_correction_below_zero_is_assigned_and_shared_as_it_is() {
    let team = AllocationDimension::Team;
    let rules =
        rule_set(&["A", "B"], vec![AllocationRule::Codes { dimension: team.clone() }], SharedCost::ByDirectCost);
    let rows = [
        row(&[Some("A")], usage("-4", -1, 0, 0)),
        row(&[Some("B")], usage("2", 1, 0, 0)),
        row(&[None], usage("-1.000000000001", -1, 0, 0)),
    ];
    let allocation = allocate(&rules, &[team], &rows);
    assert_eq!(fault(&allocation), None);
    let expected = [["A", "-4", "0", "-4"], ["B", "2", "-1.000000000001", "0.999999999999"]];
    assert_eq!(figures(&allocation), expected);
}

#[test]
fn the_cost_of_calls_without_a_price_is_unknown_and_not_zero() {
    let team = AllocationDimension::Team;
    let rules =
        |shared_cost| rule_set(&["A", "B", "C"], vec![AllocationRule::Codes { dimension: team.clone() }], shared_cost);
    let known = |shared_cost, rows: &[Row]| {
        let allocation = allocate(&rules(shared_cost), std::slice::from_ref(&team), rows);
        let total = |statement: &CostStatement| statement.known_total().map(ToString::to_string);
        allocation.statements.iter().map(total).collect::<Vec<_>>()
    };
    let (priced, unpriced) = (|key| row(&[key], usage("2", 2, 1, 0)), |key| row(&[key], usage("0", 2, 2, 0)));
    let some = |text: &str| Some(text.to_owned());
    let rows = [priced(Some("A")), unpriced(Some("B"))];
    assert_eq!(known(SharedCost::InEqualParts, &rows), [some("2"), None, some("0")]);
    // What is shared is unknown, and so is the total of one who has nothing else.
    let rows = [priced(Some("A")), unpriced(None)];
    assert_eq!(known(SharedCost::InEqualParts, &rows), [some("2"), None, None]);
    assert_eq!(known(SharedCost::To { cost_centre: code("B") }, &rows), [some("2"), None, some("0")]);
    let rows = [unpriced(Some("A")), priced(None)];
    assert_eq!(known(SharedCost::To { cost_centre: code("A") }, &rows), [some("2"), some("0"), some("0")]);
}

#[test]
fn a_part_of_calls_without_a_price_is_unknown_and_so_is_a_rounded_total_of_them() {
    let team = AllocationDimension::Team;
    let known = |shared_cost, rows: &[Row]| {
        let rules = rule_set(&["A", "B"], vec![AllocationRule::Codes { dimension: team.clone() }], shared_cost);
        let allocation = allocate(&rules, std::slice::from_ref(&team), rows);
        let part = |of: &CostStatement| of.shared.known_cost(&allocation.shared).map(ToString::to_string);
        let parts: Vec<_> = allocation.statements.iter().map(part).collect();
        (parts, allocation.rounded_total(2).map(|total| total.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    let (unpriced, to_one) = (row(&[None], usage("0", 2, 2, 0)), SharedCost::To { cost_centre: code("B") });
    let only_unpriced = std::slice::from_ref(&unpriced);
    assert_eq!(known(SharedCost::InEqualParts, only_unpriced), (vec![None, None], None));
    // One who has no part of it has none that is unknown.
    assert_eq!(known(to_one.clone(), only_unpriced), (vec![some("0"), None], None));
    let rows = [row(&[Some("A")], usage("2.015", 1, 0, 0)), unpriced];
    assert_eq!(known(to_one.clone(), &rows), (vec![some("0"), None], some("2.02")));
    let rows = [row(&[None], usage("2.005", 2, 1, 0))];
    assert_eq!(known(to_one.clone(), &rows), (vec![some("0"), some("2.005")], some("2")));
    assert_eq!(known(to_one, &[]), (vec![some("0"), some("0")], some("0")));
}

#[test]
fn a_fault_is_found() {
    let team = AllocationDimension::Team;
    let rules =
        rule_set(&["A", "B", "C"], vec![AllocationRule::Codes { dimension: team.clone() }], SharedCost::InEqualParts);
    let right =
        allocate(&rules, &[team], &[row(&[Some("A")], usage("2", 1, 0, 0)), row(&[None], usage("10", 1, 0, 0))]);
    assert_eq!(fault(&right), None);
    // Truncated: what is left over is lost.
    let mut truncated = right.clone();
    truncated.statements[0].shared.cost = truncated.statements[1].shared.cost.clone();
    truncated.statements[0].total = sum("5.333333333333");
    assert!(fault(&truncated).is_some_and(|fault| fault.contains("are shared of 10")));
    // Assigned twice: by a rule, and as a part of the rest.
    let mut twice = right.clone();
    twice.shared.usage.calls += 1;
    assert_eq!(fault(&twice).as_deref(), Some("usage was not assigned once"));
    let mut lost = right;
    lost.statements[0].lines.clear();
    assert_eq!(fault(&lost).as_deref(), Some("the lines of A do not add up"));
}

/// The dimensions of random rules and rows.
fn dimensions() -> impl Strategy<Value = Vec<AllocationDimension>> {
    let coarse = ["team", "user", "provider", "model"].map(|name| name.parse().unwrap());
    prop_oneof![Just(coarse.to_vec()), Just(vec!["tag:product".parse().unwrap()])]
}

const CODES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn codes() -> impl Strategy<Value = CostCentreCode> {
    prop::sample::select(&CODES[..]).prop_map(code)
}

/// Values, of which some are codes.
fn values() -> impl Strategy<Value = Name> {
    prop::sample::select(&["a", "b", "c", "x", "y", "z"][..]).prop_map(name)
}

fn rule(dimensions: Vec<AllocationDimension>) -> impl Strategy<Value = AllocationRule> {
    let dimension = prop::sample::select(dimensions);
    prop_oneof![
        (btree_map(dimension.clone(), values(), 1..3), codes())
            .prop_map(|(when, cost_centre)| AllocationRule::Match { when, cost_centre }),
        (dimension.clone(), btree_map(values(), codes(), 1..4))
            .prop_map(|(dimension, cost_centres)| AllocationRule::Values { dimension, cost_centres }),
        dimension.prop_map(|dimension| AllocationRule::Codes { dimension }),
    ]
}

fn shared_costs() -> impl Strategy<Value = SharedCost> {
    prop_oneof![
        Just(SharedCost::InEqualParts),
        Just(SharedCost::ByDirectCost),
        prop::sample::select(Meter::ALL).prop_map(|meter| SharedCost::ByMeter { meter }),
        btree_map(codes(), 1..=MAX_WEIGHT, 1..5).prop_map(|weights| SharedCost::ByWeights { weights }),
        codes().prop_map(|cost_centre| SharedCost::To { cost_centre }),
    ]
}

fn costs() -> impl Strategy<Value = Sum> {
    let of = |units: i128| Sum::from(bigdecimal::BigDecimal::new(units.into(), 12));
    prop_oneof![
        (-20_i128..20).prop_map(of),
        any::<i64>().prop_map(move |units| of(units.into())),
        any::<i128>().prop_map(move |units| of(units / 1_000)),
    ]
}

fn rows(width: usize) -> impl Strategy<Value = Vec<Row>> {
    let value = option::of(values().prop_map(|value| value.to_string()));
    let usage = (costs(), -5_i128..50, -5_i128..50, vec(-3_i128..1_000_000_000_000, Meter::COUNT));
    let usage = usage.prop_map(|(cost, calls, unpriced_calls, of_meters)| {
        let mut quantities = [0; Meter::COUNT];
        quantities.copy_from_slice(&of_meters);
        AllocatedUsage { calls, tool_calls: 1, unpriced_calls, cost, quantities }
    });
    vec((vec(value, width), usage), 0..30)
}

fn inputs() -> impl Strategy<Value = (Vec<AllocationDimension>, AllocationRuleSet, Vec<Row>)> {
    (dimensions(), shared_costs()).prop_flat_map(|(dimensions, shared_cost)| {
        let rows = rows(dimensions.len());
        (Just(dimensions.clone()), vec(rule(dimensions), 0..6), rows).prop_map(move |(dimensions, mut rules, rows)| {
            let mut by_code = BTreeSet::new();
            rules.retain(|rule| match rule {
                AllocationRule::Codes { dimension } => by_code.insert(dimension.clone()),
                AllocationRule::Match { .. } | AllocationRule::Values { .. } => true,
            });
            (dimensions, rule_set(&CODES, rules, shared_cost.clone()), rows)
        })
    })
}

/// The cost centre of a row, found in another way than by the allocator: none if its cost is shared.
fn owner(rules: &AllocationRuleSet, keys: &BTreeMap<&AllocationDimension, &str>) -> Option<String> {
    rules.rules.iter().find_map(|rule| match rule {
        AllocationRule::Match { when, cost_centre } => {
            let is_all = when.iter().all(|(of, value)| keys.get(of) == Some(&value.as_str()));
            is_all.then(|| cost_centre.to_string())
        }
        AllocationRule::Values { dimension, cost_centres } => {
            let found = cost_centres.iter().find(|(value, _)| keys.get(dimension) == Some(&value.as_str()));
            found.map(|(_, code)| code.to_string())
        }
        AllocationRule::Codes { dimension } => {
            keys.get(dimension).filter(|value| CODES.contains(value)).map(|value| (*value).to_owned())
        }
    })
}

proptest! {
    #[test]
    fn statements_add_up_to_the_total_under_every_rule((dimensions, rules, rows) in inputs()) {
        prop_assert_eq!(rules.check(), Ok(()));
        let allocation = allocate(&rules, &dimensions, &rows);
        prop_assert_eq!(fault(&allocation), None);
        let codes: Vec<_> = allocation.statements.iter().map(|of| of.cost_centre.code.to_string()).collect();
        prop_assert_eq!(codes, CODES);
        let mut total = AllocatedUsage::default();
        rows.iter().for_each(|(_, usage)| total.add(usage));
        prop_assert_eq!(&allocation.total, &total);
        for digits in [0, 2, 12] {
            let rounded = allocation.rounded(digits).into_values().fold(Sum::default(), |mut sum, part| {
                sum += &part;
                sum
            });
            let expected = total.cost.as_number().with_scale_round(digits.into(), bigdecimal::RoundingMode::HalfEven);
            prop_assert_eq!(&rounded, &Sum::from(expected));
            let known = total.known_cost().map(|_| rounded);
            prop_assert_eq!(allocation.rounded_total(digits), known);
        }
    }

    #[test]
    fn each_row_is_assigned_by_the_first_rule_that_does((dimensions, rules, rows) in inputs()) {
        let allocation = allocate(&rules, &dimensions, &rows);
        let mut expected: BTreeMap<Option<String>, AllocatedUsage> = BTreeMap::new();
        for (keys, usage) in &rows {
            let keys = dimensions.iter().zip(keys).filter_map(|(of, key)| Some((of, key.as_deref()?))).collect();
            expected.entry(owner(&rules, &keys)).or_default().add(usage);
        }
        prop_assert_eq!(&allocation.shared.usage, &expected.remove(&None).unwrap_or_default());
        for statement in &allocation.statements {
            let direct = expected.remove(&Some(statement.cost_centre.code.to_string())).unwrap_or_default();
            prop_assert_eq!(&statement.direct, &direct);
        }
        prop_assert!(expected.is_empty());
    }

    #[test]
    fn neither_the_order_of_rows_nor_that_of_cost_centres_matters(
        ((dimensions, rules, rows), shuffled) in inputs().prop_flat_map(|inputs| {
            let shuffled = Just(inputs.2.clone()).prop_shuffle();
            (Just(inputs), shuffled)
        }),
    ) {
        let mut other = rules.clone();
        other.cost_centres.reverse();
        prop_assert_eq!(allocate(&rules, &dimensions, &rows), allocate(&other, &dimensions, &shuffled));
    }
}
