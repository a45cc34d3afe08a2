//! Meters: what the usage of a call is measured in.
//!
//! [`for_each_meter`](crate::for_each_meter) holds the only table of meters. Usage, rates, columns of read models, fields of
//! the API, labels of metrics and the names that importers look for all follow from it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The table of meters: invokes a macro with one row for each meter, in the order in which they are shown.
///
/// A row is `VARIANT, NAME, COLUMN, "DESCRIPTION", { fields of MeterDefinition }`:
///
/// - `VARIANT` of [`Meter`](crate::Meter);
/// - `NAME` in events, in metrics and in the usage of a call in GraphQL;
/// - `COLUMN` of sums in read models, reports and the sums of GraphQL;
/// - the description, which is the documentation of all of them;
/// - the properties, which only this crate reads.
///
/// Crates that need a field of their own for each meter, such as GraphQL types, generate them by their own macro; all others
/// iterate over [`Meter::ALL`](crate::Meter::ALL).
#[macro_export]
macro_rules! for_each_meter {
    ($callback:ident) => {
        $callback! {
            Input, input, input_tokens,
            "Prompt tokens that were neither read from nor written to the provider's cache.",
            {
                unit: Token, part_of: None, billed_as: None, in_prompt: true,
                attributes: &[
                    "gen_ai.usage.input_tokens",
                    "gen_ai.usage.prompt_tokens",
                    "llm.usage.input_tokens",
                    "llm.usage.prompt_tokens",
                    "llm.token_count.prompt",
                    "ai.usage.inputTokens",
                    "ai.usage.promptTokens",
                    "ai.usage.tokens",
                    "gen_ai.aggregated_usage.input_tokens",
                ],
            };
            Output, output, output_tokens,
            "Generated tokens, including reasoning tokens.",
            {
                unit: Token, part_of: None, billed_as: None, in_prompt: false,
                attributes: &[
                    "gen_ai.usage.output_tokens",
                    "gen_ai.usage.completion_tokens",
                    "llm.usage.output_tokens",
                    "llm.usage.completion_tokens",
                    "llm.token_count.completion",
                    "ai.usage.outputTokens",
                    "ai.usage.completionTokens",
                    "gen_ai.aggregated_usage.output_tokens",
                ],
            };
            CacheRead, cache_read, cache_read_tokens,
            "Prompt tokens that were read from the provider's cache.",
            {
                unit: Token, part_of: None, billed_as: Some(Self::Input), in_prompt: true,
                attributes: &[
                    "gen_ai.usage.cache_read.input_tokens",
                    "gen_ai.usage.cache_read_input_tokens",
                    "gen_ai.usage.cache_read_tokens",
                    "gen_ai.usage.input_tokens.cached",
                    "gen_ai.usage.details.cache_read_tokens",
                    "gen_ai.usage.details.cached_tokens",
                    "llm.usage.cache_read_input_tokens",
                    "llm.token_count.prompt_details.cache_read",
                    "llm.token_count.prompt_details.cache_input",
                    "ai.usage.cachedInputTokens",
                    "ai.usage.inputTokenDetails.cacheReadTokens",
                    "gen_ai.aggregated_usage.cache_read.input_tokens",
                    "gen_ai.aggregated_usage.details.cache_read_tokens",
                ],
            };
            CacheWrite5Min, cache_write_5min, cache_write_5min_tokens,
            "Prompt tokens that were written to the provider's cache for 5 minutes, or for a time that is not known.",
            {
                unit: Token, part_of: None, billed_as: Some(Self::Input), in_prompt: true,
                attributes: &[
                    "gen_ai.usage.cache_write.input_tokens",
                    "gen_ai.usage.cache_creation.input_tokens",
                    "gen_ai.usage.cache_creation_input_tokens",
                    "gen_ai.usage.cache_write_input_tokens",
                    "gen_ai.usage.cache_write_tokens",
                    "gen_ai.usage.input_tokens.cache_write",
                    "gen_ai.usage.details.cache_write_tokens",
                    "llm.usage.cache_creation_input_tokens",
                    "llm.token_count.prompt_details.cache_write",
                    "ai.usage.inputTokenDetails.cacheWriteTokens",
                    "gen_ai.aggregated_usage.cache_write.input_tokens",
                    "gen_ai.aggregated_usage.cache_creation.input_tokens",
                    "gen_ai.aggregated_usage.details.cache_write_tokens",
                    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
                ],
            };
            CacheWrite1Hour, cache_write_1hour, cache_write_1hour_tokens,
            "Prompt tokens that were written to the provider's cache for 1 hour.",
            {
                unit: Token, part_of: None, billed_as: Some(Self::CacheWrite5Min), in_prompt: true,
                attributes: &["anthropic.usage.cache_creation.ephemeral_1h_input_tokens"],
            };
            Reasoning, reasoning, reasoning_tokens,
            "Reasoning tokens, which are part of the output tokens.",
            {
                unit: Token, part_of: Some(Self::Output), billed_as: Some(Self::Output), in_prompt: false,
                attributes: &[
                    "gen_ai.usage.reasoning.output_tokens",
                    "gen_ai.usage.reasoning_tokens",
                    "gen_ai.usage.output_tokens.reasoning",
                    "gen_ai.usage.details.reasoning_tokens",
                    "llm.usage.reasoning_tokens",
                    "llm.token_count.completion_details.reasoning",
                    "ai.usage.reasoningTokens",
                    "ai.usage.outputTokenDetails.reasoningTokens",
                    "gen_ai.aggregated_usage.reasoning.output_tokens",
                    "gen_ai.aggregated_usage.details.reasoning_tokens",
                ],
            };
            AudioInput, audio_input, audio_input_tokens,
            "Tokens of audio in the prompt, which are part of the input tokens.",
            {
                unit: Token, part_of: Some(Self::Input), billed_as: Some(Self::Input), in_prompt: false,
                attributes: &["gen_ai.usage.details.input_audio_tokens", "llm.token_count.prompt_details.audio"],
            };
            AudioOutput, audio_output, audio_output_tokens,
            "Tokens of generated audio, which are part of the output tokens.",
            {
                unit: Token, part_of: Some(Self::Output), billed_as: Some(Self::Output), in_prompt: false,
                attributes: &["gen_ai.usage.details.output_audio_tokens", "llm.token_count.completion_details.audio"],
            };
            ImageInput, image_input, image_input_tokens,
            "Tokens of images in the prompt, which are part of the input tokens.",
            {
                unit: Token, part_of: Some(Self::Input), billed_as: Some(Self::Input), in_prompt: false,
                attributes: &[],
            };
            ImageOutput, image_output, image_output_tokens,
            "Tokens of generated images, which are part of the output tokens.",
            {
                unit: Token, part_of: Some(Self::Output), billed_as: Some(Self::Output), in_prompt: false,
                attributes: &[],
            };
            Images, images, images,
            "Images that were generated and are billed one by one.",
            { unit: Image, part_of: None, billed_as: None, in_prompt: false, attributes: &[] };
            Requests, requests, requests,
            "Requests that are billed one by one.",
            { unit: Request, part_of: None, billed_as: None, in_prompt: false, attributes: &[] };
            Searches, searches, searches,
            "Searches of the web that the provider made for the call.",
            { unit: Search, part_of: None, billed_as: None, in_prompt: false, attributes: &[] };
            MediaMs, media_ms, media_ms,
            "Milliseconds of audio or video, of models that are billed by time.",
            { unit: Millisecond, part_of: None, billed_as: None, in_prompt: false, attributes: &[] };
            Characters, characters, characters,
            "Characters of text, of models that are billed by them.",
            { unit: Character, part_of: None, billed_as: None, in_prompt: false, attributes: &[] };
        }
    };
}

/// The unit of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A token of a model.
    Token,
    /// A generated image.
    Image,
    /// A request to a model.
    Request,
    /// A search of the web.
    Search,
    /// A millisecond of audio or video.
    Millisecond,
    /// A character of text.
    Character,
}

/// The properties of a meter.
struct MeterDefinition {
    unit: Unit,
    /// The whole that includes it.
    part_of: Option<Meter>,
    /// The meter at whose rate it is billed if it has no rate of its own.
    billed_as: Option<Meter>,
    /// Whether it is a part of the prompt that no other meter includes.
    in_prompt: bool,
    /// The attributes of spans that hold it, the preferred one first.
    attributes: &'static [&'static str],
}

macro_rules! define {
    ($($variant:ident, $name:ident, $column:ident, $description:tt, {
        unit: $unit:ident, $($field:ident: $value:expr),+ $(,)?
    });+ $(;)?) => {
        /// What the usage of a call is measured in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Meter {
            $(#[doc = $description] $variant),+
        }

        impl Meter {
            /// Every meter, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in events and metrics, such as `cache_read`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name)),+ }
            }

            /// The column of sums in read models and reports, such as `cache_read_tokens`.
            #[must_use]
            pub const fn column(self) -> &'static str {
                match self { $(Self::$variant => stringify!($column)),+ }
            }

            /// The description, a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }

            const fn definition(self) -> MeterDefinition {
                match self { $(Self::$variant => MeterDefinition { unit: Unit::$unit, $($field: $value),+ }),+ }
            }
        }
    };
}
for_each_meter!(define);

/// A name that is not the name of a meter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a meter; meters are {names}", names = names())]
pub struct UnknownMeter(String);

fn names() -> String {
    Meter::ALL.iter().map(|meter| meter.name()).collect::<Vec<_>>().join(", ")
}

impl Meter {
    /// The number of meters.
    pub const COUNT: usize = Self::ALL.len();

    /// The unit in which it counts.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.definition().unit
    }

    /// The meter that includes it; none if no other meter does. A part has no parts of its own.
    #[must_use]
    pub const fn part_of(self) -> Option<Self> {
        self.definition().part_of
    }

    /// The meters that it includes.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |meter| meter.part_of() == Some(self))
    }

    /// The meter at whose rate it is billed if it has no rate of its own; none if it is not charged then.
    #[must_use]
    pub const fn billed_as(self) -> Option<Self> {
        self.definition().billed_as
    }

    /// The meters at whose rates it may be billed, the preferred one first: itself, and then those of
    /// [`billed_as`](Self::billed_as).
    pub(crate) fn billing_chain(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |meter| meter.billed_as())
    }

    /// Whether it counts towards the size of the prompt, which decides which price tier applies. The meters of the prompt are
    /// disjoint.
    #[must_use]
    pub const fn is_in_prompt(self) -> bool {
        self.definition().in_prompt
    }

    /// The attributes of spans that hold it, under their current and former names, the preferred one first.
    #[must_use]
    pub const fn attributes(self) -> &'static [&'static str] {
        self.definition().attributes
    }

    /// The JSON Schema of an object with a value for each meter, of which none is required.
    pub(crate) fn schema_of_map<V: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        let property = |meter: &Self| {
            let mut schema = generator.subschema_for::<V>();
            schema.insert("description".to_owned(), meter.description().into());
            (meter.name().to_owned(), schema.to_value())
        };
        let properties: Map<String, Value> = Self::ALL.iter().map(property).collect();
        json_schema!({ "type": "object", "properties": properties })
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Meter {
    type Err = UnknownMeter;

    fn from_str(name: &str) -> Result<Self, UnknownMeter> {
        let found = Self::ALL.iter().find(|meter| meter.name() == name);
        found.copied().ok_or_else(|| UnknownMeter(name.chars().take(64).collect()))
    }
}

impl Serialize for Meter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Meter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Meter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a meter")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Meter, E> {
                name.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl JsonSchema for Meter {
    fn schema_name() -> Cow<'static, str> {
        "Meter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::ALL.iter().map(|meter| meter.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What code that iterates over the table relies on.
    #[test]
    fn the_table_is_consistent() {
        for &meter in Meter::ALL {
            assert_eq!(Meter::ALL[meter as usize], meter, "the order of variants is that of the table");
            if let Some(whole) = meter.part_of() {
                assert_eq!(whole.part_of(), None, "{meter}: a part has no parts");
                assert_eq!(whole.unit(), meter.unit(), "{meter} is counted in the unit of {whole}");
                assert_eq!(meter.billed_as(), Some(whole), "{meter}: the rest of {whole} is billed without it");
                assert!(!meter.is_in_prompt(), "{meter} would be counted twice, with {whole}");
            }
            let chain = meter.billing_chain();
            assert!(chain.take(Meter::COUNT + 1).count() <= Meter::COUNT, "{meter} is billed as itself");
            assert!(meter.billed_as().is_none_or(|other| other.unit() == meter.unit()), "{meter}: a rate has a unit");
            assert!(meter.description().ends_with('.') && !meter.description().contains('\n'));
        }
        let distinct = |texts: Vec<&'static str>| assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len());
        distinct(Meter::ALL.iter().map(|meter| meter.name()).collect());
        distinct(Meter::ALL.iter().map(|meter| meter.column()).collect());
        distinct(Meter::ALL.iter().flat_map(|meter| meter.attributes()).copied().collect());
    }

    #[test]
    fn names_are_parsed_and_unknown_ones_are_rejected() {
        for meter in Meter::ALL {
            assert_eq!(meter.name().parse(), Ok(*meter));
            assert_eq!(serde_json::from_value::<Meter>(serde_json::to_value(meter).unwrap()).unwrap(), *meter);
        }
        let error = "cache_write".parse::<Meter>().unwrap_err().to_string();
        assert!(error.starts_with("\"cache_write\" is not a meter; meters are input, output, cache_read, "), "{error}");
    }
}
