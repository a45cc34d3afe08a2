//! What calls were charged, by the components of their prices, for the comparison with an invoice.
//!
//! The components are those of an export in the form of FOCUS: the charge of each call is computed again.

use super::call::{Call, Priced};
use super::error::ExportError;
use super::read_calls::{ReadBatches, read_calls};
use super::reader::{ExportQuery, ExportRange, Reader};
use crate::report::{CallFilters, position};
use domain::invoice::{Expected, ExpectedError};
use domain::permissions::{Access, ReadReports};
use domain::price_book::PriceBook;
use streams::{Position, TenantReads};
use thiserror::Error;

/// Why the charges of calls cannot be read.
#[derive(Debug, Error)]
pub enum ChargesError {
    /// The calls cannot be read.
    #[error(transparent)]
    Calls(#[from] ExportError),
    /// The charges cannot be summed up.
    #[error(transparent)]
    Expected(#[from] ExpectedError),
    /// There are too many calls.
    #[error("the period has more than {limit} calls, which is the limit")]
    TooManyCalls {
        /// The limit.
        limit: u64,
    },
}

/// The charges of a time range, of which the snapshot is taken and nothing is read yet.
pub(crate) struct OpenCharges {
    /// They contain every call up to this position.
    pub(crate) position: Position,
    reader: Reader,
}

impl OpenCharges {
    /// Takes the snapshot.
    pub(crate) async fn open(
        reads: &TenantReads,
        access: &Access<ReadReports>,
        range: &ExportRange,
    ) -> Result<Self, ExportError> {
        range.check()?;
        let mut transaction = reads.begin_snapshot(access).await?;
        let position = position(&mut transaction, &["calls"]).await?;
        // Names of agents are not needed.
        let query = ExportQuery { range: *range, filters: CallFilters::default() };
        Ok(Self { position, reader: Reader::new(transaction, access.agents(), &query, true).await? })
    }

    /// Adds the charges of all calls to what is expected, and does something with the sum, on a thread that may block. The thread
    /// goes on if the caller does not wait for it any more, and owns what `then` owns for as long.
    pub(crate) async fn add_to<T: Send + 'static>(
        self,
        expected: Expected,
        max_calls: u64,
        then: impl FnOnce(Expected) -> T + Send + 'static,
    ) -> Result<T, ChargesError> {
        read_calls(self.reader, move |calls| add_all(expected, calls, max_calls).map(then)).await
    }
}

fn add_all(mut expected: Expected, calls: ReadBatches, limit: u64) -> Result<Expected, ChargesError> {
    // A handle: the prices are shared.
    let (book, mut count) = (expected.book().clone(), 0);
    calls.each(|call| -> Result<(), ChargesError> {
        count += 1;
        if count > limit {
            return Err(ChargesError::TooManyCalls { limit });
        }
        Ok(add(&mut expected, &book, call)?)
    })?;
    Ok(expected)
}

fn add(expected: &mut Expected, book: &PriceBook, call: &Call) -> Result<(), ExpectedError> {
    let priced = Priced::of(call);
    let names = (priced.provider.as_ref(), priced.model.as_ref());
    match (call.cost, priced.charge(call, book)) {
        (Some(_), Some(charge)) => expected.add_charge(call.started(), names, &charge),
        (Some(cost), None) => expected.add_cost(call.started(), names, cost),
        (None, _) => {
            if call.is_llm() {
                expected.add_unpriced(names.0);
            }
            Ok(())
        }
    }
}
