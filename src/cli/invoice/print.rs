//! How invoices and their variances are printed.

use crate::cli::backend::{ShownCause, ShownInvoice, ShownReconciliation, ShownVariance};
use crate::cli::output::{self, Format, Table};
use domain::invoice::Figure;

/// The most variances of a table. CSV and JSON have all.
const MAX_ROWS: usize = 100;

/// What each cause means, in the words of an invoice.
const CAUSES: [(&str, &str); 7] = [
    ("missing", "billed and not recorded, or recorded and not billed"),
    ("duplicate", "billed or charged more than once"),
    ("cache", "cached tokens billed as uncached, or the other way round"),
    ("tier", "billed at the rate of another tier"),
    ("price", "billed at another rate"),
    ("quantity", "another quantity"),
    ("rounding", "rounding of the billed amounts"),
];

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn or_empty(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

/// The list of invoices.
pub(super) fn list(invoices: &[ShownInvoice], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&invoices);
    }
    let row = |invoice: &ShownInvoice| {
        let compared = invoice.reconciliation.as_ref();
        let figure =
            |of: fn(&ShownReconciliation) -> Figure| compared.map_or_else(String::new, |all| of(all).to_string());
        vec![
            invoice.uuid.to_string(),
            invoice.provider.clone(),
            or_empty(invoice.account.as_ref()),
            or_empty(invoice.number.as_ref()),
            invoice.from.clone(),
            invoice.to.clone(),
            invoice.status.clone(),
            invoice.lines.to_string(),
            invoice.amount.to_string(),
            figure(|all| all.expected),
            figure(|all| all.difference),
        ]
    };
    let header =
        ["id", "provider", "account", "number", "from", "to", "status", "lines", "amount", "expected", "difference"];
    output::list(&header, invoices.iter().map(row).collect(), 7..11, format)
}

/// The variances, as rows.
pub(super) fn variances(variances: &[ShownVariance], format: Format) -> anyhow::Result<()> {
    let (header, rows) = variance_rows(variances);
    match format {
        Format::Table => {
            let droppable = vec!["lines", "expected_quantity", "billed_quantity"];
            Ok(Table { header, rows, numbers: 5..12, droppable }.write()?)
        }
        Format::Csv | Format::Json => {
            let names: Vec<_> = header.iter().map(String::as_str).collect();
            output::list(&names, rows, 5..12, format)
        }
    }
}

fn variance_rows(variances: &[ShownVariance]) -> (Vec<String>, Vec<Vec<String>>) {
    let header = texts(&[
        "cause",
        "day",
        "model",
        "meter",
        "detail",
        "line",
        "lines",
        "billed_quantity",
        "expected_quantity",
        "billed",
        "expected",
        "difference",
    ]);
    let figure = |figure: Option<Figure>| figure.map_or_else(String::new, |figure| figure.to_string());
    let row = |variance: &ShownVariance| {
        vec![
            variance.cause.clone(),
            variance.day.clone(),
            or_empty(variance.model.as_ref()),
            or_empty(variance.meter.as_ref()),
            variance.detail.clone(),
            variance.line.map_or_else(String::new, |line| line.to_string()),
            variance.lines.to_string(),
            figure(variance.billed_quantity),
            figure(variance.expected_quantity),
            variance.billed.to_string(),
            variance.expected.to_string(),
            variance.difference.to_string(),
        ]
    };
    (header, variances.iter().map(row).collect())
}

/// The totals, the causes, and the largest variances.
pub(super) fn table(invoice: &ShownInvoice, shown: &[ShownVariance]) -> anyhow::Result<()> {
    let of = [Some(invoice.provider.as_str()), invoice.account.as_deref(), invoice.number.as_deref()];
    let of: Vec<_> = of.into_iter().flatten().collect();
    say!("Invoice of {}, from {} to {} (not included): {}.", of.join(", "), invoice.from, invoice.to, invoice.status);
    if let Some(reason) = &invoice.withdrawn_reason {
        say!("Withdrawn: {reason}");
    }
    let Some(compared) = &invoice.reconciliation else {
        let rows =
            vec![vec![invoice.lines.to_string(), invoice.recorded_lines.to_string(), invoice.amount.to_string()]];
        output::table(&texts(&["lines", "recorded_lines", "amount"]), &rows, 0..3)?;
        say!("It was not compared with calls: apex invoice reconcile {}", invoice.uuid);
        return Ok(());
    };
    let sums = [("billed", compared.billed), ("expected", compared.expected), ("difference", compared.difference)];
    let sums = sums.map(|(name, figure)| vec![name.to_owned(), String::new(), figure.to_string()]);
    output::table(&texts(&["total", "", "USD"]), &sums, 2..3)?;
    if !compared.causes.is_empty() {
        let meaning = |cause: &str| CAUSES.iter().find(|(name, _)| *name == cause).map_or("", |(_, meaning)| meaning);
        let row = |total: &ShownCause| {
            let cells = [total.cause.as_str(), meaning(&total.cause)].map(str::to_owned);
            cells.into_iter().chain([total.variances.to_string(), total.difference.to_string()]).collect()
        };
        let rows: Vec<_> = compared.causes.iter().map(row).collect();
        output::table(&texts(&["cause", "meaning", "variances", "difference"]), &rows, 2..4)?;
    }
    if !shown.is_empty() {
        variances(&shown[..shown.len().min(MAX_ROWS)], Format::Table)?;
    }
    if shown.len() > MAX_ROWS {
        say!("{} more variances are not shown: --format csv has all.", shown.len() - MAX_ROWS);
    }
    notes(compared);
    Ok(())
}

/// What a reader has to know of the figures.
fn notes(compared: &ShownReconciliation) {
    let ShownReconciliation { calls, compared_position, tolerance, unpriced_calls, unvalued_lines, .. } = compared;
    say!(
        "Compared with {calls} calls, up to position {compared_position} of the log. Rounding may change each line by {tolerance} USD."
    );
    if *unpriced_calls > 0 {
        say!("{unpriced_calls} calls of the provider have no price: nothing is expected for them.");
    }
    if *unvalued_lines > 0 {
        say!("{unvalued_lines} lines have no amount, and Apex knows no rate for them: they count as 0.");
    }
}
