//! What a reader finds: lines, refused rows, and rows without usage.

use super::error::{InvoiceReadError, LineRefusal, LineRefusalReason};
use super::limits::MAX_REFUSED_LINES;
use super::number::{DecimalMark, NumberError, number};
use super::options::InvoiceOptions;
use crate::text::clip;
use chrono::NaiveDate;
use domain::invoice::{Figure, InvoiceLine, MAX_INVOICE_LINES};
use domain::{Meter, Name};

/// What a row states, before it is a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Stated {
    pub(super) model: Option<Name>,
    pub(super) meter: Option<Meter>,
    pub(super) quantity: Option<Figure>,
    pub(super) amount: Option<Figure>,
    pub(super) tier: Option<Name>,
    pub(super) reference: Option<Name>,
}

/// What a reader has found so far.
pub(super) struct Found {
    period: (Option<NaiveDate>, Option<NaiveDate>),
    pub(super) lines: Vec<InvoiceLine>,
    pub(super) refused: Vec<LineRefusal>,
    pub(super) empty_rows: u64,
    pub(super) rounded_amounts: u64,
    /// The first and the last day of the file.
    pub(super) days: Option<(NaiveDate, NaiveDate)>,
}

impl Found {
    pub(super) fn new(options: &InvoiceOptions) -> Self {
        Self {
            period: (options.from, options.to),
            lines: Vec::new(),
            refused: Vec::new(),
            empty_rows: 0,
            rounded_amounts: 0,
            days: None,
        }
    }

    /// Notes that the file is of a day, whether it has lines or not.
    pub(super) fn note_day(&mut self, day: NaiveDate) {
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
    }

    /// Adds what a row states, or that it is refused.
    pub(super) fn add(
        &mut self,
        line: u32,
        row: Result<(NaiveDate, Vec<Stated>), LineRefusalReason>,
    ) -> Result<(), InvoiceReadError> {
        let added = row.and_then(|(day, stated)| self.add_row(line, day, stated));
        if let Err(reason) = added {
            self.refused.push(LineRefusal { line, reason });
        }
        if self.refused.len() > MAX_REFUSED_LINES {
            let first = self.refused.first().map_or_else(String::new, ToString::to_string);
            return Err(InvoiceReadError::TooManyRefused { first });
        }
        if self.lines.len() > MAX_INVOICE_LINES as usize {
            return Err(InvoiceReadError::TooManyLines);
        }
        Ok(())
    }

    fn add_row(&mut self, line: u32, day: NaiveDate, stated: Vec<Stated>) -> Result<(), LineRefusalReason> {
        let (from, to) = self.period;
        if from.is_some_and(|from| day < from) || to.is_some_and(|to| day >= to) {
            let (from, to) = (from.unwrap_or(NaiveDate::MIN), to.unwrap_or(NaiveDate::MAX));
            return Err(LineRefusalReason::OutsidePeriod { day, from, to });
        }
        self.note_day(day);
        let known = self.lines.len();
        for Stated { model, meter, quantity, amount, tier, reference } in stated {
            let is_zero = |figure: &Option<Figure>| figure.is_none_or(Figure::is_zero);
            if !(is_zero(&quantity) && is_zero(&amount)) {
                self.lines.push(InvoiceLine { line, day, model, meter, quantity, amount, tier, reference });
            }
        }
        if self.lines.len() == known {
            self.empty_rows += 1;
        }
        Ok(())
    }

    /// An amount in US dollars.
    pub(super) fn amount(
        &mut self,
        field: &'static str,
        text: &str,
        mark: DecimalMark,
    ) -> Result<Figure, LineRefusalReason> {
        let (figure, is_rounded) = number(text, mark).map_err(|cause| LineRefusalReason::Number { field, cause })?;
        self.rounded_amounts += u64::from(is_rounded);
        Ok(figure)
    }
}

/// A quantity, in units of which one is several of the meter.
pub(super) fn quantity(
    field: &'static str,
    text: &str,
    mark: DecimalMark,
    units: u64,
) -> Result<Figure, LineRefusalReason> {
    let refused = |cause| LineRefusalReason::Number { field, cause };
    let (figure, _) = number(text, mark).map_err(refused)?;
    let quoted = || clip(text, 64).to_owned();
    if figure < Figure::ZERO {
        return Err(refused(NumberError::Negative(quoted())));
    }
    let all = figure.times(units.into(), 1).filter(|all| all.is_of_a_line());
    all.ok_or_else(|| refused(NumberError::TooLarge(quoted())))
}

/// A name; none if the text is blank.
pub(super) fn name(field: &'static str, text: Option<&str>) -> Result<Option<Name>, LineRefusalReason> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| Name::new(text).map_err(|cause| LineRefusalReason::Text { field, cause })).transpose()
}
