//! Invoices at a server.

use super::super::invoice::{ShownInvoice, ShownVariance};
use super::super::meter_name;
use super::super::operations::{InvoiceOperations, Listed};
use super::super::while_late;
use super::values::Outcome;
use super::{OnServer, documents};
use commands::OutcomeKind;
use domain::invoice::{Cause, Figure, InvoiceHeader, InvoiceLine, MAX_LINES_PER_COMMAND};
use domain::{Body, InvoiceId};
use serde_json::{Value, json};
use std::time::Duration;

/// The most bytes of the lines of a request, which a server reads up to 1 MiB of.
const MAX_PART_BYTES: usize = 512 * 1024;
/// How long the read models of the server may take to catch up.
const WAIT: Duration = Duration::from_secs(600);
const LATE: &str = "the read models of the server are still behind the log: retry later";

fn line_input(line: &InvoiceLine) -> Value {
    json!({
        "line": line.line,
        "day": line.day,
        "model": line.model,
        "meter": line.meter.map(meter_name),
        "quantity": line.quantity,
        "amount": line.amount,
        "tier": line.tier,
        "reference": line.reference,
    })
}

/// Parts of lines as GraphQL takes them, each with the number of its first line.
fn parts(lines: &[InvoiceLine]) -> Vec<(usize, Vec<Value>)> {
    let (mut parts, mut bytes) = (Vec::<(usize, Vec<Value>)>::new(), 0);
    for (line, number) in lines.iter().zip(1..) {
        let line = line_input(line);
        let size = line.to_string().len();
        match parts.last_mut() {
            Some((_, part)) if part.len() < MAX_LINES_PER_COMMAND && bytes + size <= MAX_PART_BYTES => {
                bytes += size;
                part.push(line);
            }
            _ => {
                bytes = size;
                parts.push((number, vec![line]));
            }
        }
    }
    parts
}

/// The number of variances of a cause, or of all, that an invoice states.
fn stated(invoice: &ShownInvoice, cause: Option<Cause>) -> i64 {
    let Some(compared) = &invoice.reconciliation else { return 0 };
    match cause {
        None => compared.variances,
        Some(cause) => {
            let of_cause = compared.causes.iter().filter(|total| total.cause == cause.as_str());
            of_cause.map(|total| total.variances).sum()
        }
    }
}

impl OnServer {
    /// The read models may be behind what the subcommand has done before.
    pub(super) async fn fresh<T>(&self, ask: impl AsyncFn(&Value) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let head = Value::from(self.client.head().await?.to_string());
        while_late(WAIT, LATE, async || ask(&head).await).await
    }
}

impl InvoiceOperations for OnServer {
    async fn record_invoice(&self, header: &InvoiceHeader, lines: &[InvoiceLine]) -> anyhow::Result<OutcomeKind> {
        let mut outcome = OutcomeKind::AlreadyDone;
        for (first, part) in parts(lines) {
            let input = json!({
                "provider": header.provider,
                "account": header.account,
                "number": header.number,
                "from": header.from,
                "to": header.to,
                "format": header.format.as_str().to_uppercase(),
                "file": header.file,
                "lineCount": header.lines,
                "amount": header.amount,
                "amountPlaces": header.amount_places,
                "content": header.content,
                "firstLine": first,
                "lines": part,
            });
            let (kind, _) = self.command(documents::RECORD_INVOICE, input, "/recordInvoice").await?;
            if kind != Outcome::AlreadyDone {
                outcome = kind.into();
            }
        }
        Ok(outcome)
    }

    async fn invoices(&self, provider: Option<&str>) -> anyhow::Result<Listed<ShownInvoice>> {
        let list = async |position: &Value| {
            let variables = json!({ "provider": provider, "position": position });
            self.list::<ShownInvoice, ShownInvoice>(documents::INVOICES, variables, "/invoices").await
        };
        self.fresh(list).await
    }

    async fn invoice(
        &self,
        id: InvoiceId,
        cause: Option<Cause>,
    ) -> anyhow::Result<Option<(ShownInvoice, Vec<ShownVariance>)>> {
        let named = cause.map(|cause| cause.as_str().to_uppercase());
        let get = async |position: &Value| {
            let variables = json!({ "id": id.to_string(), "cause": named, "position": position });
            let invoice: Option<ShownInvoice> =
                self.client.get(documents::INVOICE, variables.clone(), "/invoice").await?;
            let Some(invoice) = invoice else { return Ok(None) };
            let (mut variances, mut after) = (Vec::new(), None);
            loop {
                let path = "/invoiceVariances";
                let (nodes, next) = self.page(documents::INVOICE_VARIANCES, variables.clone(), path, after).await?;
                variances.extend::<Vec<ShownVariance>>(nodes);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            // Otherwise they may be those of two comparisons.
            let are_all = i64::try_from(variances.len()).is_ok_and(|found| found == stated(&invoice, cause));
            anyhow::ensure!(are_all, "the invoice was compared or recorded again while it was read: run it again");
            Ok(Some((invoice, variances)))
        };
        self.fresh(get).await
    }

    async fn reconcile_invoice(&self, id: InvoiceId, tolerance: Option<Figure>) -> anyhow::Result<OutcomeKind> {
        let reconcile = async |position: &Value| {
            let input = json!({ "id": id.to_string(), "tolerance": tolerance, "minPosition": position });
            self.done(documents::RECONCILE_INVOICE, input, "/reconcileInvoice").await
        };
        self.fresh(reconcile).await
    }

    async fn withdraw_invoice(&self, id: InvoiceId, reason: Body) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.to_string(), "reason": reason.as_str() });
        self.done(documents::WITHDRAW_INVOICE, input, "/withdrawInvoice").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Meter, Name};

    #[test]
    fn lines_are_sent_in_parts_that_a_server_reads() {
        let line = |number: u32| InvoiceLine {
            line: number,
            day: "2026-03-01".parse().unwrap(),
            model: Name::new("m".repeat(256)).ok(),
            meter: Some(Meter::CacheWrite5Min),
            quantity: Some(Figure::from_units(7)),
            amount: Some(Figure::from_units(7)),
            tier: None,
            reference: None,
        };
        let lines: Vec<_> = (1..=5_000).map(line).collect();
        let parts = parts(&lines);
        let mut next = 1;
        for (first, part) in &parts {
            assert_eq!(*first, next);
            assert!(part.len() <= MAX_LINES_PER_COMMAND);
            assert!(Value::from(part.clone()).to_string().len() < 2 * MAX_PART_BYTES);
            next += part.len();
        }
        assert_eq!((next, parts.len() > 2), (5_001, true));
        assert_eq!(parts[0].1[0]["meter"], "CACHE_WRITE_5_MIN");
    }

    #[test]
    fn an_invoice_states_how_many_variances_it_has() {
        let reconciliation = json!({
            "comparedPosition": "7", "billed": "3", "expected": "1", "difference": "2", "variances": 3, "tolerance": "0",
            "calls": 1, "unpricedCalls": 0, "unvaluedLines": 0, "reconciledAt": "2026-03-01T00:00:00Z",
            "causes": [{ "cause": "PRICE", "variances": 2, "difference": "1" }, { "cause": "TIER", "variances": 1, "difference": "1" }],
        });
        let invoice = |reconciliation: &Value| -> ShownInvoice {
            let invoice = json!({
                "uuid": "018bd12c-58b0-7683-8a5b-8752d0e86651", "provider": "openai", "from": "2026-03-01", "to": "2026-04-01",
                "format": "CSV", "status": "RECONCILED", "revision": 1, "lines": 1, "recordedLines": 1, "amount": "3",
                "recordedAt": "2026-03-01T00:00:00Z", "revisedAt": "2026-03-01T00:00:00Z", "reconciliation": reconciliation,
            });
            serde_json::from_value(invoice).unwrap()
        };
        let compared = invoice(&reconciliation);
        let counts =
            [None, Some(Cause::Price), Some(Cause::Tier), Some(Cause::Cache)].map(|cause| stated(&compared, cause));
        assert_eq!(counts, [3, 2, 1, 0]);
        assert_eq!(stated(&invoice(&Value::Null), None), 0);
    }
}
