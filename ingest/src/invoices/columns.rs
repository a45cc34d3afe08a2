//! The columns of invoices in CSV.

use crate::text::clip;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What a column of an invoice holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InvoiceColumn {
    /// The day (UTC).
    Day,
    /// The model.
    Model,
    /// What was billed.
    Meter,
    /// The quantity.
    Quantity,
    /// The amount.
    Amount,
    /// The currency of the amount.
    Currency,
    /// The tier.
    Tier,
    /// What else tells equal lines apart.
    Reference,
}

const NAMES: [(&str, InvoiceColumn); 8] = [
    ("day", InvoiceColumn::Day),
    ("model", InvoiceColumn::Model),
    ("meter", InvoiceColumn::Meter),
    ("quantity", InvoiceColumn::Quantity),
    ("amount", InvoiceColumn::Amount),
    ("currency", InvoiceColumn::Currency),
    ("tier", InvoiceColumn::Tier),
    ("reference", InvoiceColumn::Reference),
];

/// Why a text does not name a column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvoiceColumnError {
    /// The text is not of the form FIELD=COLUMN.
    #[error("{0:?} is not of the form FIELD=COLUMN")]
    Form(String),
    /// There is no such field.
    #[error(
        "{0:?} is no field of an invoice; fields are day, model, meter, quantity, amount, currency, tier and reference"
    )]
    UnknownField(String),
    /// A field is named twice.
    #[error("the column of {0} is named twice")]
    Twice(InvoiceColumn),
}

impl fmt::Display for InvoiceColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(NAMES.iter().find(|(_, column)| column == self).map_or("", |(name, _)| name))
    }
}

impl InvoiceColumn {
    /// All fields.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, column)| column)
    }
}

impl FromStr for InvoiceColumn {
    type Err = InvoiceColumnError;

    fn from_str(text: &str) -> Result<Self, InvoiceColumnError> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, column)| *column);
        found.ok_or_else(|| InvoiceColumnError::UnknownField(clip(text, 64).to_owned()))
    }
}

/// The columns of an invoice, by what they hold. A column that is not named has the name of what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceColumns(BTreeMap<InvoiceColumn, String>);

impl InvoiceColumns {
    /// The columns that texts such as `day=Date,model=Model` name. What follows a comma without an equals sign is part of the name of
    /// the column before it, as in `amount=Cost (USD, without tax)`.
    ///
    /// # Errors
    /// [`InvoiceColumnError`] if a text has another form, or names no field.
    pub fn parse(texts: &[String]) -> Result<Self, InvoiceColumnError> {
        let mut columns = BTreeMap::new();
        for text in texts.iter().flat_map(|text| parts(text)) {
            let (field, column) =
                text.split_once('=').ok_or_else(|| InvoiceColumnError::Form(clip(&text, 64).to_owned()))?;
            let field: InvoiceColumn = field.trim().parse()?;
            if columns.insert(field, column.trim().to_owned()).is_some() {
                return Err(InvoiceColumnError::Twice(field));
            }
        }
        Ok(Self(columns))
    }

    /// The columns that are named.
    pub(super) fn named(&self) -> impl Iterator<Item = InvoiceColumn> {
        self.0.keys().copied()
    }

    /// The name of a column.
    pub(super) fn name(&self, column: InvoiceColumn) -> Cow<'_, str> {
        self.0.get(&column).map_or_else(|| Cow::Owned(column.to_string()), |name| Cow::Borrowed(name.as_str()))
    }
}

/// The parts of a text that each name a column.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::<String>::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match parts.last_mut() {
            Some(before) if !part.contains('=') => {
                before.push(',');
                before.push_str(part);
            }
            Some(_) | None => parts.push(part.to_owned()),
        }
    }
    parts
}
