//! Helpers of the tests of all formats.

use super::read_records;
use crate::error::{InputError, RecordError};
use crate::format::{Defaults, Format};
use crate::item::Item;
use crate::record::Record;
use domain::call::{Call, CallCommand, CallFacts, NamedCalls, Reporters};
use domain::price_book::PriceBook;
use domain::tag_keys::TagKeys;
use domain::{Aggregate, CallId, Meter, Name, Usage};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

pub(crate) type Items = Vec<Result<Record, RecordError>>;

pub(crate) fn defaults() -> Defaults {
    let started_at = chrono::DateTime::from_timestamp(1_700_000_000, 0);
    Defaults { model: Name::new("gpt-4o").ok(), started_at, ..Defaults::default() }
}

pub(crate) fn read(format: Format, input: impl AsRef<[u8]>) -> Items {
    let input = std::io::Cursor::new(input.as_ref().to_vec());
    match read_records(format, defaults(), Box::new(input)) {
        Ok(records) => records.flat_map(into_records).collect(),
        Err(error) => vec![Err(error.into())],
    }
}

/// The records of an item, as far as it alone tells which spans are calls.
pub(crate) fn into_records(item: Result<Item, RecordError>) -> Items {
    match item {
        Ok(item) => item.into_records().into_iter().map(|record| record.map_err(RecordError::from)).collect(),
        Err(error) => vec![Err(error)],
    }
}

#[track_caller]
pub(crate) fn records(format: Format, input: impl AsRef<[u8]>) -> Vec<Record> {
    read(format, input).into_iter().map(Result::unwrap).collect()
}

/// The messages of the refused records; panics if the input cannot be read to its end.
#[track_caller]
pub(crate) fn refusals(format: Format, input: impl AsRef<[u8]>) -> Vec<String> {
    let refusal = |item| match item {
        Ok(_) => None,
        Err(RecordError::Refused(refusal)) => Some(refusal.to_string()),
        Err(RecordError::Input(error)) => panic!("the input ended early: {error:?}"),
    };
    read(format, input).into_iter().filter_map(refusal).collect()
}

/// The error that ends an input; panics if there is none.
#[track_caller]
pub(crate) fn input_error(format: Format, input: impl AsRef<[u8]>) -> InputError {
    match read(format, input).pop() {
        Some(Err(RecordError::Input(error))) => error,
        other => panic!("no error ended the input: {other:?}"),
    }
}

/// The usage of calls by id, with the records of each joined by the domain.
pub(crate) fn calls(records: &[Record]) -> BTreeMap<CallId, Usage> {
    joined(records).into_iter().map(|(id, facts)| (id, facts.usage)).collect()
}

/// Calls by id, with the records of each joined by the domain.
pub(crate) fn joined(records: &[Record]) -> BTreeMap<CallId, CallFacts> {
    let mut calls: BTreeMap<CallId, Arc<Call>> = BTreeMap::new();
    for record in records {
        let get = |id| Ok::<_, Infallible>(calls.get(&id).cloned().unwrap_or_default());
        let Ok(named) = NamedCalls::resolve(&record.call_ids, get);
        let named = named.unwrap();
        let command = CallCommand::Report {
            facts: record.facts.clone(),
            prices: PriceBook::default(),
            tag_keys: TagKeys::default(),
            reported_by: Reporters::default(),
        };
        for (id, event) in named.decide(command).unwrap() {
            let call = calls.entry(id).or_default();
            *call = Arc::new(Call::clone(call).evolve(&event));
        }
    }
    calls.into_iter().filter_map(|(id, call)| Some((id, call.charged.clone()?.facts))).collect()
}

/// The sums by meter that are not zero, in the order of the table.
pub(crate) fn totals<'a>(usages: impl IntoIterator<Item = &'a Usage>) -> Vec<(Meter, u64)> {
    let mut sums: BTreeMap<Meter, u64> = BTreeMap::new();
    for (meter, quantity) in usages.into_iter().flat_map(|usage| usage.iter()) {
        *sums.entry(meter).or_default() += quantity.get();
    }
    sums.into_iter().collect()
}
