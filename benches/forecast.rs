//! How wrong forecasts of cost are, how often their intervals hold what came, and how many planted bursts are found with how many false
//! alarms: by the method that is chosen, by each other method, and by the naive ones.
//!
//! Series are generated from a fixed seed, and read from public traces in the folder `APEX_DATA` (default: `../shared/data`): each of
//! them has an hour of calls, of which a second stands for an hour, so that they are bursty series of 150 days without a rhythm. `SERIES`
//! names more files, separated by commas, of CSV with a time such as `2014-07-01 00:30:00` and a number in each line, whose sums by the
//! hour are series. `SEEDS` sets how many series of each kind are generated (default: 5).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use projections::outlook::statistics::{Band, Hours, Method, Steps, WEEK_HOURS, detect, detect_by, forecast};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use testkit::bench::setting;

const DAY: usize = 24;
/// The history of a forecast.
const HISTORY: usize = 182 * DAY;
/// The horizons of forecasts, in days.
const HORIZONS: [usize; 2] = [30, 10];
const PERCENT: usize = 80;
/// The history before the four weeks in which bursts are planted, and these weeks.
const BEFORE: usize = 84 * DAY;
const WATCHED: usize = 28 * DAY;
const BURSTS: usize = 10;

/// A series of costs by the hour.
struct Series {
    kind: String,
    costs: Vec<f64>,
    slots: Vec<u16>,
}

/// What a generated series looks like.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    has_rhythm: bool,
    /// How much higher the level is at the end of a year.
    growth: f64,
    /// The probability that an hour has any cost.
    density: f64,
    /// Whether the level changes at once, three times in a year.
    has_steps: bool,
}

const SHAPES: [Shape; 6] = [
    Shape { name: "rhythm", has_rhythm: true, growth: 0.0, density: 1.0, has_steps: false },
    Shape { name: "rhythm, growth", has_rhythm: true, growth: 3.0, density: 1.0, has_steps: false },
    Shape { name: "rhythm, steps", has_rhythm: true, growth: 0.0, density: 1.0, has_steps: true },
    Shape { name: "no rhythm", has_rhythm: false, growth: 0.0, density: 1.0, has_steps: false },
    Shape { name: "no rhythm, growth", has_rhythm: false, growth: 3.0, density: 1.0, has_steps: false },
    Shape { name: "sparse", has_rhythm: false, growth: 0.0, density: 0.05, has_steps: false },
];

fn slots(hours: usize) -> Vec<u16> {
    (0..hours).map(|hour| (hour % WEEK_HOURS) as u16).collect()
}

/// A year of hours. The cost of an hour is the sum of a few calls, whose costs are exponential; days differ by up to a fifth.
fn generated(shape: Shape, seed: u64) -> Series {
    let mut random = StdRng::seed_from_u64(seed);
    let hours = 364 * DAY;
    let mut steps = [(); 3].map(|()| (random.random_range(0..hours), random.random_range(0.5..2.0)));
    steps.sort_by_key(|(at, _)| *at);
    let mut day_level = 1.0;
    let mut costs = Vec::with_capacity(hours);
    for hour in 0..hours {
        if hour % DAY == 0 {
            day_level = random.random_range(0.8..1.2);
        }
        let slot = hour % WEEK_HOURS;
        let rhythm = match (shape.has_rhythm, slot >= 5 * DAY, (8..19).contains(&(slot % DAY))) {
            (false, _, _) => 1.0,
            (true, true, _) => 0.2,
            (true, false, true) => 3.0,
            (true, false, false) => 0.4,
        };
        let mut level = day_level * rhythm * (1.0 + shape.growth * hour as f64 / hours as f64);
        if shape.has_steps {
            level *= steps.iter().filter(|(at, _)| *at <= hour).map(|(_, factor)| factor).product::<f64>();
        }
        let calls: f64 = (0..8).map(|_| -random.random_range(f64::EPSILON..1.0_f64).ln()).sum();
        costs.push(if random.random_bool(shape.density) { level * calls / 8.0 } else { 0.0 });
    }
    Series { kind: shape.name.to_owned(), slots: slots(hours), costs }
}

fn data_folder() -> PathBuf {
    std::env::var("APEX_DATA").map_or_else(|_| Path::new("../shared/data").to_owned(), PathBuf::from)
}

fn text(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        return Some(text);
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// The sums by second of tokens in and out, at 3 and 15 US dollars per million.
fn by_second(kind: &str, calls: impl Iterator<Item = (f64, f64, f64)>) -> Series {
    let calls: Vec<_> = calls.collect();
    let first = calls.iter().map(|(at, _, _)| *at).fold(f64::INFINITY, f64::min);
    let last = calls.iter().map(|(at, _, _)| *at).fold(0.0, f64::max);
    let mut costs = vec![0.0; (last - first) as usize + 1];
    for (at, input, output) in calls {
        costs[(at - first) as usize] += (3.0 * input + 15.0 * output) / 1e6;
    }
    Series { kind: kind.to_owned(), slots: slots(costs.len()), costs }
}

fn traces() -> Vec<Series> {
    let folder = data_folder();
    let azure = folder.join("azure-llm-code-2023/AzureLLMInferenceTrace_code.csv");
    let mooncake = folder.join("mooncake-conversation/conversation_trace.jsonl.gz");
    let mut found = Vec::new();
    match text(&azure) {
        Some(text) => {
            let call = |line: &str| {
                let mut cells = line.trim().split(',');
                let at = NaiveDateTime::parse_from_str(cells.next()?, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                let at = at.and_utc().timestamp_millis() as f64 / 1e3;
                Some((at, cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
            };
            found.push(by_second("Azure code 2023", text.lines().filter_map(call)));
        }
        None => println!("{} is not there: skipped", azure.display()),
    }
    match text(&mooncake) {
        Some(text) => {
            let call = |line: &str| {
                let call: serde_json::Value = serde_json::from_str(line).ok()?;
                let number = |name: &str| call[name].as_f64();
                Some((number("timestamp")? / 1e3, number("input_length")?, number("output_length")?))
            };
            found.push(by_second("Mooncake", text.lines().filter_map(call)));
        }
        None => println!("{} is not there: skipped", mooncake.display()),
    }
    found
}

/// The series of the files that the variable `SERIES` names.
fn named() -> Vec<Series> {
    let names = std::env::var("SERIES").unwrap_or_default();
    let series = |name: &str| {
        let path = Path::new(name);
        let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
        for line in text(path).unwrap().lines().skip(1) {
            let (at, value) = line.split_once(',').unwrap();
            let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S").unwrap().and_utc();
            *sums.entry(at.timestamp().div_euclid(3_600)).or_default() += value.trim().parse::<f64>().unwrap();
        }
        let (first, last) = (*sums.keys().next().unwrap(), *sums.keys().last().unwrap());
        let slot = |hour: i64| {
            let at = chrono::DateTime::from_timestamp(hour * 3_600, 0).unwrap();
            (at.weekday().num_days_from_monday() * 24 + at.hour()) as u16
        };
        Series {
            kind: path.file_stem().unwrap().to_string_lossy().into_owned(),
            costs: (first..=last).map(|hour| sums.get(&hour).copied().unwrap_or_default()).collect(),
            slots: (first..=last).map(slot).collect(),
        }
    };
    names.split(',').filter(|name| !name.is_empty()).map(series).collect()
}

/// The errors of forecasts of one kind of series.
#[derive(Default)]
struct Errors {
    actual: f64,
    chosen: f64,
    methods: [f64; Method::ALL.len()],
    used: BTreeMap<&'static str, usize>,
    intervals: usize,
    held: usize,
    /// The widths of the intervals, in relation to what came.
    widths: f64,
    forecasts: usize,
}

impl Errors {
    /// Forecasts a series every week after 90 days.
    fn add(&mut self, series: &Series, horizon: usize) {
        let last = series.costs.len().saturating_sub(horizon);
        for at in ((90 * DAY).min(last)..last).step_by(7 * DAY) {
            let from = at.saturating_sub(HISTORY);
            let hours = Hours { costs: &series.costs[from..at], slots: &series.slots[from..] };
            let Ok(made) = forecast(hours, horizon, PERCENT) else { continue };
            let came: f64 = series.costs[at..at + horizon].iter().sum();
            self.forecasts += 1;
            self.actual += came;
            self.chosen += (made.sum - came).abs();
            *self.used.entry(made.method.as_str()).or_default() += 1;
            for (error, sum) in self.methods.iter_mut().zip(hours.sums(horizon)) {
                *error += (sum.unwrap_or_default() - came).abs();
            }
            if let Some((lower, upper)) = made.interval {
                self.intervals += 1;
                self.held += usize::from(lower <= came && came <= upper);
                self.widths += (upper - lower) / came.max(f64::MIN_POSITIVE);
            }
        }
    }

    fn print(&self, kind: &str, days: usize) {
        let per_cent = |error: f64| format!("{:5.1} %", 100.0 * error / self.actual.max(f64::MIN_POSITIVE));
        let methods = Method::ALL.iter().zip(self.methods);
        let methods = methods.map(|(method, error)| format!("{} {}", method.as_str(), per_cent(error)));
        let used = self.used.iter().map(|(method, times)| format!("{method} {times}")).collect::<Vec<_>>().join(", ");
        let intervals = self.intervals.max(1) as f64;
        println!(
            "{kind}, {days} days: {} forecasts, error {} (used {used}); {}; interval of {PERCENT} % held {:.0} % of {}, mean width \
             {:.0} %",
            self.forecasts,
            per_cent(self.chosen),
            methods.collect::<Vec<_>>().join(", "),
            100.0 * self.held as f64 / intervals,
            self.intervals,
            100.0 * self.widths / intervals,
        );
    }
}

/// What detectors of one kind of series found.
#[derive(Default)]
struct Found {
    planted: usize,
    /// Of the chosen band, then of each band: bursts and false alarms.
    by: [(usize, usize); Band::ALL.len() + 1],
    used: BTreeMap<&'static str, usize>,
}

impl Found {
    /// Plants bursts of some mean hours into the last weeks of a series.
    fn add(&mut self, series: &Series, seed: u64, size: f64) {
        let Some(from) = series.costs.len().checked_sub(BEFORE + WATCHED) else { return };
        let (mut costs, slots) = (series.costs[from..].to_vec(), &series.slots[from..]);
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        let mut random = StdRng::seed_from_u64(seed);
        // At least a day apart.
        let bursts: Vec<usize> = (0..BURSTS)
            .map(|n| BEFORE + n * WATCHED / BURSTS + random.random_range(0..WATCHED / BURSTS - DAY))
            .collect();
        bursts.iter().for_each(|at| costs[*at] += size * mean);
        let steps = Steps { costs: &costs, slots, per_week: WEEK_HOURS };
        let chosen = detect(&steps, BEFORE).unwrap();
        *self.used.entry(chosen.band.as_str()).or_default() += 1;
        self.planted += bursts.len();
        let of_bands = Band::ALL.map(|band| detect_by(band, &steps, BEFORE).unwrap());
        for (found, (hits, alarms)) in [chosen.outliers].iter().chain(&of_bands).zip(&mut self.by) {
            let hit = found.iter().filter(|outlier| bursts.contains(&outlier.at)).count();
            *hits += hit;
            *alarms += found.len() - hit;
        }
    }

    fn print(&self, kind: &str, size: f64) {
        if self.planted == 0 {
            return println!("{kind}: too short for bursts");
        }
        let names = ["chosen"].into_iter().chain(Band::ALL.map(Band::as_str));
        let by = names.zip(self.by).map(|(name, (hits, alarms))| format!("{name} {hits} and {alarms}"));
        let used = self.used.iter().map(|(band, times)| format!("{band} {times}")).collect::<Vec<_>>().join(", ");
        println!(
            "{kind}, {} bursts of {size} mean hours: found, and false alarms: {} (used {used})",
            self.planted,
            by.collect::<Vec<_>>().join(", ")
        );
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let seeds = setting("SEEDS", 5);
    let generated =
        SHAPES.map(|shape| (shape.name.to_owned(), (0..seeds).map(|seed| generated(shape, seed)).collect::<Vec<_>>()));
    let read = traces().into_iter().chain(named()).map(|series| (series.kind.clone(), vec![series]));
    let kinds: Vec<(String, Vec<Series>)> = generated.into_iter().chain(read).collect();
    println!("Forecasts: the sum of absolute errors, in per cent of what came");
    for (kind, series) in &kinds {
        for days in HORIZONS {
            let mut errors = Errors::default();
            series.iter().for_each(|series| errors.add(series, days * DAY));
            errors.print(kind, days);
        }
    }
    println!("Anomalies: in four weeks after twelve weeks of history");
    for (kind, series) in &kinds {
        for size in [0.0, 5.0, 10.0] {
            let mut found = Found::default();
            series.iter().zip(0..).for_each(|(series, seed)| found.add(series, seed, size));
            found.print(kind, size);
        }
    }
}
