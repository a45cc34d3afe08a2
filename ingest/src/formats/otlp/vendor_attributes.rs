//! Reads the attributes of events and spans of coding agents by their tables.

use super::attributes::{AttributeValue, Attributes};
use super::conventions::{ScopeBasis, Slot};
use super::vendors::{SPANS, VendorEvent, is_unread_count};

/// Reads the attributes of a span of a coding agent, and returns how far its usage can be relied on; none if the span is of no
/// coding agent.
pub(crate) fn read_span(name: Option<&str>, attributes: &mut Attributes) -> Option<ScopeBasis> {
    let bare = attributes.take_bare();
    let span = SPANS.iter().find(|span| Some(span.name) == name)?;
    for (name, value) in bare {
        if let Some((_, slot)) = span.attributes.iter().find(|(known, _)| *known == name) {
            attributes.set(*slot, name, of_model(*slot, value));
        }
    }
    if attributes.text(Slot::Operation).is_none() {
        attributes.set(Slot::Operation, "gen_ai.operation.name", AttributeValue::Text(span.operation.to_owned()));
    }
    Some(ScopeBasis::CachedBeside)
}

/// Reads the attributes of an event of a coding agent.
pub(crate) fn read_event<'a>(
    event: &VendorEvent,
    read: impl Iterator<Item = (&'a str, &'a AttributeValue)>,
) -> Attributes {
    let mut attributes = Attributes::default();
    for (key, value) in read {
        match event.attributes.iter().find(|(known, _)| *known == key) {
            Some((name, slot)) => attributes.set(*slot, name, of_model(*slot, value.clone())),
            None if is_unread_count(key) => attributes.note_unread(key, value),
            None => attributes.insert_value(key, value.clone()),
        }
    }
    attributes
}

/// Claude Code adds the size of the context to the name of the model, as in `claude-sonnet-4-5[1m]`.
fn of_model(slot: Slot, value: AttributeValue) -> AttributeValue {
    match (slot, value) {
        (Slot::ResponseModel, AttributeValue::Text(model)) => {
            let name =
                model.strip_suffix(']').and_then(|model| model.rsplit_once('[')).map(|(name, _)| name.to_owned());
            AttributeValue::Text(name.unwrap_or(model))
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_context_is_no_part_of_the_model() {
        let model = |text: &str| of_model(Slot::ResponseModel, AttributeValue::Text(text.to_owned()));
        for (named, right) in [("claude-opus-4-6[1m]", "claude-opus-4-6"), ("m", "m"), ("m]", "m]"), ("m[1m", "m[1m")] {
            assert_eq!(model(named), AttributeValue::Text(right.to_owned()), "{named}");
        }
    }
}
