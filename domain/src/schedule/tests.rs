use super::*;
use crate::ids::{ScheduleId, SessionId, UserId};
use crate::testing::{at, body, given, name, uuid};
use chrono::{Days, TimeDelta};
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn timing(cadence: Cadence, time: &str, zone: Tz, period: PeriodUnit) -> Timing {
    Timing { cadence, time: time.parse().unwrap(), time_zone: zone, period, delay_minutes: 0 }
}

fn daily(time: &str, zone: Tz) -> Timing {
    timing(Cadence::Day, time, zone, PeriodUnit::Day)
}

fn definition() -> ScheduleDefinition {
    ScheduleDefinition {
        name: name("costs"),
        content: ScheduledContent::new(ContentKind::CostReport, FileFormat::Csv),
        timing: daily("06:30", Tz::Europe__Berlin),
        file: FilePattern::new("costs-{period}.csv").unwrap(),
    }
}

fn by(owner: ScheduleOwner, definition: ScheduleDefinition) -> ScheduleDefined {
    ScheduleDefined { definition, owner, reason: Some(body("a test")), at: at(0) }
}

fn defined() -> ScheduleDefined {
    by(ScheduleOwner::CommandLine, definition())
}

fn changed() -> ScheduleDefined {
    by(ScheduleOwner::CommandLine, ScheduleDefinition { name: name("other"), ..definition() })
}

fn moved() -> ScheduleMoved {
    ScheduleMoved { reason: Some(body("because")), at: at(1) }
}

fn period() -> CoveredPeriod {
    CoveredPeriod { name: "2026-10-24".to_owned(), from: utc("2026-10-23T22:00:00Z"), to: utc("2026-10-24T22:00:00Z") }
}

fn ran(run: ScheduleRun) -> ScheduleRan {
    let (file, sha256) = ("costs-2026-10-24.csv".to_owned(), "ab".repeat(32));
    ScheduleRan { run, period: period(), file, bytes: 10, sha256, rows: 1, position: 7, at: at(2) }
}

fn failed(reason: &str, is_final: bool) -> ScheduleFailed {
    let run = ScheduleRun::Due { at: at(5) };
    ScheduleFailed { run, period: period(), reason: failure_reason(reason), is_final, at: at(2) }
}

const DUE: fn(i64) -> ScheduleRun = |second| ScheduleRun::Due { at: at(second) };

#[test]
fn a_schedule_is_defined_once_and_changed_by_anybody_who_then_owns_it() {
    let events = [ScheduleEvent::Defined(defined())];
    let state = given::<Schedule>([]).when(ScheduleCommand::Define(defined())).then(events.clone());
    assert_eq!((state.status(), state.generation()), (Some(ScheduleStatus::Active), 1));
    assert_eq!(state.decide(ScheduleCommand::Define(defined())), Ok(vec![]), "the same definition again");
    assert_eq!(state.decide(ScheduleCommand::Define(changed())), Err(ScheduleError::AlreadyDefined));
    assert_eq!(state.decide(ScheduleCommand::Change(defined())), Ok(vec![]));
    let user = |session| ScheduleOwner::User { user_id: UserId(uuid(1)), session_id: SessionId(uuid(session)) };
    let by_user = by(user(1), definition());
    let state = given::<Schedule>(events)
        .when(ScheduleCommand::Change(by_user.clone()))
        .then([ScheduleEvent::Changed(by_user)]);
    assert_eq!((state.owner(), state.generation()), (Some(user(1)), 2));
    assert_eq!(state.decide(ScheduleCommand::Change(by(user(2), definition()))), Ok(vec![]), "the same user");
}

#[test]
fn a_paused_schedule_runs_when_it_is_resumed_and_a_deleted_one_never() {
    let active = [ScheduleEvent::Defined(defined())];
    let paused = [active[0].clone(), ScheduleEvent::Paused(moved())];
    given::<Schedule>(active.clone()).when(ScheduleCommand::Pause(moved())).then([ScheduleEvent::Paused(moved())]);
    given::<Schedule>(active.clone()).when(ScheduleCommand::Resume(moved())).then([]);
    given::<Schedule>(paused.clone()).when(ScheduleCommand::Pause(moved())).then([]);
    let state = given::<Schedule>(paused.clone())
        .when(ScheduleCommand::Resume(moved()))
        .then([ScheduleEvent::Resumed(moved())]);
    assert_eq!((state.status(), state.generation()), (Some(ScheduleStatus::Active), 3));
    let changed =
        given::<Schedule>(paused).when(ScheduleCommand::Change(changed())).then([ScheduleEvent::Changed(changed())]);
    assert_eq!(changed.status(), Some(ScheduleStatus::Paused), "a change does not resume it");
    let deleted = [active[0].clone(), ScheduleEvent::Deleted(moved())];
    given::<Schedule>(active).when(ScheduleCommand::Delete(moved())).then([ScheduleEvent::Deleted(moved())]);
    given::<Schedule>(deleted.clone()).when(ScheduleCommand::Delete(moved())).then([]);
    for command in [
        ScheduleCommand::Define(defined()),
        ScheduleCommand::Change(defined()),
        ScheduleCommand::Pause(moved()),
        ScheduleCommand::Resume(moved()),
        ScheduleCommand::RequestRun { day: None, at: at(0) },
        ScheduleCommand::RecordRun { ran: ran(DUE(5)), generation: 1 },
    ] {
        given::<Schedule>(deleted.clone()).when(command).then_rejected(ScheduleError::Deleted);
    }
    given::<Schedule>([]).when(ScheduleCommand::Pause(moved())).then_rejected(ScheduleError::NotDefined);
}

#[test]
fn a_run_is_recorded_once_and_only_for_the_present_definition() {
    let events = [ScheduleEvent::Defined(defined())];
    let record = |generation| ScheduleCommand::RecordRun { ran: ran(DUE(5)), generation };
    let state = given::<Schedule>(events.clone()).when(record(1)).then([ScheduleEvent::Ran(ran(DUE(5)))]);
    assert_eq!(state.decide(record(1)), Ok(vec![]));
    let other = ScheduleRan { sha256: "cd".repeat(32), ..ran(DUE(5)) };
    let other = ScheduleCommand::RecordRun { ran: other, generation: 1 };
    assert_eq!(state.decide(other), Ok(vec![]), "the file of the first one stays");
    assert_eq!(state.run(DUE(5)).map(|run| run.sha256.len()), Some(64));
    let changed = [events[0].clone(), ScheduleEvent::Changed(changed())];
    given::<Schedule>(changed).when(record(1)).then_rejected(ScheduleError::Superseded);
    let paused = [events[0].clone(), ScheduleEvent::Paused(moved())];
    given::<Schedule>(paused).when(record(1)).then_rejected(ScheduleError::Superseded);
}

#[test]
fn a_failure_is_recorded_once_and_a_final_one_ends_the_schedule() {
    let record = |reason: &str, is_final| {
        let failed = failed(reason, is_final);
        ScheduleCommand::RecordFailure { failed, generation: 1 }
    };
    let events = [ScheduleEvent::Defined(defined())];
    let state = given::<Schedule>(events.clone())
        .when(record("disk full", false))
        .then([ScheduleEvent::Failed(failed("disk full", false))]);
    assert_eq!(state.status(), Some(ScheduleStatus::Active));
    assert_eq!(state.decide(record("disk full", false)), Ok(vec![]));
    assert_eq!(state.decide(record("read-only", false)), Ok(vec![ScheduleEvent::Failed(failed("read-only", false))]));
    let last = ScheduleEvent::Failed(failed("forbidden", true));
    let ended = given::<Schedule>(events.clone()).when(record("forbidden", true)).then([last.clone()]);
    assert_eq!(ended.status(), Some(ScheduleStatus::Ended));
    let request = ScheduleCommand::RequestRun { day: None, at: at(0) };
    assert_eq!(ended.decide(request), Err(ScheduleError::Ended));
    let ended = [events[0].clone(), last];
    let resumed =
        given::<Schedule>(ended.clone()).when(ScheduleCommand::Resume(moved())).then([ScheduleEvent::Resumed(moved())]);
    assert_eq!(resumed.status(), Some(ScheduleStatus::Active));
    let again =
        given::<Schedule>(ended).when(ScheduleCommand::Change(defined())).then([ScheduleEvent::Changed(defined())]);
    assert_eq!(again.status(), Some(ScheduleStatus::Active));
}

#[test]
fn skipped_runs_are_recorded_once() {
    let skipped = |last| ScheduleSkipped { first: at(1), last: at(last), runs: 5, at: at(100) };
    let record = |last| ScheduleCommand::RecordSkipped { skipped: skipped(last), generation: 1 };
    let events = [ScheduleEvent::Defined(defined())];
    let state = given::<Schedule>(events).when(record(9)).then([ScheduleEvent::Skipped(skipped(9))]);
    assert_eq!(state.decide(record(9)), Ok(vec![]));
    assert_eq!(state.decide(record(10)), Ok(vec![ScheduleEvent::Skipped(skipped(10))]));
}

#[test]
fn a_run_is_requested_of_a_period_that_is_over() {
    let events = [ScheduleEvent::Defined(defined())];
    let at = utc("2026-10-25T10:00:00Z");
    let requested = |number, name: &str, from: &str, to: &str| {
        let period = CoveredPeriod { name: name.to_owned(), from: utc(from), to: utc(to) };
        ScheduleEvent::RunRequested(RunRequested { number, period, at })
    };
    let day = |day: &str| ScheduleCommand::RequestRun { day: day.parse().ok(), at };
    let first = requested(1, "2026-10-24", "2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z");
    let state = given::<Schedule>(events).when(ScheduleCommand::RequestRun { day: None, at }).then([first]);
    let second = requested(2, "2026-10-01", "2026-09-30T22:00:00Z", "2026-10-01T22:00:00Z");
    assert_eq!(state.decide(day("2026-10-01")), Ok(vec![second]));
    // The day has 25 hours, and is not over.
    assert_eq!(state.decide(day("2026-10-25")), Err(ScheduleError::PeriodNotOver(utc("2026-10-25T23:00:00Z"))));
    // No call can have started then, and most of these days cannot be written as those of a read model.
    for out in ["-5000-01-01", "0000-01-01", "1969-12-31", "2200-01-01", "+12000-01-01"] {
        let out: NaiveDate = out.parse().unwrap();
        let command = ScheduleCommand::RequestRun { day: Some(out), at };
        assert_eq!(state.decide(command), Err(ScheduleError::NoPeriod(out)));
    }
    // In Berlin, the first day of 1970 began in 1969.
    for edge in [NaiveDate::MIN, NaiveDate::MAX, NaiveDate::from_ymd_opt(1970, 1, 1).unwrap()] {
        let command = ScheduleCommand::RequestRun { day: Some(edge), at };
        assert_eq!(state.decide(command), Err(ScheduleError::NoPeriod(edge)));
    }
}

#[test]
fn requested_runs_that_wait_are_bounded_until_they_have_an_outcome() {
    let request = ScheduleCommand::RequestRun { day: None, at: utc("2026-10-25T10:00:00Z") };
    let mut state = Schedule::default().evolve(&ScheduleEvent::Defined(defined()));
    for _ in 0..MAX_WAITING_REQUESTS {
        let events = state.decide(request.clone()).unwrap();
        state = events.iter().fold(state, Schedule::evolve);
    }
    assert_eq!(state.decide(request.clone()), Err(ScheduleError::TooManyRequests));
    let requested = |number| ScheduleRun::Requested { number };
    let failed = ScheduleFailed { run: requested(2), ..failed("disk full", false) };
    for outcome in [ScheduleEvent::Ran(ran(requested(1))), ScheduleEvent::Failed(failed)] {
        let state = state.clone().evolve(&outcome);
        assert!(state.decide(request.clone()).is_ok(), "{outcome:?}");
        let again = state.clone().evolve(&outcome);
        assert_eq!(again.waiting.len(), MAX_WAITING_REQUESTS - 1, "an outcome counts once");
    }
    let due = state.clone().evolve(&ScheduleEvent::Ran(ran(DUE(5))));
    assert_eq!(due.decide(request.clone()), Err(ScheduleError::TooManyRequests));
    let resumed = state.evolve(&ScheduleEvent::Resumed(moved()));
    assert!(resumed.decide(request).is_ok());
}

#[test]
fn a_final_failure_of_an_earlier_owner_does_not_end_the_schedule_of_a_later_one() {
    let run = ScheduleRun::Requested { number: 1 };
    let forbidden = ScheduleFailed { run, ..failed("forbidden", true) };
    let record = |generation| ScheduleCommand::RecordFailure { failed: forbidden.clone(), generation };
    let events = [ScheduleEvent::Defined(defined()), ScheduleEvent::Changed(changed())];
    given::<Schedule>(events.clone()).when(record(1)).then_rejected(ScheduleError::Superseded);
    given::<Schedule>(events).when(record(2)).then([ScheduleEvent::Failed(forbidden.clone())]);
}

#[test]
fn a_loss_of_the_file_of_a_recorded_run_is_recorded_once() {
    let events = [ScheduleEvent::Defined(defined()), ScheduleEvent::Ran(ran(DUE(5)))];
    let late = ScheduleCommand::RecordFailure { failed: failed("late", false), generation: 1 };
    let lost = || ScheduleCommand::RecordLoss { failed: failed("lost", false) };
    let state = given::<Schedule>(events.clone()).when(late).then([]);
    assert_eq!(state.decide(lost()), Ok(vec![ScheduleEvent::Failed(failed("lost", false))]));
    let state = given::<Schedule>(events).when(lost()).then([ScheduleEvent::Failed(failed("lost", false))]);
    assert_eq!(state.decide(lost()), Ok(vec![]));
    assert!(state.run(DUE(5)).is_some() && state.status() == Some(ScheduleStatus::Active));
    given::<Schedule>([]).when(lost()).then_rejected(ScheduleError::NotDefined);
}

#[test]
fn a_schedule_remembers_its_last_runs() {
    let mut state = [ScheduleEvent::Defined(defined())].iter().fold(Schedule::default(), Schedule::evolve);
    for second in 0..=100 {
        state = state.evolve(&ScheduleEvent::Ran(ran(DUE(second))));
    }
    assert!(state.run(DUE(0)).is_none() && state.run(DUE(1)).is_some() && state.run(DUE(100)).is_some());
}

#[test]
fn options_and_formats_are_those_of_the_content() {
    let check = |change: fn(&mut ScheduleDefinition)| {
        let mut changed = definition();
        change(&mut changed);
        Schedule::default().decide(ScheduleCommand::Define(by(ScheduleOwner::CommandLine, changed))).map(|_| ())
    };
    assert_eq!(check(|_| {}), Ok(()));
    let option = |option, kind| Err(ScheduleError::Option { option, kind, reason: "is not an option of" });
    assert_eq!(check(|of| of.content.digits = Some(2)), option("digits", "cost_report"));
    assert_eq!(check(|of| of.content.focus_version = Some(FocusEdition::V1_4)), option("focus_version", "cost_report"));
    let calls =
        |of: &mut ScheduleDefinition| of.content = ScheduledContent::new(ContentKind::Calls, FileFormat::Parquet);
    assert_eq!(check(calls), Ok(()));
    let with_top = |of: &mut ScheduleDefinition| {
        of.content = ScheduledContent::new(ContentKind::Calls, FileFormat::Csv);
        of.content.top = Some(3);
    };
    assert_eq!(check(with_top), option("top", "calls"));
    assert!(matches!(check(|of| of.content.format = FileFormat::Parquet), Err(ScheduleError::InvalidFormat { .. })));
    assert!(matches!(check(|of| of.content.by = vec![name("model"); 9]), Err(ScheduleError::TooManyDimensions)));
    let focus = |of: &mut ScheduleDefinition| of.content = ScheduledContent::new(ContentKind::Focus, FileFormat::Csv);
    assert_eq!(check(focus), Err(ScheduleError::FocusNotInUtc("Europe/Berlin")));
    let digits = |of: &mut ScheduleDefinition| {
        of.content = ScheduledContent::new(ContentKind::CostStatements, FileFormat::Json);
        of.content.digits = Some(13);
    };
    assert_eq!(check(digits), Err(ScheduleError::TooManyDigits(13)));
    assert_eq!(check(|of| of.timing.cadence = Cadence::Month { day: 29 }), Err(ScheduleError::InvalidDay(29)));
    assert_eq!(check(|of| of.timing.cadence = Cadence::Month { day: 0 }), Err(ScheduleError::InvalidDay(0)));
    assert_eq!(check(|of| of.timing.delay_minutes = 40_321), Err(ScheduleError::DelayTooLong(40_321)));
}

#[test]
fn a_file_has_a_name_and_no_path() {
    let schedule = ScheduleId(uuid(7));
    let of = |pattern: &str| FilePattern::new(pattern).map(|pattern| pattern.name(schedule, "2026-W43", 12));
    assert_eq!(of("costs-{period}.csv").as_deref(), Ok("costs-2026-W43.csv"));
    assert_eq!(of("{period}").as_deref(), Ok("2026-W43"));
    assert_eq!(of("{schedule}_{period}_{position}.x").as_deref(), Ok(&*format!("{schedule}_2026-W43_12.x")));
    for escape in [
        "../{period}.csv",
        "/etc/{period}",
        "a/{period}",
        "{period}/..",
        "..",
        ".{period}",
        "-{period}",
        "a\\{period}",
        "{period}\0",
        "{period}\n",
        "costs.csv",
        "",
        "{period",
        "period}",
        "}{period",
        "period}{",
        "{period}}{",
        "{{period}}",
        "{}{period}",
        "{tenant}-{period}",
        "é{period}",
    ] {
        assert!(matches!(of(escape), Err(ScheduleError::InvalidFile { .. })), "{escape:?}: {:?}", of(escape));
    }
    assert!(
        of(&format!("{}{{period}}", "x".repeat(112))).is_ok() && of(&format!("{}{{period}}", "x".repeat(113))).is_err()
    );
    // The names are bounded, too: 10 bytes and 6 or 7 times 36.
    let longest = of(&format!("{}{{period}}", "{schedule}".repeat(6))).unwrap();
    assert!(longest.len() <= MAX_FILE_NAME_BYTES, "{longest}");
    assert!(of(&format!("{}{{period}}", "{schedule}".repeat(7))).is_err());
}

#[test]
fn a_local_time_that_does_not_exist_is_the_next_one_and_one_that_exists_twice_is_the_first() {
    let berlin = daily("02:30", Tz::Europe__Berlin);
    let next = |after: &str| berlin.next_after(utc(after)).unwrap();
    // On 29 March 2026, 02:00 to 03:00 did not exist: the run is at 03:00, summer time.
    assert_eq!(next("2026-03-28T12:00:00Z"), utc("2026-03-29T01:00:00Z"));
    assert_eq!(next("2026-03-29T01:00:00Z"), utc("2026-03-30T00:30:00Z"));
    // On 25 October 2026, 02:00 to 03:00 existed twice: the run is at the first 02:30, and there is no second one.
    assert_eq!(next("2026-10-24T12:00:00Z"), utc("2026-10-25T00:30:00Z"));
    assert_eq!(next("2026-10-25T00:30:00Z"), utc("2026-10-26T01:30:00Z"));
    // The days have 23 and 25 hours.
    let hours = |run: &str| {
        let period = berlin.period_of_run(utc(run)).unwrap();
        (period.name, (period.to - period.from).num_hours())
    };
    assert_eq!(hours("2026-03-30T00:30:00Z"), ("2026-03-29".to_owned(), 23));
    assert_eq!(hours("2026-10-26T01:30:00Z"), ("2026-10-25".to_owned(), 25));
    // Where midnight does not exist, the day begins at the first time that does.
    let cairo = daily("00:30", Tz::Africa__Cairo);
    assert_eq!(cairo.next_after(utc("2024-04-25T12:00:00Z")), Some(utc("2024-04-25T22:00:00Z")));
    // Samoa had no 30 December 2011: its run is when the 31st begins, and the 31st has no run for a day that did not exist.
    let apia = daily("09:00", Tz::Pacific__Apia);
    assert_eq!(apia.next_after(utc("2011-12-29T20:00:00Z")), Some(utc("2011-12-30T10:00:00Z")));
    assert_eq!(apia.next_after(utc("2011-12-30T10:00:00Z")), Some(utc("2011-12-31T19:00:00Z")));
    assert_eq!(apia.period_of_run(utc("2011-12-30T10:00:00Z")).unwrap().name, "2011-12-29");
}

#[test]
fn weeks_and_months_are_covered_when_they_are_over() {
    let weekly = timing(Cadence::Week { weekday: DayOfWeek::Tuesday }, "06:00", Tz::UTC, PeriodUnit::Week);
    let run = weekly.next_after(utc("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(run, utc("2026-01-06T06:00:00Z"));
    let period = weekly.period_of_run(run).unwrap();
    assert_eq!(period.name, "2026-W01");
    assert_eq!((period.from, period.to), (utc("2025-12-29T00:00:00Z"), utc("2026-01-05T00:00:00Z")));
    let monthly = Timing {
        delay_minutes: 60 * 24 * 2,
        ..timing(Cadence::Month { day: 1 }, "00:00", Tz::America__New_York, PeriodUnit::Month)
    };
    // On the second, the run of the first is still to be made.
    assert_eq!(monthly.next_made_after(utc("2026-03-02T12:00:00Z")), Some(utc("2026-03-01T05:00:00Z")));
    assert_eq!(monthly.next_made_after(utc("2026-03-03T05:00:00Z")), Some(utc("2026-04-01T04:00:00Z")));
    let period = monthly.period_of_run(utc("2026-04-01T04:00:00Z")).unwrap();
    assert_eq!(
        (period.name.as_str(), period.from, period.to),
        ("2026-03", utc("2026-03-01T05:00:00Z"), utc("2026-04-01T04:00:00Z"))
    );
    assert_eq!(monthly.period_of_run(utc("2026-04-01T04:00:01Z")), None);
}

#[test]
fn a_time_of_day_has_hours_and_minutes() {
    for text in ["00:00", "06:30", "23:59"] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
    }
    for text in ["24:00", "6:30", "06:60", "06:30:00", "+6:30", "", "noon"] {
        assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
    }
}

fn any_timing() -> impl Strategy<Value = Timing> {
    let cadence = prop_oneof![
        Just(Cadence::Day),
        (0_usize..7).prop_map(|day| Cadence::Week { weekday: DayOfWeek::ALL[day] }),
        (1_u8..=MAX_DAY_OF_MONTH).prop_map(|day| Cadence::Month { day }),
    ];
    let zone = (0..TZ_VARIANTS.len()).prop_map(|index| TZ_VARIANTS[index]);
    (cadence, 0_u32..1440, zone, 0_usize..3).prop_map(|(cadence, minutes, time_zone, unit)| Timing {
        cadence,
        time: format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().unwrap(),
        time_zone,
        period: PeriodUnit::ALL[unit],
        delay_minutes: 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// In every zone, whatever its clocks do: runs go on, each in its own day, of a period that is over.
    #[test]
    fn runs_are_in_order_and_cover_periods_that_are_over(timing in any_timing(), day in 0_u64..22_000) {
        let start = utc("1975-01-01T00:00:00Z") + Days::new(day);
        let (mut at, mut last) = (start, None);
        for _ in 0..40 {
            let next = timing.next_after(at).unwrap();
            prop_assert!(next > at && next - at <= TimeDelta::days(34), "{next} after {at}");
            let period = timing.period_of_run(next).unwrap();
            prop_assert!(period.from < period.to && period.to <= next, "{period:?} at {next}");
            // None where clocks left out the day after it.
            let over = timing.period_over_at(period.to).unwrap_or_else(|| period.clone());
            prop_assert_eq!(&over, &period);
            if let Some(last) = last {
                prop_assert!(period.from >= last, "{period:?} begins before {last}");
            }
            last = Some(period.from);
            at = next;
        }
    }

    /// A schedule that runs as often as its periods are long misses none and covers none twice.
    #[test]
    fn periods_of_the_cadence_follow_each_other_without_gaps(timing in any_timing(), day in 0_u64..22_000) {
        let period = match timing.cadence {
            Cadence::Day => PeriodUnit::Day,
            Cadence::Week { .. } => PeriodUnit::Week,
            Cadence::Month { .. } => PeriodUnit::Month,
        };
        let timing = Timing { period, ..timing };
        let mut at = utc("1975-01-01T00:00:00Z") + Days::new(day);
        let mut end: Option<DateTime<Utc>> = None;
        for _ in 0..30 {
            at = timing.next_after(at).unwrap();
            let period = timing.period_of_run(at).unwrap();
            if let Some(end) = end {
                prop_assert_eq!(end, period.from);
            }
            end = Some(period.to);
        }
    }
}
