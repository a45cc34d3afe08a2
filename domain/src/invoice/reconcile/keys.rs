//! What lines and components are compared by.

use crate::invoice::expected::{Expected, Key};
use crate::invoice::line::InvoiceLine;
use crate::meter::Meter;
use crate::text::Name;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

/// The keys of lines and components.
///
/// Where an invoice has a line of all models for a meter of a day, everything of that meter and day is compared as one sum; where
/// it has a line of all meters for a model, everything of that model and day.
pub(super) struct Keys {
    /// The models by the names of lines.
    models: BTreeMap<(Name, NaiveDate), Name>,
    whole_days: BTreeSet<NaiveDate>,
    all_models: BTreeSet<(NaiveDate, Meter)>,
    all_meters: BTreeSet<(NaiveDate, Name)>,
}

impl Keys {
    pub(super) fn of(lines: &[InvoiceLine], expected: &Expected) -> Self {
        let mut keys = Self {
            models: BTreeMap::new(),
            whole_days: BTreeSet::new(),
            all_models: BTreeSet::new(),
            all_meters: BTreeSet::new(),
        };
        for line in lines {
            if let Some(named) = &line.model {
                let of_day = (named.clone(), line.day);
                keys.models.entry(of_day).or_insert_with(|| expected.model(named, line.day));
            }
        }
        for line in lines {
            let (day, model, meter) = keys.plain(line);
            keys.note(day, model, meter);
        }
        // Components that are not known are of all meters.
        for (day, model, meter) in expected.entries.keys().filter(|(_, _, meter)| meter.is_none()) {
            keys.note(*day, model.clone(), *meter);
        }
        keys
    }

    fn note(&mut self, day: NaiveDate, model: Option<Name>, meter: Option<Meter>) {
        match (model, meter) {
            (Some(_), Some(_)) => {}
            (None, Some(meter)) => {
                self.all_models.insert((day, meter));
            }
            (Some(model), None) => {
                self.all_meters.insert((day, model));
            }
            (None, None) => {
                self.whole_days.insert(day);
            }
        }
    }

    fn plain(&self, line: &InvoiceLine) -> Key {
        let model = line.model.as_ref().map(|named| {
            let found = self.models.get(&(named.clone(), line.day));
            found.unwrap_or(named).clone()
        });
        (line.day, model, line.meter)
    }

    /// The key of a line.
    pub(super) fn of_line(&self, line: &InvoiceLine) -> Key {
        self.merged(self.plain(line))
    }

    /// The key under which a key is compared.
    pub(super) fn merged(&self, (day, model, meter): Key) -> Key {
        if self.whole_days.contains(&day) {
            return (day, None, None);
        }
        if let Some(meter) = meter.filter(|meter| self.all_models.contains(&(day, *meter))) {
            return (day, None, Some(meter));
        }
        match model {
            Some(model) if self.all_meters.contains(&(day, model.clone())) => (day, Some(model), None),
            model => (day, model, meter),
        }
    }
}
