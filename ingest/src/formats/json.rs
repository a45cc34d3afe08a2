//! JSON of which only some fields are read: each field is parsed when it is asked for, so that a field that is not needed
//! may have any form.

use crate::error::RefusalReason;
use crate::text::{json_decimal, quoted};
use domain::Quantity;
use rust_decimal::prelude::ToPrimitive;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The maximum number of fields of an object that is read.
const MAX_FIELDS: usize = 10_000;
/// The maximum number of items of a list that is read.
const MAX_ITEMS: usize = 2_000_000;

/// The fields of an object. Of a name that occurs twice, the last field is read.
pub(crate) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// # Errors
    /// [`RefusalReason::Json`] if the text is not JSON, or no object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, RefusalReason> {
        serde_json::from_str(text).map_err(RefusalReason::json)
    }

    /// The value of a field, unless it is absent or null.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }

    /// The first of several fields that is neither absent nor null.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&'a RawValue> {
        names.iter().find_map(|name| self.raw(name))
    }

    /// The object in a field; none if the field is absent or has another form.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        object(self.raw(name)?)
    }

    /// The object at the end of a path of fields.
    pub(crate) fn at(&self, path: &[&str]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.object(first)?, |fields, name| fields.object(name))
    }

    /// The text of a field; none if the field is absent or has another form.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    /// The text of the first of several fields that have one, unless it is blank.
    pub(crate) fn first_text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().filter_map(|name| self.text(name)).find(|text| !text.trim().is_empty())
    }

    /// A whole number; none if the field is absent or null.
    ///
    /// # Errors
    /// [`RefusalReason::NotACount`] or [`RefusalReason::Quantity`] if the field is no quantity.
    pub(crate) fn count(&self, name: &'static str) -> Result<Option<Quantity>, RefusalReason> {
        self.raw(name).map(|value| count(name, value)).transpose()
    }

    /// As [`count`](Self::count), of the first of several fields that is there; 0 if none is.
    pub(crate) fn first_count(&self, names: &[&'static str]) -> Result<Quantity, RefusalReason> {
        for name in names {
            if let Some(found) = self.count(name)? {
                return Ok(found);
            }
        }
        Ok(Quantity::ZERO)
    }

    /// The items of a list; none if the field is absent or has another form.
    pub(crate) fn items(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        items(self.raw(name)?.get()).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// A value as an object.
pub(crate) fn object(value: &RawValue) -> Option<Fields<'_>> {
    Fields::parse(value.get()).ok()
}

/// A value as text.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned)
}

/// A value as a whole number: an integer, a number without a fraction, or a string of digits.
pub(crate) fn count(name: &'static str, value: &RawValue) -> Result<Quantity, RefusalReason> {
    let written = value.get();
    let digits = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
    let number = json_decimal(digits).filter(rust_decimal::Decimal::is_integer).and_then(|number| number.to_i64());
    let number = number.ok_or_else(|| RefusalReason::NotACount { field: name, found: quoted(written) })?;
    Quantity::try_from(number).map_err(|cause| RefusalReason::Quantity { field: name, cause })
}

/// The items of a list.
pub(crate) fn items(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::from_str::<Items<'_>>(text).map(|items| items.0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    fields.insert(name, value);
                    if fields.len() > MAX_FIELDS {
                        return Err(M::Error::custom(format_args!("an object has more than {MAX_FIELDS} fields")));
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The items of a list, each of any form.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Items<'de>, S::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                    if items.len() > MAX_ITEMS {
                        return Err(S::Error::custom(format_args!("a list has more than {MAX_ITEMS} items")));
                    }
                }
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_form_are_read_when_they_are_asked_for() {
        let fields = Fields::parse(r#"{"a":{"b":{"c":"x"}},"n":28.0,"s":"12","bad":"1.5","neg":-1,"null":null,"n":7}"#);
        let fields = fields.unwrap();
        assert_eq!(fields.at(&["a", "b"]).unwrap().text("c").as_deref(), Some("x"));
        assert_eq!(fields.count("n").unwrap().map(Quantity::get), Some(7));
        assert_eq!(fields.first_count(&["null", "absent", "s"]).unwrap().get(), 12);
        assert!(fields.count("bad").is_err() && fields.count("neg").is_err() && fields.count("a").is_err());
        assert!(fields.text("a").is_none() && fields.object("n").is_none() && fields.items("a").is_none());
        assert_eq!(count("n", &RawValue::from_string("28.0".to_owned()).unwrap()).unwrap().get(), 28);
    }

    #[test]
    fn objects_and_lists_are_bounded() {
        let many: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("\"{n}\":0")).collect();
        let error = Fields::parse(&format!("{{{}}}", many.join(","))).err().unwrap().to_string();
        assert!(error.contains("more than 10000 fields"), "{error}");
        let error = items(&format!("[{}0]", "0,".repeat(MAX_ITEMS))).unwrap_err().to_string();
        assert!(error.contains("more than 2000000 items"), "{error}");
    }
}
