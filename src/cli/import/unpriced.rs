//! The message about calls without a price.

use domain::Name;
use indicatif::HumanCount;
use ingest::UnpricedCalls;

/// The maximum number of models listed.
const MAX_MODELS: usize = 10;

/// Prints the models that have no price, and what to do about it.
pub(super) fn print(calls: &UnpricedCalls) {
    let models = calls.by_model();
    let Some((first, _)) = models.first() else { return };
    let all = HumanCount(calls.len() as u64);
    let or_more = if calls.has_more() { " or more" } else { "" };
    say!("{all}{or_more} calls have no price and are not included in any cost:");
    for (unpriced, calls) in models.iter().take(MAX_MODELS) {
        let model = unpriced.model.as_ref().map_or("no model", Name::as_str);
        let provider = unpriced.provider.as_ref().map_or("no provider", Name::as_str);
        let reason = unpriced.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        say!("  {model} ({provider}): {}{reason}", HumanCount(*calls));
    }
    if models.len() > MAX_MODELS {
        say!("  and {} more models", models.len() - MAX_MODELS);
    }
    let model = first.model.as_ref().map_or("MODEL", Name::as_str);
    say!(
        "`apex prices list --model '{model}'` lists the known prices. Set missing prices with `apex prices import \
         TABLE.json --effective-from DATE`, and charge these calls with `apex prices reprice --apply --reason TEXT`."
    );
    if models.iter().any(|(unpriced, _)| unpriced.provider.is_none()) {
        say!(
            "A call without a provider is priced at the list price of the model's maker, or if a single provider sells \
             the model; set it with --provider."
        );
    }
}
