//! The small objects of OTLP's JSON: values, attributes, and objects of few fields. Whatever the type of a field is, reading
//! goes on behind it.

use crate::error::RefusalReason;
use crate::formats::otlp::attributes::{AttributeSink, AttributeValue, MAX_ATTRIBUTES};
use crate::text::quoted;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The most fields of a small object that are kept.
const MAX_FIELDS: usize = 16;

/// The types of value that are read, with the names of others.
const VALUE_FIELDS: [&str; 7] =
    ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue"];

/// The refusal of a name that is one of `names` in another spelling, such as `trace_id`; none if it is not.
pub(crate) fn misspelled(found: &str, names: &[&'static str]) -> Option<RefusalReason> {
    let plain = |name: &str| {
        let letters = name.chars().filter(|letter| *letter != '_' && *letter != '-');
        letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>()
    };
    // Longer names are none of these, and need not be copied.
    if found.len() > 64 || names.contains(&found) {
        return None;
    }
    let expected = names.iter().find(|name| plain(name) == plain(found))?;
    Some(RefusalReason::Misspelled { found: quoted(found), expected })
}

/// What a value of another type than it should have is read as.
macro_rules! of_other_types {
    ($other:expr; $($method:ident($type:ty)),+) => {
        of_other_types!($other, of_null: $other; $($method($type)),+);
    };
    ($other:expr, of_null: $null:expr; $($method:ident($type:ty)),+) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> { Ok($other) })+
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok($null) }
    };
}

/// The fields of a small object whose values are scalars.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, AttributeValue)>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A field that is text.
pub(crate) fn text_field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(AttributeValue::text)
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            of_other_types!(Fields::default(); visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Fields::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((key, value)) = map.next_entry::<String, AttributeValue>()? {
                    if fields.0.len() < MAX_FIELDS {
                        fields.0.push((key, value));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a list of attributes, or an object of them, as some exporters write it.
pub(crate) struct AttributeList<T>(PhantomData<T>);

impl<T> AttributeList<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: AttributeSink> DeserializeSeed<'de> for AttributeList<T> {
    type Value = Result<T, RefusalReason>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: AttributeSink> Visitor<'de> for AttributeList<T> {
    type Value = Result<T, RefusalReason>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attributes")
    }

    of_other_types!(Err(RefusalReason::NotAList("attributes")), of_null: Ok(T::default());
        visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    // One attribute at a time: a list of them may hold whole conversations.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut attributes, mut refusal, mut count) = (T::default(), None, 0_usize);
        while let Some(attribute) = list.next_element::<Attribute>()? {
            count += 1;
            match attribute.0 {
                Ok(Some((key, value))) if count <= MAX_ATTRIBUTES => attributes.insert(&key, value),
                Ok(_) => {}
                Err(reason) => refusal = Some(reason),
            }
        }
        if count > MAX_ATTRIBUTES {
            refusal = Some(RefusalReason::TooManyAttributes { found: count, limit: MAX_ATTRIBUTES });
        }
        Ok(refusal.map_or(Ok(attributes), Err))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut attributes, mut count) = (T::default(), 0_usize);
        while let Some((key, value)) = map.next_entry::<String, AttributeValue>()? {
            count += 1;
            if count <= MAX_ATTRIBUTES {
                attributes.insert(&key, value);
            }
        }
        let too_many = RefusalReason::TooManyAttributes { found: count, limit: MAX_ATTRIBUTES };
        Ok(if count > MAX_ATTRIBUTES { Err(too_many) } else { Ok(attributes) })
    }
}

/// An attribute: its key and value; none if it has none.
struct Attribute(Result<Option<(String, AttributeValue)>, RefusalReason>);

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Attribute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute")
            }
            of_other_types!(Attribute(Ok(None)); visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Attribute, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Attribute(Ok(None)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attribute, A::Error> {
                let (mut name, mut value, mut refusal) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "key" => name = map.next_value::<AttributeValue>()?.into_text(),
                        "value" => {
                            let fields: Fields = map.next_value()?;
                            refusal = fields.0.iter().find_map(|(key, _)| misspelled(key, &VALUE_FIELDS));
                            value = of_fields(fields);
                        }
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(Attribute(refusal.map_or(Ok(name.zip(value)), Err)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The value of an attribute; none if it has none.
fn of_fields(fields: Fields) -> Option<AttributeValue> {
    let read = ["stringValue", "intValue", "doubleValue", "boolValue"];
    let has_any = fields.0.iter().any(|(_, value)| *value != AttributeValue::Null);
    let value = fields.0.into_iter().find(|(key, _)| read.contains(&key.as_str()));
    value.map(|(_, value)| value).or_else(|| has_any.then_some(AttributeValue::Other))
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AttributeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::clipped(text))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Whole(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<AttributeValue, E> {
                // A number that is too large for a signed integer is no count, and is shown about as it was.
                Ok(i64::try_from(number).map_or(AttributeValue::Float(number as f64), AttributeValue::Whole))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Float(number))
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Flag(flag))
            }
            fn visit_unit<E: Error>(self) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AttributeValue, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(AttributeValue::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AttributeValue::Other)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
