//! The header and the lines of an invoice.

use super::figure::Figure;
use super::limits::MAX_INVOICE_DAYS;
use crate::ids::{InvoiceId, derived_id};
use crate::meter::Meter;
use crate::money::Currency;
use crate::provider::provider_name;
use crate::text::Name;
use crate::timestamp::ACCEPTED_YEARS;
use chrono::{Datelike as _, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The form in which a provider stated an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceFormat {
    /// CSV, whose columns the user named.
    Csv,
    /// The usage or the costs of OpenAI's organization API.
    Openai,
    /// The usage report or the cost report of Anthropic's admin API.
    Anthropic,
}

impl InvoiceFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Openai, Self::Anthropic];

    /// The format as it is written in JSON, SQL and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

impl fmt::Display for InvoiceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an invoice says of itself, and how many lines it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceHeader {
    /// The provider that issued it, by its name in price tables.
    pub provider: Name,
    /// The account that is billed, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Name>,
    /// The id that the provider gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Name>,
    /// The first day (UTC) of its period.
    pub from: NaiveDate,
    /// The day (UTC) after the last one of its period.
    pub to: NaiveDate,
    /// The currency of its amounts.
    #[serde(default)]
    pub currency: Currency,
    /// The form in which it was stated.
    pub format: InvoiceFormat,
    /// The name of the file that it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Name>,
    /// The number of its lines.
    pub lines: u32,
    /// The sum of the amounts of its lines, in US dollars.
    pub amount: Figure,
    /// The most decimal places that its amounts are rounded to, from 0 to 12.
    pub amount_places: u8,
    /// The hash of its lines, in their order: see [`LinesHash`].
    pub content: Uuid,
}

impl InvoiceHeader {
    /// The id of the invoice: that of its number, or else of its period, of one account at one provider.
    #[must_use]
    pub fn id(&self) -> InvoiceId {
        let account = self.account.as_ref().map_or("", Name::as_str);
        let provider = provider_name(self.provider.as_str());
        let id = match &self.number {
            Some(number) => derived_id(&["invoice", &provider, account, "number", number.as_str()]),
            None => {
                let (from, to) = (self.from.to_string(), self.to.to_string());
                derived_id(&["invoice", &provider, account, "period", &from, &to])
            }
        };
        InvoiceId(id)
    }

    /// The header with the name of the provider in price tables, such as `openai` for `OpenAI`.
    pub(crate) fn with_common_provider(self) -> Self {
        let provider = Name::new(provider_name(self.provider.as_str())).unwrap_or_else(|_| self.provider.clone());
        Self { provider, ..self }
    }

    /// Whether it is the header of the same version of an invoice as another one. The name of the file does not count.
    pub(crate) fn is_of_version(&self, other: &Self) -> bool {
        *self == Self { file: self.file.clone(), ..other.clone() }
    }

    /// Whether the period has at least one day, and not too many, and calls can be of it.
    pub(crate) fn has_valid_period(&self) -> bool {
        let is_accepted = [self.from, self.to].iter().all(|day| ACCEPTED_YEARS.contains(&day.year()));
        is_accepted && (1..=MAX_INVOICE_DAYS).contains(&(self.to - self.from).num_days())
    }
}

/// A line of an invoice: what was billed of one meter of one model on one day. It states a quantity, an amount, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceLine {
    /// Where it is in the file: the number of the line, or of the item of a list, from 1.
    pub line: u32,
    /// The day (UTC).
    pub day: NaiveDate,
    /// The model as the invoice names it; none if the line is of all models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// What was billed; none if the line is of all meters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Meter>,
    /// The quantity in the unit of the meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Figure>,
    /// The amount in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Figure>,
    /// The tier that the invoice states, such as `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// What else tells equal lines apart, such as a project, a workspace or a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Name>,
}

/// The hash of lines, one after the other: the same lines in the same order have the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinesHash(Uuid);

impl Default for LinesHash {
    fn default() -> Self {
        Self(derived_id(&["invoice_lines"]))
    }
}

impl LinesHash {
    /// The hash with one more line.
    #[must_use]
    pub fn with(self, line: &InvoiceLine) -> Self {
        let InvoiceLine { line: number, day, model, meter, quantity, amount, tier, reference } = line;
        let figure = |figure: &Option<Figure>| figure.map_or_else(String::new, |figure| figure.to_string());
        let text = |name: &Option<Name>| name.as_ref().map_or_else(String::new, ToString::to_string);
        Self(derived_id(&[
            &self.0.to_string(),
            &number.to_string(),
            &day.to_string(),
            &text(model),
            meter.map_or("", Meter::name),
            &figure(quantity),
            &figure(amount),
            &text(tier),
            &text(reference),
        ]))
    }

    /// The hash of some lines.
    #[must_use]
    pub fn of(lines: &[InvoiceLine]) -> Self {
        lines.iter().fold(Self::default(), |hash, line| hash.with(line))
    }

    /// The hash as an id.
    #[must_use]
    pub const fn id(self) -> Uuid {
        self.0
    }
}
