//! The pages of answers of usage and cost APIs: objects with a list of buckets, one or several in a file, or a list of them.

use super::error::{InvoiceReadError, LineRefusalReason};
use super::item::{Found, Stated};
use crate::error::InputError;
use crate::formats::json::{self, Fields};
use crate::text::quoted;
use chrono::NaiveDate;
use domain::invoice::MAX_INVOICE_LINES;
use serde_json::value::RawValue;

/// What an item of a bucket states.
pub(super) type Read = Result<Vec<Stated>, LineRefusalReason>;

/// The day of a bucket, and what reads its items.
pub(super) struct Bucket {
    pub(super) day: NaiveDate,
    pub(super) of_item: fn(&Fields<'_>, &mut Found) -> Read,
}

/// Reads pages, whose buckets a format reads.
pub(super) fn read(
    text: &str,
    found: &mut Found,
    bucket: impl Fn(&Fields<'_>) -> Result<Bucket, LineRefusalReason>,
) -> Result<(), InvoiceReadError> {
    let (mut item, mut next, mut is_last, mut pages) = (0, None, false, 0);
    let documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    for document in documents {
        let document = document.map_err(InputError::json)?;
        let list = document.get().trim_start().starts_with('[');
        let all = if list { json::items(document.get()).map_err(InputError::json)? } else { vec![document] };
        for page in all {
            pages += 1;
            let page = Fields::parse(page.get()).map_err(|_| not_a_page())?;
            let buckets = page.items("data").ok_or_else(not_a_page)?;
            for each in buckets {
                read_bucket(each, &mut item, found, &bucket)?;
            }
            let has_more = page.raw("has_more").is_some_and(|more| more.get() == "true");
            is_last |= !has_more;
            next = page.text("next_page").map(|token| quoted(&token)).or(next);
        }
    }
    if pages == 0 {
        return Err(not_a_page().into());
    }
    match next {
        next if !is_last => Err(InvoiceReadError::MorePages { next: next.unwrap_or_default() }),
        _ => Ok(()),
    }
}

fn not_a_page() -> InputError {
    InputError::NotOfFormat { format: "a usage or cost API", expected: "a page with a list \"data\"" }
}

fn read_bucket(
    text: &RawValue,
    item: &mut u32,
    found: &mut Found,
    bucket: impl Fn(&Fields<'_>) -> Result<Bucket, LineRefusalReason>,
) -> Result<(), InvoiceReadError> {
    let fields = Fields::parse(text.get()).map_err(|_| not_a_page())?;
    // An older document of OpenAI calls the list `result`.
    let items = fields.items("results").or_else(|| fields.items("result"));
    let (items, bucket) = match (items, bucket(&fields)) {
        (Some(items), Ok(bucket)) => (items, bucket),
        (None, Ok(_)) => {
            *item += 1;
            return found.add(*item, Err(LineRefusalReason::Missing("list \"results\"")));
        }
        (_, Err(reason)) => {
            *item += 1;
            return found.add(*item, Err(reason));
        }
    };
    if items.is_empty() {
        found.note_day(bucket.day);
        found.empty_rows += 1;
    }
    for each in items {
        *item += 1;
        if *item > MAX_INVOICE_LINES {
            return Err(InvoiceReadError::TooManyLines);
        }
        let read = Fields::parse(each.get()).map_err(|reason| LineRefusalReason::malformed(&reason));
        let read = read.and_then(|fields| (bucket.of_item)(&fields, found));
        found.add(*item, read.map(|stated| (bucket.day, stated)))?;
    }
    Ok(())
}

/// The text of a field, whether it is a text or a number; none if it is absent, null or blank.
pub(super) fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    let value = fields.raw(name)?;
    let text = json::text(value).map_or_else(|| value.get().to_owned(), |text| text.into_owned());
    Some(text).filter(|text| !text.trim().is_empty())
}
