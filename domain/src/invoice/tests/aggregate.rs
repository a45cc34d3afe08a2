use super::fixture::{compare, compare_within, day, expected, figure, line};
use crate::aggregate::Aggregate as _;
use crate::invoice::{
    Figure, Invoice, InvoiceCommand, InvoiceError, InvoiceEvent, InvoiceFormat, InvoiceHeader, InvoiceLine,
    InvoiceLinesRecorded, InvoiceRecorded, InvoiceWithdrawn, LinesHash, MAX_INVOICE_LINES, MAX_LINES_PER_COMMAND,
};
use crate::meter::Meter;
use crate::money::Currency;
use crate::testing::{at, body, given, name};
use chrono::NaiveDate;

fn lines(count: u32) -> Vec<InvoiceLine> {
    (1..=count).map(|number| line(number, 1 + number % 3, Meter::Input, "10", "0.5")).collect()
}

fn header(lines: &[InvoiceLine]) -> InvoiceHeader {
    InvoiceHeader {
        provider: name("openai"),
        account: None,
        number: Some(name("INV-1")),
        from: day(1),
        to: day(31),
        currency: Currency::Usd,
        format: InvoiceFormat::Csv,
        file: None,
        lines: u32::try_from(lines.len()).unwrap(),
        amount: lines.iter().filter_map(|line| line.amount).sum(),
        amount_places: 2,
        content: LinesHash::of(lines).id(),
    }
}

fn record(header: &InvoiceHeader, first: u32, lines: &[InvoiceLine]) -> InvoiceCommand {
    InvoiceCommand::Record { header: header.clone(), first, lines: lines.to_vec(), at: at(0) }
}

fn decided(state: &Invoice, command: InvoiceCommand) -> Vec<InvoiceEvent> {
    state.decide(command).unwrap()
}

fn recorded(lines: &[InvoiceLine]) -> Vec<InvoiceEvent> {
    decided(&Invoice::default(), record(&header(lines), 1, lines))
}

#[test]
fn an_invoice_of_many_lines_is_recorded_in_parts_of_any_size_that_overlap() {
    let all = lines(1_201);
    let header = header(&all);
    let events = decided(&Invoice::default(), record(&header, 1, &all));
    let count = |event: &InvoiceEvent| {
        let InvoiceEvent::LinesRecorded(recorded) = event else { return None };
        Some((recorded.first, recorded.lines.len()))
    };
    let counts: Vec<_> = events.iter().filter_map(count).collect();
    assert_eq!(counts, [(1, 500), (501, 500), (1_001, 201)]);
    let some = decided(&Invoice::default(), record(&header, 1, &all[..700]));
    let state = given::<Invoice>(some).when(record(&header, 301, &all[300..]));
    let state = state.then([
        InvoiceEvent::LinesRecorded(InvoiceLinesRecorded { revision: 1, first: 701, lines: all[700..1_200].to_vec() }),
        InvoiceEvent::LinesRecorded(InvoiceLinesRecorded { revision: 1, first: 1_201, lines: all[1_200..].to_vec() }),
    ]);
    assert!(state.comparable().is_ok());
    assert_eq!(decided(&state, record(&header, 1, &all)), [], "the same lines again change nothing");
}

#[test]
fn other_lines_are_another_version() {
    let (one, other) = (lines(2), lines(3));
    let state = given::<Invoice>(recorded(&one)).when(record(&header(&other), 1, &other));
    let events = decided(&Invoice::default(), record(&header(&other), 1, &other));
    let revised = events.into_iter().map(|event| match event {
        InvoiceEvent::Recorded(recorded) => InvoiceEvent::Recorded(InvoiceRecorded { revision: 2, ..recorded }),
        InvoiceEvent::LinesRecorded(lines) => {
            InvoiceEvent::LinesRecorded(InvoiceLinesRecorded { revision: 2, ..lines })
        }
        InvoiceEvent::Reconciled(_) | InvoiceEvent::VariancesRecorded(_) | InvoiceEvent::Withdrawn(_) => event,
    });
    let state = state.then(revised);
    assert_eq!(state.current.map(|current| (current.revision, current.recorded_lines)), Some((2, 3)));
}

#[test]
fn the_same_lines_of_another_period_are_another_version_and_another_name_of_the_file_is_none() {
    let all = lines(2);
    let known = header(&all);
    let renamed = InvoiceHeader { file: Some(name("march.csv")), ..known.clone() };
    given::<Invoice>(recorded(&all)).when(record(&renamed, 1, &all)).then([]);
    for other in [InvoiceHeader { to: day(20), ..known.clone() }, InvoiceHeader { amount_places: 3, ..known }] {
        let state = recorded(&all).iter().fold(Invoice::default(), |state, event| state.evolve(event));
        let events = decided(&state, record(&other, 1, &all));
        let is_new = matches!(&events[0], InvoiceEvent::Recorded(new) if new.revision == 2 && new.header == other);
        assert!(is_new && events.len() == 2, "{events:?}");
    }
}

#[test]
fn lines_that_are_not_what_the_header_says_are_rejected() {
    let all = lines(3);
    let header = header(&all);
    let rejected = |header: InvoiceHeader, first, lines: &[InvoiceLine], error| {
        given::<Invoice>([]).when(record(&header, first, lines)).then_rejected(error);
    };
    rejected(header.clone(), 2, &all, InvoiceError::Gap { recorded: 0, found: 2 });
    rejected(header.clone(), 1, &[], InvoiceError::LinesOfCommand { found: 0 });
    let many = self::lines(u32::try_from(MAX_LINES_PER_COMMAND).unwrap() + 1);
    rejected(header.clone(), 1, &many, InvoiceError::LinesOfCommand { found: many.len() });
    rejected(InvoiceHeader { lines: 2, ..header.clone() }, 1, &all, InvoiceError::TooManyLines { lines: 2 });
    let found = MAX_INVOICE_LINES + 1;
    rejected(InvoiceHeader { lines: found, ..header.clone() }, 1, &all, InvoiceError::NumberOfLines { found });
    let wrong = InvoiceHeader { amount: figure("2"), ..header.clone() };
    rejected(wrong, 1, &all, InvoiceError::NotTheAmount { lines: figure("1.5"), header: figure("2") });
    rejected(
        InvoiceHeader { content: crate::testing::uuid(1), ..header.clone() },
        1,
        &all,
        InvoiceError::NotTheContent,
    );
    rejected(
        InvoiceHeader { to: day(1), ..header.clone() },
        1,
        &all,
        InvoiceError::Period { from: day(1), to: day(1) },
    );
    // No call can be of these years.
    for year in [1, 1969, 2200] {
        let from = NaiveDate::from_ymd_opt(year, 3, 1).unwrap();
        let to = NaiveDate::from_ymd_opt(year, 3, 31).unwrap();
        rejected(InvoiceHeader { from, to, ..header.clone() }, 1, &all, InvoiceError::Period { from, to });
    }
    let early = InvoiceHeader { from: day(2), ..header.clone() };
    let outside = InvoiceError::DayOutsidePeriod { line: 3, day: day(1), from: day(2), to: day(31) };
    rejected(early, 1, &all[2..], outside);
    let empty = InvoiceLine { amount: None, quantity: None, ..all[0].clone() };
    rejected(header.clone(), 1, &[empty], InvoiceError::Empty { line: 1 });
    for (quantity, amount) in [(figure("-1"), figure("1")), (figure("1000000000000000"), Figure::ZERO)] {
        let line = InvoiceLine { quantity: Some(quantity), amount: Some(amount), ..all[0].clone() };
        rejected(header.clone(), 1, &[line], InvoiceError::OutOfRange { line: 1 });
    }
    let other = InvoiceHeader { number: Some(name("INV-2")), ..header };
    given::<Invoice>(recorded(&all)).when(record(&other, 1, &all)).then_rejected(InvoiceError::OtherInvoice);
}

#[test]
fn only_a_complete_invoice_is_reconciled_and_the_same_result_changes_nothing() {
    let all = lines(3);
    let reconciliation = compare(&all, &[]);
    let reconcile = |position| {
        let mut reconciliation = reconciliation.clone();
        reconciliation.summary.position = position;
        InvoiceCommand::Reconcile { reconciliation, at: at(5) }
    };
    given::<Invoice>([]).when(reconcile(7)).then_rejected(InvoiceError::NotRecorded);
    let part = decided(&Invoice::default(), record(&header(&all), 1, &all[..2]));
    let incomplete = InvoiceError::Incomplete { recorded: 2, lines: 3 };
    given::<Invoice>(part).when(reconcile(7)).then_rejected(incomplete);
    given::<Invoice>(recorded(&lines(2))).when(reconcile(7)).then_rejected(InvoiceError::OtherLines);
    let state = given::<Invoice>(recorded(&all));
    let mut events = recorded(&all);
    let folded = |events: &[InvoiceEvent]| events.iter().fold(Invoice::default(), |state, event| state.evolve(event));
    let found = decided(&folded(&events), reconcile(7));
    assert_eq!(found.len(), 2, "the totals, and the variances");
    state.when(reconcile(7)).then(found.clone());
    events.extend(found);
    given::<Invoice>(events.clone()).when(reconcile(9)).then([]);
    // Another result is recorded, but not one of fewer calls.
    let other = |position| {
        let mut reconciliation = compare_within(&all, expected(&[]), figure("7"));
        reconciliation.summary.position = position;
        InvoiceCommand::Reconcile { reconciliation, at: at(6) }
    };
    given::<Invoice>(events.clone()).when(other(6)).then_rejected(InvoiceError::Outdated { known: 7, found: 6 });
    assert!(!decided(&folded(&events), other(7)).is_empty());
    let withdraw = |reason: &str| InvoiceCommand::Withdraw { reason: body(reason), at: at(9) };
    let state = given::<Invoice>(events.clone());
    let withdrawn = InvoiceEvent::Withdrawn(InvoiceWithdrawn { reason: body("wrong"), at: at(9) });
    state.when(withdraw("wrong")).then([withdrawn.clone()]);
    events.push(withdrawn);
    given::<Invoice>(events.clone()).when(withdraw("wrong")).then([]);
    given::<Invoice>(events.clone()).when(withdraw("late")).then_rejected(InvoiceError::AlreadyWithdrawn);
    given::<Invoice>(events.clone()).when(reconcile(9)).then_rejected(InvoiceError::Withdrawn);
    // Recorded again, it is a new version.
    let again = decided(&folded(&events), record(&header(&all), 1, &all));
    assert!(matches!(&again[0], InvoiceEvent::Recorded(recorded) if recorded.revision == 2), "{again:?}");
}

#[test]
fn an_invoice_is_that_of_its_number_or_of_its_period() {
    let header = header(&lines(1));
    let id = header.id();
    assert_eq!(InvoiceHeader { to: day(20), provider: name("OpenAI"), ..header.clone() }.id(), id);
    for other in [
        InvoiceHeader { number: None, ..header.clone() },
        InvoiceHeader { account: Some(name("a")), ..header.clone() },
        InvoiceHeader { provider: name("anthropic"), ..header.clone() },
    ] {
        assert_ne!(other.id(), id);
    }
    let of_period = InvoiceHeader { number: None, ..header };
    assert_ne!(InvoiceHeader { to: day(20), ..of_period.clone() }.id(), of_period.id());
}
