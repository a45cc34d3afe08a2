//! Receipts of calls.

use crate::graphql::errors;
use crate::graphql::price::{Charge, Meter, PriceSource};
use crate::graphql::scalars::Long;
use crate::graphql::services::{requester, services};
use async_graphql::{Context, Result, SimpleObject};
use commands::AsOf;
use domain::CallId;
use domain::receipt;

/// How the cost of a call follows from its usage.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Receipt {
    /// The receipt as text in English: each step from the usage to the total with all of its numbers, so that it adds up by
    /// hand.
    text: String,
    /// What the call used, and what it was billed as.
    usage: Vec<UsedMeter>,
    /// Applied components of the price. Null if no price is known.
    charge: Option<Charge>,
    /// Table that the applied price is from. Null if no price is known.
    source: Option<PriceSource>,
    /// Version of the price book that set the applied price. Null if no price is known.
    source_version: Option<Long>,
    /// Why no price is known, by the newest version of the price book. Null if one is, or if none is needed.
    unpriced: Option<String>,
}

/// Quantity that a call used of a meter, and what it was billed as.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsedMeter {
    /// The meter.
    meter: Meter,
    /// Quantity with its parts, in the unit of the meter.
    quantity: Long,
    /// Quantities of other meters that are included, and are billed as those.
    parts: Vec<MeterPart>,
    /// Quantity without the parts.
    units: Long,
    /// Meter whose lines of the charge bill the units. Null if no line does.
    billed_as: Option<Meter>,
}

/// Quantity of a meter that another one includes.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MeterPart {
    /// The meter.
    meter: Meter,
    /// Quantity in the unit of the meter.
    quantity: Long,
}

impl From<&receipt::UsedMeter> for UsedMeter {
    fn from(used: &receipt::UsedMeter) -> Self {
        let part = |(meter, quantity): &(domain::Meter, u64)| MeterPart {
            meter: (*meter).into(),
            quantity: Long::from_unsigned(*quantity),
        };
        Self {
            meter: used.meter.into(),
            quantity: Long::from_unsigned(used.quantity),
            parts: used.parts.iter().map(part).collect(),
            units: Long::from_unsigned(used.units),
            billed_as: used.billed_as.map(Into::into),
        }
    }
}

impl From<&receipt::Receipt> for Receipt {
    fn from(receipt: &receipt::Receipt) -> Self {
        Self {
            text: receipt.to_string(),
            usage: receipt.usage.iter().map(Into::into).collect(),
            charge: receipt.charge.as_ref().map(Into::into),
            source: receipt.source.as_ref().map(|(source, _)| source.as_ref().into()),
            source_version: receipt.source.as_ref().map(|(_, version)| Long::from_unsigned(*version)),
            unpriced: receipt.unpriced.as_ref().map(ToString::to_string),
        }
    }
}

/// The receipt of a call as of a position; none if it was voided then.
pub(super) async fn at(ctx: &Context<'_>, id: CallId, position: streams::Position) -> Result<Option<Receipt>> {
    let (commands, principal) = (&services(ctx)?.commands, &requester(ctx)?.principal);
    let receipt = commands.receipt(principal, id, Some(AsOf::Position(position))).await;
    Ok(receipt.map_err(|error| errors::failed(&error))?.as_ref().map(Into::into))
}
