use super::super::*;
use crate::testing::{at, body, given, name};
use crate::{CostCentreCode, Meter};
use chrono::{DateTime, Utc};

fn code(text: &str) -> CostCentreCode {
    CostCentreCode::new(text).unwrap()
}

fn centre(text: &str) -> CostCentre {
    CostCentre { code: code(text), name: name(text) }
}

fn team() -> AllocationDimension {
    AllocationDimension::Team
}

fn tag(key: &str) -> AllocationDimension {
    format!("tag:{key}").parse().unwrap()
}

fn rules() -> AllocationRuleSet {
    AllocationRuleSet {
        cost_centres: vec![centre("A"), centre("B")],
        rules: vec![
            AllocationRule::Match { when: [(team(), name("search"))].into(), cost_centre: code("A") },
            AllocationRule::Values { dimension: team(), cost_centres: [(name("ads"), code("B"))].into() },
            AllocationRule::Codes { dimension: team() },
        ],
        shared_cost: SharedCost::InEqualParts,
    }
}

fn weighted(weight: u32) -> AllocationRuleSet {
    AllocationRuleSet { shared_cost: SharedCost::ByWeights { weights: [(code("A"), weight)].into() }, ..rules() }
}

fn set(rules: AllocationRuleSet, from: Option<DateTime<Utc>>) -> AllocationRulesCommand {
    AllocationRulesCommand::Set { rules, effective_from: from, reason: Some(body("a test")), at: at(0) }
}

fn was_set(rules: AllocationRuleSet, from: Option<DateTime<Utc>>) -> AllocationRulesEvent {
    let reason = Some(body("a test"));
    AllocationRulesEvent::Set(AllocationRulesSet { rules, effective_from: from, reason, at: at(0) })
}

#[test]
fn rules_are_set_with_who_sets_them_and_why_and_again_they_change_nothing() {
    let state = given::<AllocationRules>([]).when(set(rules(), None)).then([was_set(rules(), None)]);
    assert_eq!((state.version(), state.latest().map(AsRef::as_ref)), (1, Some(&rules())));
    assert_eq!(state.decide(set(rules(), None)), Ok(vec![]));
    let later = Some(at(100));
    assert_eq!(state.decide(set(rules(), later)), Ok(vec![was_set(rules(), later)]));
    assert_eq!(state.decide(set(weighted(1), None)), Ok(vec![was_set(weighted(1), None)]));
}

#[test]
fn a_period_has_the_rules_that_are_in_force_in_the_whole_of_it() {
    let none = given::<AllocationRules>([]).when(set(rules(), Some(at(100)))).then([was_set(rules(), Some(at(100)))]);
    assert_eq!(AllocationRules::default().version_for(at(0), at(1), None), Err(NotInForce::NoRules));
    let later = NotInForce::Later { from: at(99), first: at(100) };
    assert_eq!(none.version_for(at(99), at(200), None), Err(later));
    assert_eq!(none.version_for(at(100), at(200), None), Ok(1));
    let two = none.evolve(&was_set(weighted(1), Some(at(150))));
    assert_eq!(two.version_for(at(100), at(150), None), Ok(1));
    assert_eq!(two.version_for(at(150), at(900), None), Ok(2));
    let changed = NotInForce::Changed { version: 2, at: at(150) };
    assert_eq!(two.version_for(at(100), at(151), None), Err(changed));
    // A version that is named is used whenever it is in force.
    assert_eq!(two.version_for(at(0), at(900), Some(1)), Ok(1));
    for requested in [0, 3] {
        let unknown = NotInForce::NoVersion { requested, versions: 2 };
        assert_eq!(two.version_for(at(100), at(150), Some(requested)), Err(unknown));
    }
}

#[test]
fn rules_replace_those_that_would_take_effect_later_and_no_version_goes_away() {
    let events = [(rules(), None), (weighted(1), Some(at(100))), (weighted(2), Some(at(200)))];
    let state =
        events.into_iter().fold(AllocationRules::default(), |state, (rules, from)| state.evolve(&was_set(rules, from)));
    assert_eq!(state.in_force().iter().map(|rules| rules.version).collect::<Vec<_>>(), [1, 2, 3]);
    let state = state.evolve(&was_set(weighted(3), Some(at(100))));
    assert_eq!(state.in_force().iter().map(|rules| rules.version).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(state.version_for(at(300), at(400), Some(3)), Ok(3));
    let state = state.evolve(&was_set(weighted(4), None));
    assert_eq!(state.in_force(), [RulesInForce { effective_from: None, version: 5 }]);
}

#[test]
fn there_is_a_limit_of_sets_that_follow_each_other() {
    let from = |number: usize| Some(at(i64::try_from(number).unwrap()));
    let full = (0..MAX_ALLOCATION_PERIODS)
        .fold(AllocationRules::default(), |state, number| state.evolve(&was_set(rules(), from(number))));
    assert_eq!(full.decide(set(weighted(1), from(MAX_ALLOCATION_PERIODS))), Err(AllocationError::TooManyPeriods));
    let last = from(MAX_ALLOCATION_PERIODS - 1);
    assert_eq!(full.decide(set(weighted(1), last)), Ok(vec![was_set(weighted(1), last)]));
}

#[test]
fn rules_that_contradict_themselves_are_rejected() {
    let rejected = |change: &dyn Fn(&mut AllocationRuleSet)| {
        let mut changed = rules();
        change(&mut changed);
        AllocationRules::default().decide(set(changed, None)).unwrap_err()
    };
    let no_centres = rejected(&|rules| rules.cost_centres.clear());
    assert_eq!(no_centres, AllocationError::NumberOfCostCentres { found: 0 });
    let many = rejected(&|rules| rules.cost_centres = (0..=MAX_COST_CENTRES).map(|n| centre(&n.to_string())).collect());
    assert_eq!(many, AllocationError::NumberOfCostCentres { found: MAX_COST_CENTRES + 1 });
    let twice = rejected(&|rules| rules.cost_centres.push(CostCentre { code: code("A"), name: name("other") }));
    assert_eq!(twice, AllocationError::DuplicateCode(code("A")));
    let many =
        rejected(&|rules| rules.rules = vec![AllocationRule::Codes { dimension: team() }; MAX_ALLOCATION_RULES + 1]);
    assert_eq!(many, AllocationError::TooManyRules { found: MAX_ALLOCATION_RULES + 1 });
    let values = |found: usize| (0..found).map(|n| (name(&n.to_string()), code("A"))).collect();
    let many = rejected(&|rules| {
        let cost_centres = values(MAX_ALLOCATION_VALUES);
        rules.rules[1] = AllocationRule::Values { dimension: team(), cost_centres };
    });
    assert_eq!(many, AllocationError::TooManyValues { found: MAX_ALLOCATION_VALUES + 1 });
    let empty = rejected(&|rules| {
        rules.rules[1] = AllocationRule::Match { when: [].into(), cost_centre: code("A") };
    });
    assert_eq!(empty, AllocationError::EmptyRule { rule: 2 });
    let unknown = rejected(&|rules| rules.cost_centres.truncate(1));
    assert_eq!(unknown, AllocationError::UnknownCostCentre { rule: Some(2), code: code("B") });
    let agent = AllocationDimension::Agent;
    for not_an_id in ["ada", "0190D5A2-7C3E-7A41-9B52-3F6D1C8E2A01", "0190d5a27c3e7a419b523f6d1c8e2a01"] {
        let when = [(agent.clone(), name(not_an_id))];
        let found = rejected(&|rules| {
            rules.rules[0] = AllocationRule::Match { when: when.clone().into(), cost_centre: code("A") };
        });
        let expected = AllocationError::NotAnId { rule: 1, dimension: agent.clone(), value: name(not_an_id) };
        assert_eq!(found, expected);
    }
}

/// Rules whose values have this text after their number.
fn with_values(count: usize, text: &str) -> AllocationRuleSet {
    let values = (0..count).map(|number| (name(&format!("{number:04}{text}")), code("A")));
    let rule = AllocationRule::Values { dimension: team(), cost_centres: values.collect() };
    AllocationRuleSet { rules: vec![rule], ..rules() }
}

fn bytes(of: &impl serde::Serialize) -> usize {
    serde_json::to_string(of).unwrap().len()
}

/// The largest rules that are allowed: names are lengthened until one more byte is too many.
fn largest_rules() -> AllocationRuleSet {
    let long = "x".repeat(252);
    let of_value = bytes(&with_values(2, &long)) - bytes(&with_values(1, &long));
    let count = (MAX_ALLOCATION_BYTES - bytes(&with_values(1, &long))) / of_value + 1;
    let mut largest = with_values(count, &long);
    for centre in 0..2 {
        let missing = MAX_ALLOCATION_BYTES - bytes(&largest);
        largest.cost_centres[centre].name = name(&"x".repeat(1 + missing.min(255)));
    }
    largest
}

#[test]
fn rules_fit_into_one_event() {
    /// The limit of the log for an event, of which 4,096 bytes are left for metadata.
    const EVENT_BYTES: usize = 900_000 - 4_096;
    let largest = largest_rules();
    assert_eq!((bytes(&largest), largest.check()), (MAX_ALLOCATION_BYTES, Ok(())));
    // The longest reason, of which JSON escapes each character.
    let reason = Some(body(&"\"".repeat(crate::Body::MAX_BYTES)));
    let event = AllocationRulesSet { rules: largest.clone(), effective_from: Some(at(0)), reason, at: at(0) };
    assert!(bytes(&event) <= EVENT_BYTES, "{} bytes", bytes(&event));
    let mut larger = largest;
    larger.rules.push(AllocationRule::Codes { dimension: team() });
    let too_large = AllocationError::TooLarge { bytes: bytes(&larger) };
    assert_eq!(AllocationRules::default().decide(set(larger, None)), Err(too_large));
    // What JSON escapes counts as it is written.
    let escaped = with_values(1_000, &"\"".repeat(252));
    assert_eq!(escaped.check(), Err(AllocationError::TooLarge { bytes: bytes(&escaped) }));
    assert_eq!(with_values(1_000, &"x".repeat(252)).check(), Ok(()));
}

#[test]
fn dimensions_belong_together_if_sums_are_kept_by_them() {
    let with = |dimensions: &[AllocationDimension]| {
        let rules_by = dimensions.iter().map(|dimension| AllocationRule::Codes { dimension: dimension.clone() });
        AllocationRuleSet { rules: rules_by.collect(), ..rules() }.check()
    };
    assert_eq!(with(&[]), Ok(()));
    assert_eq!(with(&[team(), AllocationDimension::Model, AllocationDimension::Key]), Ok(()));
    assert_eq!(with(&[tag("product")]), Ok(()));
    let twice = AllocationError::CodesTwice { rule: 3, dimension: team() };
    assert_eq!(with(&[team(), AllocationDimension::Model, team()]), Err(twice));
    let mixed = AllocationError::MixedDimensions { tag: tag("product"), other: team() };
    assert_eq!(with(&[tag("product"), team()]), Err(mixed));
    let mixed = AllocationError::MixedDimensions { tag: tag("a"), other: tag("b") };
    assert_eq!(with(&[tag("b"), tag("a")]), Err(mixed));
}

#[test]
fn what_is_shared_names_cost_centres_and_weights_within_the_limits() {
    let with = |shared_cost| AllocationRuleSet { shared_cost, ..rules() }.check();
    let weights = |of: &[(&str, u32)]| {
        with(SharedCost::ByWeights { weights: of.iter().map(|(of, weight)| (code(of), *weight)).collect() })
    };
    assert_eq!(weights(&[("A", 1), ("B", MAX_WEIGHT)]), Ok(()));
    assert_eq!(weights(&[]), Err(AllocationError::NoWeights));
    assert_eq!(weights(&[("C", 1)]), Err(AllocationError::UnknownCostCentre { rule: None, code: code("C") }));
    for weight in [0, MAX_WEIGHT + 1] {
        assert_eq!(weights(&[("A", weight)]), Err(AllocationError::InvalidWeight { code: code("A"), weight }));
    }
    let to = |of: &str| with(SharedCost::To { cost_centre: code(of) });
    assert_eq!(to("B"), Ok(()));
    assert_eq!(to("C"), Err(AllocationError::UnknownCostCentre { rule: None, code: code("C") }));
    assert_eq!(with(SharedCost::ByMeter { meter: Meter::Output }), Ok(()));
}

#[test]
fn a_dimension_is_written_as_its_name_and_a_tag_with_its_key() {
    for text in ["agent", "user", "team", "key", "provider", "model", "tool", "outcome", "source", "tag:cost centre"] {
        let dimension: AllocationDimension = text.parse().unwrap();
        assert_eq!(dimension.to_string(), text);
        assert_eq!(dimension.tag_key().is_some(), text.starts_with("tag:"));
    }
    for bad in ["task", "dag", "conversation", "hour", "tag", "Team", ""] {
        let error = bad.parse::<AllocationDimension>().unwrap_err();
        assert_eq!(error, AllocationDimensionError::Unknown(bad.to_owned()), "{bad}");
    }
    let long = format!("tag:{}", "k".repeat(65)).parse::<AllocationDimension>();
    assert!(matches!(long, Err(AllocationDimensionError::TagKey(_))), "{long:?}");
}
