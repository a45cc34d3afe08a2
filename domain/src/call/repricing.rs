//! The charge of a call by a later version of the price book.

use super::{Call, CallError, CallFacts, ChargedCall, charge, joined};
use crate::price_book::{Charge, ChargeError, PriceBook, Unpriced};

/// A call whose charge by a version of the price book differs from the one that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Repricing {
    /// The facts, with the charge that the call has.
    pub before: ChargedCall,
    /// The facts, with the charge by the newest version of the given price book.
    pub after: ChargedCall,
}

impl Call {
    /// The charge by the newest version of a price book; none if it is the one that the call has, but for its version. A
    /// call keeps its charge if the book has no price for it.
    ///
    /// # Errors
    /// [`CallError::NotReported`] or [`CallError::Voided`] if there is no such call; [`CallError::Money`] if the charge has
    /// too many digits; [`CallError::PriceBookOutdated`] if the call was charged by a later version.
    pub fn reprice(&self, prices: &PriceBook) -> Result<Option<Repricing>, CallError> {
        self.check_not_voided()?;
        let before = self.charged.as_ref().ok_or(CallError::NotReported)?;
        if let Some(charged_by) = before.book_version().filter(|version| *version > prices.version()) {
            return Err(CallError::PriceBookOutdated { charged_by, given: prices.version() });
        }
        let charged = charge(joined(before), None, prices)?;
        let (counted_tags, reported_by) = (before.counted_tags.clone(), before.reported_by.clone());
        let after = ChargedCall { counted_tags, reported_by, reservation_id: before.reservation_id, ..charged };
        let of_version = |charge: &Charge| Charge { book_version: 0, ..charge.clone() };
        let is_same = before.charge.as_ref().map(of_version) == after.charge.as_ref().map(of_version);
        let is_priced = after.charge.is_some();
        Ok((is_priced && !is_same).then(|| Repricing { before: before.clone(), after }))
    }
}

impl CallFacts {
    /// Why a call with these facts has no price by the newest version of a price book; none if it has one, or names no model.
    #[must_use]
    pub fn unpriced(&self, prices: &PriceBook) -> Option<Unpriced> {
        match prices.charge(&self.pricing()?, None) {
            Err(ChargeError::Unpriced(reason)) => Some(reason),
            Err(ChargeError::Money(_)) | Ok(_) => None,
        }
    }
}
