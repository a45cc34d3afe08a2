use super::*;
use crate::testing::{at, given, name, usage};
use crate::{EventCodec, Meter, Money, Usage};
use proptest::prelude::*;
use std::num::NonZeroU64;

fn dollars(text: &str) -> Rate {
    Rate::try_from(Money::parse(text).unwrap()).unwrap()
}
fn component(meter: Meter, rate: &str) -> PriceComponent {
    PriceComponent::per_million(meter, dollars(rate))
}
fn per(number: u64, component: PriceComponent) -> PriceComponent {
    PriceComponent { per: NonZeroU64::new(number).unwrap(), ..component }
}
fn when(when: Conditions, component: PriceComponent) -> PriceComponent {
    PriceComponent { when, ..component }
}
fn above(above: u64) -> Conditions {
    Conditions { context: Some(ContextSize { above, graduated: false }), ..Conditions::default() }
}
fn graduated(above: u64) -> Conditions {
    Conditions { context: Some(ContextSize { above, graduated: true }), ..Conditions::default() }
}
fn tier(tier: &str) -> Conditions {
    Conditions { service_tier: Some(name(tier)), ..Conditions::default() }
}
fn time(from: &str, to: &str, utc_offset_minutes: i16, weekdays: &[u8]) -> Conditions {
    let minute = |text: &str| Minute::try_from(text.to_owned()).unwrap();
    let weekdays = weekdays.iter().copied().collect();
    let time = TimeWindow { from: minute(from), to: minute(to), utc_offset_minutes, weekdays };
    Conditions { time: Some(time), ..Conditions::default() }
}
fn priced(components: Vec<PriceComponent>) -> Price {
    Price { effective_from: at(0), ..Price::new(name("openai"), name("m"), components) }
}
fn since_1970(components: Vec<PriceComponent>) -> Price {
    Price { effective_from: DateTime::UNIX_EPOCH, ..priced(components) }
}
fn price(provider: &str, from: i64, input: &str) -> Price {
    let components = vec![component(Meter::Input, input), component(Meter::Output, "4")];
    Price { provider: name(provider), effective_from: at(from), ..priced(components) }
}
fn set(price: Price) -> PriceBookEvent {
    sets(vec![price.sorted()])
}
fn sets(prices: Vec<Price>) -> PriceBookEvent {
    PriceBookEvent::Set(PricesSet { prices, source: PriceSource::named(name("test")), at: at(0) })
}
fn command(prices: Vec<Price>) -> PriceBookCommand {
    PriceBookCommand::Set { prices, source: PriceSource::named(name("test")), at: at(0) }
}
/// A book with prices whose components are in the given order.
fn book(prices: &[Price]) -> PriceBook {
    prices.iter().fold(PriceBook::default(), |book, price| book.evolve(&sets(vec![price.clone()])))
}

/// What is charged for a call at a price. The call started some minutes after the beginning of 1970, a Thursday.
struct Billed<'a> {
    model: Name,
    usage: Usage,
    price: Price,
    tier: Option<&'a str>,
    minute: i64,
}

impl<'a> Billed<'a> {
    fn new<const N: usize>(components: Vec<PriceComponent>, quantities: [(Meter, u64); N]) -> Self {
        let price = since_1970(components);
        assert_eq!(price.check(), Ok(()));
        Self { model: name("m"), usage: usage(quantities), price, tier: None, minute: 0 }
    }

    fn tier(self, tier: &'a str) -> Self {
        Self { tier: Some(tier), ..self }
    }

    fn minute(self, minute: i64) -> Self {
        Self { minute, ..self }
    }

    fn charge(self) -> Result<Charge, ChargeError> {
        let tier = self.tier.map(name);
        let call = PricingContext {
            provider: None,
            model: &self.model,
            usage: &self.usage,
            started_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(self.minute),
            service_tier: tier.as_ref(),
            speed: None,
            region: None,
        };
        book(&[self.price]).charge(&call, None)
    }

    /// The lines: meter, units, conditions and cost.
    fn lines(self) -> Vec<String> {
        let line = |line: &ChargeLine| {
            let PriceComponent { meter, when, .. } = &line.component;
            let when = if when.is_empty() { String::new() } else { format!(" ({when})") };
            format!("{meter} {}{when} = {}", line.units, line.cost)
        };
        self.charge().unwrap().lines.iter().map(line).collect()
    }
}

#[test]
fn prices_that_are_already_set_append_nothing() {
    let reordered = |mut price: Price| {
        price.components.reverse();
        price
    };
    given::<PriceBook>([set(price("openai", 0, "3"))])
        .when(command(vec![reordered(price("openai", 0, "3")), price("openai", 9, "2")]))
        .then([set(price("openai", 9, "2"))]);
}

#[test]
fn a_command_with_conflicting_prices_or_none_is_rejected() {
    let conflict = PriceBookError::ConflictingPrices { provider: name("o"), model: name("m"), effective_from: at(0) };
    for prices in [vec![price("o", 0, "3"), price("o", 0, "2")], vec![price("o", 0, "2"), price("o", 0, "3")]] {
        given::<PriceBook>([]).when(command(prices.clone())).then_rejected(conflict.clone());
        given::<PriceBook>([set(price("o", 0, "3"))]).when(command(prices)).then_rejected(conflict.clone());
    }
    given::<PriceBook>([]).when(command(vec![])).then_rejected(PriceBookError::Empty);
}

#[test]
fn each_fault_of_a_price_is_named() {
    let input = || component(Meter::Input, "3");
    let rejected = |price: Price, source| {
        let (provider, model) = (price.provider.clone(), price.model.clone());
        let error = PriceBookError::InvalidPrice { provider, model, source };
        given::<PriceBook>([]).when(command(vec![price])).then_rejected(error);
    };
    let faulty = |components, source| rejected(priced(components), source);
    let of_input = |source| PriceError::Condition { meter: Meter::Input, source };
    faulty(vec![], PriceError::NoComponents);
    let sizes: Vec<_> = (0..=64).map(|size| when(above(size), input())).collect();
    faulty(sizes.clone(), PriceError::TooManyComponents { found: 65 });
    assert_eq!(priced(sizes[1..].to_vec()).check(), Ok(()));
    faulty(
        vec![when(tier("batch"), input()), input(), when(tier("batch"), component(Meter::Input, "4"))],
        PriceError::Duplicate { meter: Meter::Input, when: Box::new(tier("batch")) },
    );
    let none = Box::new(Conditions::default());
    faulty(
        vec![input(), when(above(9), input()), when(graduated(5), input())],
        PriceError::OverlappingSizes { meter: Meter::Input, when: none.clone() },
    );
    faulty(vec![when(graduated(5), input())], PriceError::NoFirstBand { meter: Meter::Input, when: none });
    faulty(
        vec![per(1 << 53, input())],
        PriceError::PerTooLarge { meter: Meter::Input, per: NonZeroU64::new(1 << 53).unwrap() },
    );
    faulty(vec![when(above(1 << 53), input())], of_input(ConditionError::ContextTooLarge(1 << 53)));
    faulty(vec![input(), when(graduated(0), input())], of_input(ConditionError::GraduatedFromZero));
    faulty(vec![when(time("00:00", "06:00", 841, &[]), input())], of_input(ConditionError::UtcOffset(841)));
    faulty(vec![when(time("00:00", "06:00", 0, &[8]), input())], of_input(ConditionError::Weekday(8)));
    let midnight = Minute::try_from("00:00".to_owned()).unwrap();
    faulty(vec![when(time("00:00", "00:00", 0, &[]), input())], of_input(ConditionError::WholeDay(midnight)));
    rejected(
        Price { effective_to: Some(at(5)), ..price("o", 5, "3") },
        PriceError::EndsBeforeItBegins { from: at(5), to: at(5) },
    );
}

#[test]
fn a_price_is_in_effect_from_its_date_until_the_next_or_its_end() {
    let ended = Price { effective_to: Some(at(20)), ..price("openai", 10, "2") };
    let book = book(&[price("openai", 0, "3"), ended, price("openai", 30, "1")]);
    let input_at = |second| {
        book.quote(Some(&name("openai")), &name("m"), at(second), None).map(|q| q.quote.price.components[0].rate)
    };
    assert_eq!(input_at(-1), Err(Unpriced::NotInEffect { first_from: at(0) }));
    assert_eq!(input_at(0), Ok(dollars("3")));
    assert_eq!(input_at(9), Ok(dollars("3")));
    assert_eq!(input_at(10), Ok(dollars("2")));
    assert_eq!(input_at(19), Ok(dollars("2")));
    assert_eq!(input_at(20), Err(Unpriced::NotInEffect { first_from: at(0) }));
    assert_eq!(input_at(30), Ok(dollars("1")));
}

#[test]
fn the_book_answers_as_of_any_of_its_versions() {
    let book =
        book(&[price("openai", 0, "3"), price("openai", 0, "2"), price("azure", 0, "9"), price("openai", 0, "1")]);
    let as_of = |version| {
        let quote = book.quote(Some(&name("openai")), &name("m"), at(1), version);
        quote.map(|found| (found.quote.price.components[0].rate.to_string(), found.quote.book_version))
    };
    assert_eq!(as_of(Some(0)), Err(Unpriced::UnknownModel));
    assert_eq!(as_of(Some(1)), Ok(("3".to_owned(), 1)));
    assert_eq!(as_of(Some(2)), Ok(("2".to_owned(), 2)));
    assert_eq!(as_of(Some(3)), Ok(("2".to_owned(), 2)));
    assert_eq!(as_of(None), Ok(("1".to_owned(), 4)));
    assert_eq!(book.quotes(Some(2)).count(), 1);
    assert_eq!(book.quotes(None).map(|quote| quote.book_version).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(book.version(), 4);
}

#[test]
fn no_price_is_guessed_between_providers() {
    let asked = |book: &PriceBook, provider: Option<&str>, second| {
        let quote = book.quote(provider.map(name).as_ref(), &name("m"), at(second), None);
        quote.map(|found| found.quote.price.provider.to_string())
    };
    let named = |names: &[&str]| Providers(names.iter().map(|text| name(text)).collect());
    let one = book(&[price("openai", 0, "3")]);
    assert_eq!(asked(&one, Some("gemini"), 1), Err(Unpriced::OtherProviders(named(&["openai"]))));
    assert_eq!(asked(&one, None, 1), Ok("openai".to_owned()));
    let two = book(&[price("openai", 0, "3"), price("azure", 9, "5")]);
    // A provider that begins later changes nothing before.
    assert_eq!(asked(&two, None, 8), Ok("openai".to_owned()));
    assert_eq!(asked(&two, None, 9), Err(Unpriced::Ambiguous(named(&["azure", "openai"]))));
    assert_eq!(asked(&two, Some("azure"), 9), Ok("azure".to_owned()));
    // One price says who the maker is, for all prices of the same provider.
    let list_price = Price { list_price: true, ..price("openai", 0, "3") };
    let listed = book(&[list_price.clone(), price("openai", 5, "2"), price("azure", 9, "5")]);
    assert_eq!(asked(&listed, None, 9), Ok("openai".to_owned()));
    let makers = book(&[list_price, Price { list_price: true, ..price("azure", 9, "5") }]);
    assert_eq!(asked(&makers, None, 9), Err(Unpriced::Ambiguous(named(&["azure", "openai"]))));
    assert_eq!(two.quote(None, &name("n"), at(9), None), Err(Unpriced::UnknownModel));
}

/// A price of a provider for a model with other names and patterns, named by its rate of input.
fn named(provider: &str, model: &str, input: &str, names: &[&str], patterns: &[&str]) -> Price {
    Price {
        names: names.iter().map(|text| name(text)).collect(),
        patterns: patterns.iter().map(|text| ModelPattern::new(text).unwrap()).collect(),
        ..Price { model: name(model), ..price(provider, 0, input) }
    }
}

fn found(book: &PriceBook, provider: Option<&str>, model: &str) -> Result<String, Unpriced> {
    let found = book.quote(provider.map(name).as_ref(), &name(model), at(1), None)?;
    let pattern = found.pattern.map(|pattern| format!(" {pattern}")).unwrap_or_default();
    Ok(format!("{} {}{pattern}", found.quote.price.model, found.by.as_str()))
}

#[test]
fn a_name_matches_exactly_then_by_another_name_then_normalized_then_by_pattern() {
    let book = book(&[
        named("bedrock", "anthropic.claude-4-v1:0", "1", &["claude-four"], &["*claude-4*"]),
        named("bedrock", "claude-4-mini", "2", &[], &["claude-4-mini*", "claude-#*"]),
        named("bedrock", "claude-four-x", "3", &["claude-4x"], &[]),
    ]);
    let at_bedrock = |model| found(&book, Some("bedrock"), model);
    let claude = "anthropic.claude-4-v1:0";
    assert_eq!(at_bedrock(claude), Ok(format!("{claude} exact")));
    assert_eq!(at_bedrock("claude-four"), Ok(format!("{claude} alias")));
    for model in ["claude-4", "eu.anthropic.claude-4-v1:0", "arn:aws:bedrock:us-east-1:1:x/anthropic.claude-4-v1:0"] {
        assert_eq!(at_bedrock(model), Ok(format!("{claude} normalized")), "{model}");
    }
    // The pattern with the most characters decides, whichever price has it.
    assert_eq!(at_bedrock("claude-4-mini-2"), Ok("claude-4-mini pattern claude-4-mini*".to_owned()));
    assert_eq!(at_bedrock("x/claude-4-maxi"), Ok(format!("{claude} pattern *claude-4*")));
    assert_eq!(at_bedrock("claude-5"), Ok("claude-4-mini pattern claude-#*".to_owned()));
    assert_eq!(at_bedrock("gpt-4"), Err(Unpriced::UnknownModel));
    // The provider has several names too.
    assert_eq!(found(&book, Some("aws.bedrock"), "claude-four"), Ok(format!("{claude} alias")));
    let openai = Unpriced::OtherProviders(Providers(vec![name("bedrock")]));
    assert_eq!(found(&book, Some("openai"), "claude-four"), Err(openai));
}

#[test]
fn a_name_that_could_be_that_of_several_models_has_no_price() {
    let book = book(&[
        named("bedrock", "anthropic.claude-4", "1", &["four"], &[]),
        named("bedrock", "eu.anthropic.claude-4", "2", &["four"], &[]),
    ]);
    let both = Unpriced::AmbiguousModel(Providers(vec![name("anthropic.claude-4"), name("eu.anthropic.claude-4")]));
    assert_eq!(found(&book, None, "claude-4"), Err(both.clone()));
    assert_eq!(found(&book, Some("bedrock"), "four"), Err(both));
    assert_eq!(found(&book, None, "eu.anthropic.claude-4"), Ok("eu.anthropic.claude-4 exact".to_owned()));
}

#[test]
fn a_price_that_ended_is_not_replaced_by_one_of_another_name() {
    let ended = Price { effective_to: Some(at(1)), ..named("openai", "m", "1", &[], &[]) };
    let later = Price { effective_from: at(1), ..named("openai", "n", "3", &[], &[]) };
    let book = book(&[ended, named("openai", "other", "2", &["n"], &["*"]), later]);
    assert_eq!(found(&book, None, "m"), Err(Unpriced::NotInEffect { first_from: at(0) }));
    // A name that begins later changes nothing before.
    let at_0 = book.quote(None, &name("n"), at(0), None).unwrap();
    assert_eq!((at_0.quote.price.model.as_str(), at_0.by), ("other", MatchKind::Alias));
    assert_eq!(found(&book, None, "n"), Ok("n exact".to_owned()));
}

#[test]
fn a_contract_precedes_list_prices_and_a_discount_reduces_them() {
    let contract = Price { contract: true, effective_to: Some(at(50)), ..price("openai", 10, "1") };
    let discount = Discount {
        name: name("volume"),
        provider: Some(name("openai")),
        models: None,
        percent: Percent::try_from("12.5".to_owned()).unwrap(),
        effective_from: at(5),
        effective_to: None,
    };
    let events = [
        sets(vec![price("openai", 0, "2"), price("openai", 20, "4"), contract]),
        PriceBookEvent::DiscountSet(DiscountSet { discount: discount.clone(), at: at(0) }),
    ];
    let book = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
    let (provider, model, usage) = (name("openai"), name("m"), usage([(Meter::Input, 1_000_000), (Meter::Output, 3)]));
    let charge = |second, as_of| {
        let call = PricingContext {
            provider: Some(&provider),
            model: &model,
            usage: &usage,
            started_at: at(second),
            service_tier: None,
            speed: None,
            region: None,
        };
        book.charge(&call, as_of).unwrap()
    };
    let amount = |second, as_of| charge(second, as_of).amount.to_string();
    assert_eq!(amount(0, None), "2.000012");
    // 87.5 % of 2 dollars, and of 3 units at 4 dollars a million: 0.000012 × 0.875.
    assert_eq!(amount(5, None), "1.7500105");
    assert_eq!(amount(5, Some(1)), "2.000012");
    let discounted = charge(5, None);
    assert_eq!(discounted.discount.as_ref().map(|applied| applied.percent.to_string()).as_deref(), Some("12.5"));
    let json = serde_json::to_string(&discounted).unwrap();
    assert!(json.contains(r#""discount":{"name":"volume","percent":"12.5"}"#), "{json}");
    assert_eq!(serde_json::from_str::<Charge>(&json).unwrap(), discounted);
    // The contract stands although a list price takes effect later, and has no discount.
    for second in [10, 20, 49] {
        let charge = charge(second, None);
        assert_eq!((charge.amount.to_string().as_str(), charge.contract, charge.discount), ("1.000012", true, None));
    }
    assert_eq!(amount(50, None), "3.5000105");
    // Setting the same again appends nothing.
    let again = PriceBookCommand::SetDiscounts { discounts: vec![discount.clone()], at: at(9) };
    assert_eq!(book.decide(again), Ok(vec![]));
    let twice = PriceBookCommand::SetDiscounts { discounts: vec![discount.clone(), discount.clone()], at: at(9) };
    assert_eq!(book.decide(twice), Err(PriceBookError::InvalidDiscount { name: name("volume") }));
    let none = PriceBookCommand::SetDiscounts { discounts: vec![], at: at(9) };
    assert_eq!(book.decide(none), Err(PriceBookError::NumberOfDiscounts { found: 0 }));
}

#[test]
fn many_prices_are_few_events_of_bounded_size() {
    let prices = |count: i64| (0..count).map(|from| price("openai", from, "3")).collect::<Vec<_>>();
    let events = |prices| PriceBook::default().decide(command(prices)).unwrap();
    let sizes = |events: &[PriceBookEvent]| {
        let size = |event: &PriceBookEvent| match event {
            PriceBookEvent::Set(set) => set.prices.len(),
            PriceBookEvent::DiscountSet(_) => 0,
        };
        events.iter().map(size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&events(prices(64))), [64]);
    assert_eq!(sizes(&events(prices(65))), [64, 1]);
    // The longest price that is accepted.
    let long = |number: usize, text: &str| name(&format!("{number:03}{}", text.repeat(253)));
    let conditions = |number| Conditions {
        service_tier: Some(long(number, "\"")),
        speed: Some(long(number, "\"")),
        region: Some(long(number, "\"")),
        ..Conditions::default()
    };
    let longest = |from| Price {
        names: (0..64).map(|number| long(number, "\"")).collect(),
        patterns: (0..64)
            .map(|number| ModelPattern::new(&format!("{number:03}{}", "\"".repeat(253))).unwrap())
            .collect(),
        components: (0..64).map(|number| when(conditions(number), component(Meter::Input, "3"))).collect(),
        ..price("openai", from, "3")
    };
    let events = events((0..4).map(longest).collect());
    assert!(events.iter().all(|event| event.encode().unwrap().len() < 900_000), "{:?}", sizes(&events));
    assert_eq!(sizes(&events).iter().sum::<usize>(), 4);
}

#[test]
fn a_component_for_large_prompts_bills_the_whole_call() {
    let components = || {
        vec![
            component(Meter::Input, "3"),
            component(Meter::Output, "15"),
            when(above(200), component(Meter::Input, "6")),
            when(above(100), component(Meter::Input, "5")),
            when(above(100), component(Meter::Output, "20")),
        ]
    };
    let lines = |input| Billed::new(components(), [(Meter::Input, input), (Meter::Output, 10)]).lines();
    assert_eq!(lines(100), ["input 100 = 0.0003", "output 10 = 0.00015"]);
    assert_eq!(lines(101), ["input 101 (context > 100) = 0.000505", "output 10 (context > 100) = 0.0002"]);
    assert_eq!(lines(201), ["input 201 (context > 200) = 0.001206", "output 10 (context > 100) = 0.0002"]);
    // Cached tokens count towards the size.
    let cached = Billed::new(components(), [(Meter::Input, 50), (Meter::CacheRead, 51), (Meter::Output, 10)]);
    let charge = cached.charge().unwrap();
    assert_eq!((charge.amount.to_string(), charge.conditions()), ("0.000705".to_owned(), "context > 100".to_owned()));
}

#[test]
fn a_graduated_component_bills_the_units_above_its_size() {
    let components = || {
        vec![
            when(graduated(300), component(Meter::Input, "1")),
            component(Meter::Input, "3"),
            when(graduated(100), component(Meter::Input, "2")),
        ]
    };
    let lines = |input| Billed::new(components(), [(Meter::Input, input)]).lines();
    assert_eq!(lines(100), ["input 100 = 0.0003"]);
    assert_eq!(lines(101), ["input 100 = 0.0003", "input 1 (units above 100) = 0.000002"]);
    let all = ["input 100 = 0.0003", "input 200 (units above 100) = 0.0004", "input 50 (units above 300) = 0.00005"];
    assert_eq!(lines(350), all);
}

#[test]
fn the_component_with_the_most_conditions_applies_then_that_with_the_highest_size() {
    let both = Conditions { service_tier: Some(name("batch")), ..above(100) };
    let input = |rate| component(Meter::Input, rate);
    let components = || {
        vec![input("8"), when(tier("batch"), input("4")), when(above(100), input("16")), when(tier("flex"), input("2"))]
    };
    let lines = |billed: Billed<'_>| billed.lines().remove(0);
    let billed = |units| Billed::new(components(), [(Meter::Input, units)]);
    assert_eq!(lines(billed(100)), "input 100 = 0.0008");
    assert_eq!(lines(billed(100).tier("batch")), "input 100 (service_tier batch) = 0.0004");
    assert_eq!(lines(billed(100).tier("priority")), "input 100 = 0.0008");
    assert_eq!(lines(billed(200).tier("batch")), "input 200 (context > 100) = 0.0032");
    let more = Billed::new([components(), vec![when(both, input("12"))]].concat(), [(Meter::Input, 200)]);
    assert_eq!(lines(more.tier("batch")), "input 200 (context > 100, service_tier batch) = 0.0024");
}

#[test]
fn a_window_of_time_may_contain_midnight_and_have_a_zone_and_days() {
    let at_night = |window: Conditions, minute| {
        let components = vec![component(Meter::Input, "2"), when(window, component(Meter::Input, "1"))];
        let charge = Billed::new(components, [(Meter::Input, 1_000_000)]).minute(minute).charge().unwrap();
        charge.amount.to_string() == "1"
    };
    let minutes = |hours: i64, minutes: i64| hours * 60 + minutes;
    let night = || time("16:30", "00:30", 0, &[]);
    assert!(
        at_night(night(), minutes(16, 30)) && at_night(night(), minutes(23, 59)) && at_night(night(), minutes(0, 29))
    );
    assert!(!at_night(night(), minutes(16, 29)) && !at_night(night(), minutes(0, 30)));
    let in_beijing = || time("00:30", "08:30", 480, &[]);
    assert!(at_night(in_beijing(), minutes(16, 30)) && !at_night(in_beijing(), minutes(0, 30)));
    // 1970 began on a Thursday, so that Saturday is the third day.
    let weekend = || time("00:00", "00:00", 0, &[6, 7]);
    assert!(!at_night(weekend(), minutes(47, 59)) && at_night(weekend(), minutes(48, 0)));
    assert_eq!(time("16:30", "00:30", -330, &[6, 7]).to_string(), "16:30-00:30 UTC-05:30 Sat+Sun");
    for text in ["24:00", "1:00", "12:60", "12", "+1:00", "12:0é"] {
        let error = Minute::try_from(text.to_owned()).unwrap_err().to_string();
        assert!(error.contains("is not a time of the day"), "{error}");
    }
}

#[test]
fn a_meter_without_a_component_is_billed_as_another_one_or_named() {
    let million = |meter| (meter, 1_000_000);
    let usage = || {
        [
            million(Meter::Input),
            (Meter::Output, 3_000_000),
            million(Meter::CacheRead),
            million(Meter::CacheWrite5Min),
            million(Meter::CacheWrite1Hour),
            million(Meter::Reasoning),
            million(Meter::AudioOutput),
            (Meter::Searches, 3),
            (Meter::MediaMs, 90_000),
        ]
    };
    let plain = || vec![component(Meter::Input, "3"), component(Meter::Output, "15")];
    let charge = Billed::new(plain(), usage()).charge().unwrap();
    assert_eq!(charge.amount.to_string(), "57");
    assert_eq!(charge.unbilled, [Meter::Searches, Meter::MediaMs]);
    assert_eq!(Billed::new(plain(), usage()).lines(), ["input 4000000 = 12", "output 3000000 = 45"]);
    let more = [
        component(Meter::CacheRead, "0.3"),
        component(Meter::CacheWrite5Min, "3.75"),
        component(Meter::Reasoning, "20"),
        per(1, component(Meter::Searches, "0.01")),
        per(3_600_000, component(Meter::MediaMs, "0.36")),
    ];
    let lines = Billed::new([plain(), more.to_vec()].concat(), usage()).lines();
    assert_eq!(
        lines,
        [
            "input 1000000 = 3",
            "output 2000000 = 30",
            "cache_read 1000000 = 0.3",
            "cache_write_5min 2000000 = 7.5",
            "reasoning 1000000 = 20",
            "searches 3 = 0.03",
            "media_ms 90000 = 0.009",
        ]
    );
    // Half of a priced audio call is a part of what has no rate.
    let audio = vec![component(Meter::AudioOutput, "64")];
    let charge = Billed::new(audio, [(Meter::Output, 10), (Meter::AudioOutput, 10)]).charge().unwrap();
    assert_eq!((charge.amount.to_string(), charge.unbilled), ("0.00064".to_owned(), vec![]));
}

#[test]
fn a_call_is_a_request_unless_it_says_how_many() {
    let components = || vec![per(1, component(Meter::Requests, "0.005")), component(Meter::Input, "1")];
    let amount = |billed: Billed<'_>| billed.charge().unwrap().amount.to_string();
    assert_eq!(amount(Billed::new(components(), [(Meter::Input, 1000)])), "0.006");
    assert_eq!(amount(Billed::new(components(), [(Meter::Input, 1000), (Meter::Requests, 3)])), "0.016");
}

#[test]
fn a_price_that_bills_nothing_of_a_call_is_not_a_price_of_it() {
    let batch = || vec![when(tier("batch"), component(Meter::Input, "1"))];
    let call = [(Meter::Input, 10), (Meter::Output, 3)];
    let nothing = Unpriced::NothingBilled(vec![Meter::Input, Meter::Output]);
    assert_eq!(Billed::new(batch(), call).charge(), Err(ChargeError::Unpriced(nothing)));
    assert_eq!(Billed::new(batch(), call).tier("batch").charge().unwrap().unbilled, [Meter::Output]);
    // A call that used nothing costs nothing, and a rate of 0 is a price.
    assert_eq!(Billed::new(batch(), []).charge().unwrap().amount, Money::ZERO);
    let free = Billed::new(vec![component(Meter::Input, "0"), component(Meter::Output, "0")], call);
    assert_eq!(free.charge().unwrap().amount, Money::ZERO);
}

#[test]
fn a_charge_names_the_price_in_few_bytes() {
    let components = vec![
        component(Meter::Input, "3"),
        component(Meter::Output, "15"),
        when(above(200_000), component(Meter::Input, "6")),
        per(1, component(Meter::Searches, "0.01")),
    ];
    let quantities = [(Meter::Input, 200_001), (Meter::Output, 2), (Meter::Searches, 1), (Meter::Images, 1)];
    let charge = Billed::new(components, quantities).charge().unwrap();
    let json = concat!(
        r#"{"amount":"1.210036","book_version":1,"effective_from":"1970-01-01T00:00:00Z","seller":"openai","lines":["#,
        r#"{"meter":"input","rate":"6","when":{"context":{"above":200000}},"units":200001},"#,
        r#"{"meter":"output","rate":"15","units":2},"#,
        r#"{"meter":"searches","rate":"0.01","per":1,"units":1}],"unbilled":["images"]}"#
    );
    assert_eq!(serde_json::to_string(&charge).unwrap(), json);
    assert_eq!(serde_json::from_str::<Charge>(json).unwrap(), charge);
}

#[test]
fn rates_are_not_negative() {
    let minus = Money::parse("-1").unwrap();
    assert_eq!(Rate::try_from(minus), Err(RateError::Negative(minus)));
}

/// An event with such a rate could not be read back.
#[test]
fn rates_have_no_more_digits_than_events_hold() {
    for text in ["18446744073709551616", "1000000000000000", "0.0000000000001"] {
        let dollars: rust_decimal::Decimal = text.parse().unwrap();
        assert_eq!(rate(dollars), Err(RateError::TooManyDigits(Money::from_decimal(dollars))));
    }
    for text in ["999999999999999.999999999999", "0.000000000001", "0", "1.000000000000000000"] {
        let rate = rate(text.parse().unwrap()).unwrap();
        let stored = serde_json::to_string(&rate).unwrap();
        assert_eq!(serde_json::from_str::<Rate>(&stored).unwrap(), rate, "{text}");
    }
}

/// Components of a valid price: any meters, sizes, tiers and units.
fn components() -> impl Strategy<Value = Vec<PriceComponent>> {
    let meter = prop::sample::select(Meter::ALL);
    let size = prop::option::of((1_u64..1000, any::<bool>()));
    let one = (meter, size, prop::option::of("[ab]"), 0_u64..1_000_000_000, 1_u64..2_000_000).prop_map(
        |(meter, size, tier, rate, number)| {
            let context = size.map(|(above, graduated)| ContextSize { above, graduated });
            let service_tier = tier.map(|tier| name(&tier));
            let conditions = Conditions { context, service_tier, ..Conditions::default() };
            let rate = Rate::try_from(Money::from_decimal(rust_decimal::Decimal::new(rate.cast_signed(), 6))).unwrap();
            per(number, when(conditions, PriceComponent::per_million(meter, rate)))
        },
    );
    prop::collection::vec(one, 1..24).prop_map(|components| {
        let mut kept: Vec<PriceComponent> = Vec::new();
        for component in components {
            let candidate = [kept.clone(), vec![component]].concat();
            if priced(candidate.clone()).check().is_ok() {
                kept = candidate;
            }
        }
        if kept.is_empty() { vec![component(Meter::Input, "1")] } else { kept }
    })
}

fn quantities() -> impl Strategy<Value = Vec<(Meter, u64)>> {
    prop::collection::vec((prop::sample::select(Meter::ALL), 0_u64..3000), 0..8)
}

/// A usage in which the parts of a meter are not more than the meter.
fn used(quantities: &[(Meter, u64)]) -> Usage {
    let quantity = |number| crate::Quantity::new(number).unwrap();
    let mut usage: Usage = quantities.iter().map(|(meter, number)| (*meter, quantity(*number))).collect();
    for &meter in Meter::ALL {
        let parts: u64 = meter.parts().map(|part| usage.get(part).get()).sum();
        usage.set(meter, quantity(usage.get(meter).get() + parts));
    }
    usage
}

fn charged(components: Vec<PriceComponent>, usage: Usage, tier: Option<&str>) -> Result<Charge, ChargeError> {
    Billed { model: name("m"), usage, price: since_1970(components), tier, minute: 0 }.charge()
}

proptest! {
    /// Setting the same prices twice appends nothing the second time.
    #[test]
    fn setting_is_idempotent(froms in proptest::collection::btree_set(0_i64..50, 1..20)) {
        let prices: Vec<_> = froms.into_iter().map(|from| price("openai", from, "3")).collect();
        let events = PriceBook::default().decide(command(prices.clone())).unwrap();
        let book = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
        prop_assert_eq!(book.decide(command(prices)), Ok(vec![]));
    }

    /// The total is the sum of the lines, each line is its units at its rate, rounded once, and every unit that the
    /// call used is in one line or named as not billed.
    #[test]
    fn meters_add_up(components in components(), quantities in quantities(), tier in prop::option::of("[ab]")) {
        let usage = used(&quantities);
        let Ok(charge) = charged(components, usage, tier.as_deref()) else { return Ok(()) };
        let mut sum = Money::ZERO;
        for line in &charge.lines {
            let cost = Money::for_units(line.component.rate.as_money().as_decimal(), line.units, line.component.per).unwrap();
            prop_assert_eq!(line.cost, cost);
            sum = sum.checked_add(cost).unwrap();
        }
        prop_assert_eq!(charge.amount, sum);
        let billed: u64 = charge.lines.iter().map(|line| line.units).sum();
        let unbilled: u64 = charge.unbilled.iter().map(|meter| usage.without_parts(*meter)).sum();
        let used: u64 = Meter::ALL.iter().map(|meter| usage.without_parts(*meter)).sum();
        let implied = u64::from(usage.get(Meter::Requests).get() == 0
            && charge.lines.iter().any(|line| line.component.meter == Meter::Requests));
        prop_assert_eq!(billed + unbilled, used + implied);
    }

    #[test]
    fn the_order_of_components_does_not_matter(
        components in components(), quantities in quantities(), tier in prop::option::of("[ab]"), seed in any::<u64>(),
    ) {
        let mut shuffled = components.clone();
        shuffled.sort_by_key(|component| {
            let text = serde_json::to_string(component).unwrap();
            text.bytes().fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
        });
        let usage = used(&quantities);
        prop_assert_eq!(charged(shuffled, usage, tier.as_deref()), charged(components, usage, tier.as_deref()));
    }

    /// The bands of graduated sizes split the units, so that equal rates cost as much as one component.
    #[test]
    fn the_bands_of_graduated_sizes_sum_to_the_whole(
        sizes in prop::collection::btree_set(1_u64..1000, 0..6), units in 0_u64..2000,
    ) {
        let bands = sizes.iter().map(|size| when(graduated(*size), component(Meter::Input, "3")));
        let components: Vec<_> = [component(Meter::Input, "3")].into_iter().chain(bands).collect();
        let charge = charged(components, usage([(Meter::Input, units)]), None).unwrap();
        prop_assert_eq!(charge.lines.iter().map(|line| line.units).sum::<u64>(), units);
        let whole = charged(vec![component(Meter::Input, "3")], usage([(Meter::Input, units)]), None).unwrap();
        prop_assert_eq!(charge.amount, whole.amount);
        prop_assert_eq!(charge.lines.len(), usize::from(units > 0) + sizes.iter().filter(|size| units > **size).count());
    }

    /// A version of the book answers the same, whatever is set later.
    #[test]
    fn a_version_is_not_affected_by_later_ones(
        sets in prop::collection::vec(("[abc]", 0_i64..5, 1_u32..9, any::<bool>()), 1..24),
        cut in any::<prop::sample::Index>(), second in -1_i64..6, provider in prop::option::of("[abc]"),
    ) {
        let prices: Vec<_> = sets
            .iter()
            .map(|(provider, from, input, list_price)| Price { list_price: *list_price, ..price(provider, *from, &input.to_string()) })
            .collect();
        let cut = cut.index(prices.len() + 1);
        let (early, late) = (book(&prices[..cut]), book(&prices));
        let provider = provider.map(|text| name(&text));
        let ask = |book: &PriceBook, as_of| {
            book.quote(provider.as_ref(), &name("m"), at(second), as_of).map(|found| found.quote.clone())
        };
        prop_assert_eq!(ask(&early, None), ask(&late, Some(early.version())));
        let listed = |book: &PriceBook, as_of| book.quotes(as_of).cloned().collect::<Vec<_>>();
        prop_assert_eq!(listed(&early, None), listed(&late, Some(early.version())));
    }
}
