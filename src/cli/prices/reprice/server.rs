//! Charging calls again at a server.

use super::{Part, Reprice, WAIT};
use crate::cli::backend::{GlobalId, while_late};
use crate::client::Client;
use anyhow::bail;
use chrono::{DateTime, NaiveDate, Utc};
use commands::{PriceDifference, Repriced, UnpricedBy, UnpricedCount};
use domain::{Name, Sum};
use serde::Deserialize;
use serde_json::{Value, json};

/// The documents that it takes.
const DRY_RUN: &str = "query($filter: RepricingFilter, $after: String, $minPosition: Position) {
    repricing(filter: $filter, after: $after, minPosition: $minPosition) {
        calls bookVersions { version calls } next nextFrom
        differences { model day calls unpricedBefore before after }
        unpriced { model provider reason calls charged }
        failed { call message }
    }
}";
const APPLY: &str = "mutation($input: RepriceCallsInput!) {
    repriceCalls(input: $input) {
        error { message }
        repricing {
            calls bookVersions { version calls } next nextFrom
            differences { model day calls unpricedBefore before after }
            unpriced { model provider reason calls charged }
            failed { call message }
        }
    }
}";

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("DRY_RUN", DRY_RUN), ("APPLY", APPLY)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repricing {
    calls: u64,
    book_versions: Vec<BookVersion>,
    next: Option<String>,
    next_from: Option<DateTime<Utc>>,
    differences: Vec<Difference>,
    unpriced: Vec<Unpriced>,
    failed: Vec<Failed>,
}

#[derive(Deserialize)]
struct BookVersion {
    version: u64,
    calls: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    model: Option<Name>,
    day: NaiveDate,
    calls: u64,
    unpriced_before: u64,
    before: Sum,
    after: Sum,
}

#[derive(Deserialize)]
struct Unpriced {
    model: Option<Name>,
    provider: Option<Name>,
    reason: String,
    calls: u64,
    charged: u64,
}

#[derive(Deserialize)]
struct Payload {
    error: Option<Message>,
    repricing: Option<Repricing>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct Failed {
    call: GlobalId,
    message: String,
}

impl Repricing {
    fn part(self) -> Part<String> {
        let Self { calls, book_versions, next, next_from, differences, unpriced, failed } = self;
        let book_versions = book_versions.into_iter().map(|BookVersion { version, calls }| (version, calls)).collect();
        let failed = failed.into_iter().map(|Failed { call, message }| (call.0, message)).collect();
        let differences = differences.into_iter().map(|of| {
            let Difference { model, day, calls, unpriced_before: unpriced, before, after } = of;
            ((model, day), PriceDifference { calls, unpriced, before, after })
        });
        let unpriced = unpriced.into_iter().map(|of| {
            let Unpriced { model, provider, reason, calls, charged } = of;
            (UnpricedBy { model, provider, reason }, UnpricedCount { calls, charged })
        });
        let (differences, unpriced) = (differences.collect(), unpriced.collect());
        let repriced = Repriced { calls, differences, unpriced, book_versions, ..Repriced::default() };
        Part { repriced, failed, next: next.zip(next_from) }
    }
}

/// Charges a part of the calls again, or finds what that would change.
pub(super) async fn part(
    client: &Client,
    reprice: &Reprice,
    head: &str,
    after: Option<String>,
) -> anyhow::Result<Part<String>> {
    let filter = json!({ "model": reprice.model, "from": reprice.from, "to": reprice.to });
    let fields = json!({ "filter": filter, "after": after, "minPosition": head });
    let late = "the calls of the server's read model are behind the log: see `apex projections list`";
    while_late(WAIT, late, async || match &reprice.reason {
        Some(reason) => {
            let mut input = fields.clone();
            input["reason"] = Value::from(reason.as_str());
            let payload: Payload = client.get(APPLY, json!({ "input": input }), "/repriceCalls").await?;
            if let Some(Message { message }) = payload.error {
                bail!(message);
            }
            Ok(payload.repricing.ok_or_else(|| client.incomplete("repricing"))?.part())
        }
        None => {
            let repricing: Repricing = client.get(DRY_RUN, fields.clone(), "/repricing").await?;
            Ok(repricing.part())
        }
    })
    .await
}
