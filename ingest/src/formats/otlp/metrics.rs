//! Metrics. They are sums over calls that spans and events state one by one, so that nothing is charged by them: charging both
//! would charge each call twice. Their sender is told which metrics about usage it sends.

use super::attributes::{AttributeValue, Attributes};
use super::json::JsonItems;
use super::proto::{self, ProtobufItems, Value};
use super::sink::{Sink, Stop};
use crate::text::quoted;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// The most names that are kept.
const MAX_NAMES: usize = 16;

/// The beginnings of the names of metrics about the usage of models.
const USAGE: [&str; 9] = [
    "gen_ai.client.token.usage",
    "gen_ai.usage.",
    "gen_ai.client.cost",
    "llm.usage",
    "llm.token",
    "claude_code.token.usage",
    "claude_code.cost.usage",
    "gemini_cli.token.usage",
    "codex.token",
];

/// Counts the data points of an export of metrics.
#[derive(Default)]
pub(crate) struct MetricCollector {
    /// The number of data points.
    pub(crate) count: u64,
    /// The names of metrics about usage.
    pub(crate) usage: BTreeSet<String>,
    stop: Option<Stop>,
}

impl MetricCollector {
    fn push(&mut self, name: &str, points: u64) {
        self.count += points;
        if USAGE.iter().any(|prefix| name.starts_with(prefix)) && self.usage.len() < MAX_NAMES {
            self.usage.insert(quoted(name));
        }
    }
}

impl Sink for MetricCollector {
    fn start_resource(&mut self) {}

    fn set_resource(&mut self, _: Attributes) -> Result<(), &'static str> {
        Ok(())
    }

    fn start_scope(&mut self) {}

    fn set_scope(&mut self, _: &str) {}

    fn stop(&mut self) -> &mut Option<Stop> {
        &mut self.stop
    }
}

impl JsonItems for MetricCollector {
    const LISTS: [&'static [&'static str]; 3] =
        [&["resourceMetrics"], &["scopeMetrics", "instrumentationLibraryMetrics"], &["metrics"]];

    fn item<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut name, mut points) = (None, 0);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = map.next_value::<Option<AttributeValue>>()?.and_then(AttributeValue::into_text),
                "gauge" | "sum" | "histogram" | "exponentialHistogram" | "summary" => {
                    points += map.next_value::<Points>()?.0;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        self.push(name.as_deref().unwrap_or_default(), points);
        Ok(())
    }
}

/// The number of data points of a metric.
struct Points(u64);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Reads the data of a metric, or the list in it.
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the data of a metric")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Points, E> {
                Ok(Points(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Points, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Points(count))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Points, A::Error> {
                let mut count = 0;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "dataPoints" {
                        count += map.next_value::<Points>()?.0;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Points(count))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl ProtobufItems for MetricCollector {
    fn item(&mut self, encoded: &[u8]) -> Result<(), &'static str> {
        let data = proto::Fields(encoded).filter_map(Result::ok).filter_map(|field| match field {
            (5 | 7 | 9 | 10 | 11, Value::Bytes(data)) => Some(proto::count(data, 1)),
            _ => None,
        });
        let points = data.sum();
        self.push(&proto::text(encoded, 1).unwrap_or_default(), points);
        Ok(())
    }
}
