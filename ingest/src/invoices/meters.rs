//! What the texts of invoices mean as meters.

use domain::Meter;
use std::collections::BTreeMap;
use thiserror::Error;

/// Names that invoices and exports have for meters, beside those of Apex: in lower case, with a blank between words.
const NAMES: [(&str, Meter); 25] = [
    ("input", Meter::Input),
    ("prompt", Meter::Input),
    ("prompt tokens", Meter::Input),
    ("text input", Meter::Input),
    ("uncached input", Meter::Input),
    ("uncached input tokens", Meter::Input),
    ("base input tokens", Meter::Input),
    ("output", Meter::Output),
    ("completion", Meter::Output),
    ("completion tokens", Meter::Output),
    ("text output", Meter::Output),
    ("cached input", Meter::CacheRead),
    ("cached input tokens", Meter::CacheRead),
    ("cache read input tokens", Meter::CacheRead),
    ("cache hits", Meter::CacheRead),
    ("cache write", Meter::CacheWrite5Min),
    ("cache write tokens", Meter::CacheWrite5Min),
    ("cache creation.ephemeral 5m input tokens", Meter::CacheWrite5Min),
    ("cache creation.ephemeral 1h input tokens", Meter::CacheWrite1Hour),
    ("audio input", Meter::AudioInput),
    ("audio output", Meter::AudioOutput),
    ("image input", Meter::ImageInput),
    ("image output", Meter::ImageOutput),
    ("web search", Meter::Searches),
    ("web searches", Meter::Searches),
];

/// The largest number of units that one unit of an invoice may be.
const MAX_FACTOR: u64 = 1_000_000_000;

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A meter, and the number of its units that a unit of the invoice is.
    Meter(Meter, u64),
    /// A line of no meter, such as a total: it is left out, and counted.
    LeftOut,
    /// A line of all meters.
    AllMeters,
}

/// Why a text does not say what the name of a meter means.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{found:?} is not of the form NAME=METER, NAME=METER*UNITS, NAME=* for all meters, or NAME=- to leave lines out; meters are {meters}"
)]
pub struct MeterNameError {
    found: String,
    meters: String,
}

/// What the texts of a column of meters mean, beside those that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeterNames(BTreeMap<String, Meaning>);

impl MeterNames {
    /// The meanings that texts such as `Input tokens (1K)=input*1000` say.
    ///
    /// # Errors
    /// [`MeterNameError`] if a text has another form.
    pub fn parse(texts: &[String]) -> Result<Self, MeterNameError> {
        let mut names = BTreeMap::new();
        for text in texts {
            let error = || MeterNameError {
                found: text.chars().take(64).collect(),
                meters: Meter::ALL.iter().map(|meter| meter.name()).collect::<Vec<_>>().join(", "),
            };
            let (name, meaning) = text.rsplit_once('=').ok_or_else(error)?;
            let meaning = match meaning.trim() {
                "-" => Meaning::LeftOut,
                "*" => Meaning::AllMeters,
                meaning => {
                    let (meter, units) = meaning.split_once('*').unwrap_or((meaning, "1"));
                    let units = units.trim().parse().ok().filter(|units| (1..=MAX_FACTOR).contains(units));
                    let meter = meter.trim().parse().map_err(|_| error())?;
                    Meaning::Meter(meter, units.ok_or_else(error)?)
                }
            };
            names.insert(common(name), meaning);
        }
        Ok(Self(names))
    }

    /// What a text means; none if it is not known.
    pub(super) fn meaning(&self, text: &str) -> Option<Meaning> {
        let text = common(text);
        self.0.get(&text).copied().or_else(|| known(&text).map(|meter| Meaning::Meter(meter, 1)))
    }
}

/// A name in lower case, with one blank between words.
fn common(text: &str) -> String {
    let text = text.to_lowercase().replace(['_', '-'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The meter that a text is known to name, in whatever case.
pub(super) fn meter(text: &str) -> Option<Meter> {
    known(&common(text))
}

fn known(text: &str) -> Option<Meter> {
    let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, meter)| *meter);
    named.or_else(|| {
        Meter::ALL.iter().copied().find(|meter| common(meter.name()) == text || common(meter.column()) == text)
    })
}
