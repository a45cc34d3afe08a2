use super::*;
use crate::budget::{Month, Threshold};
use crate::price_book::Rate;
use crate::{AgentId, Body, Labels, Money, Name, Quantity};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

fn of<T: JsonSchema>() -> EventSchema {
    EventSchema::of::<T>("test.happened", 1)
}

fn accepts<T: JsonSchema>(value: &Value) -> bool {
    let validator = jsonschema::options().should_validate_formats(true).build(&of::<T>().schema).unwrap();
    validator.is_valid(value)
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Kind {
    /// The id.
    id: AgentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<Name>,
}

#[test]
fn a_changed_shape_is_rejected() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Required {
        id: AgentId,
        #[schemars(skip_serializing_if = "Option::is_none")]
        note: Option<Name>,
        at: DateTime<Utc>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Optional {
        id: AgentId,
        #[schemars(skip_serializing_if = "Option::is_none")]
        note: Option<Name>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        at: Option<DateTime<Utc>>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Renamed {
        #[schemars(rename = "agent_id")]
        id: AgentId,
        #[schemars(skip_serializing_if = "Option::is_none")]
        note: Option<Name>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct OtherType {
        id: AgentId,
        #[schemars(skip_serializing_if = "Option::is_none")]
        note: Option<Body>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Removed {
        id: AgentId,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct NowRequired {
        id: AgentId,
        note: Name,
    }
    let existing = of::<Kind>().text();
    assert_eq!(of::<Kind>().compare(&existing), Ok(SchemaMatch::Identical));
    for changed in
        [of::<Required>(), of::<Optional>(), of::<Renamed>(), of::<OtherType>(), of::<Removed>(), of::<NowRequired>()]
    {
        let error = changed.compare(&existing).unwrap_err().to_string();
        assert!(error.contains("give it version 2, write an upcast from version 1, and keep the old"), "{error}");
    }
    assert!(of::<Kind>().compare("no schema").is_err());
}

#[test]
fn a_changed_description_is_the_same_shape() {
    #[derive(JsonSchema)]
    #[schemars(rename = "AnotherName")]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Kind {
        /// The id, described differently.
        id: AgentId,
        #[schemars(skip_serializing_if = "Option::is_none")]
        note: Option<Name>,
    }
    let existing = of::<super::tests::Kind>().text();
    assert_eq!(of::<Kind>().compare(&existing), Ok(SchemaMatch::SameShape));
}

/// Fields named `title` and `description` are part of the shape, unlike the keywords.
#[test]
fn fields_named_like_keywords_are_compared() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Titled {
        title: Name,
        description: Name,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Untitled {
        title: Name,
    }
    assert!(of::<Untitled>().compare(&of::<Titled>().text()).is_err());
}

#[test]
fn invalid_payloads_are_rejected() {
    let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
    assert!(accepts::<Kind>(&json!({"id": id, "note": "x"})));
    for bad in [
        json!({"id": id, "note": null}),
        json!({"id": id, "more": 1}),
        json!({"id": "0190d5a2"}),
        json!({"note": "x"}),
        json!({"id": id, "note": ""}),
        json!({"id": id, "note": "a\nb"}),
    ] {
        assert!(!accepts::<Kind>(&bad), "{bad}");
    }
    for bad in [json!(1.5), json!("1e3"), json!("1."), json!("$1"), json!("1,5"), json!("1234567890123456")] {
        assert!(!accepts::<Money>(&bad), "{bad}");
    }
    assert!(!accepts::<Rate>(&json!("-1")) && accepts::<Rate>(&json!("0.15")));
    assert!(!accepts::<Quantity>(&json!(1_u64 << 53)) && accepts::<Quantity>(&json!((1_u64 << 53) - 1)));
    assert!(!accepts::<Threshold>(&json!(0)) && !accepts::<Threshold>(&json!(1001)));
    assert!(!accepts::<Month>(&json!("2023-13")) && !accepts::<Month>(&json!("2023-9")));
    let time = "2025-11-03T09:30:00";
    assert!(accepts::<DateTime<Utc>>(&json!(format!("{time}.123456789Z"))));
    assert!(!accepts::<DateTime<Utc>>(&json!(format!("{time}+01:00"))));
    assert!(!accepts::<DateTime<Utc>>(&json!(time)) && !accepts::<DateTime<Utc>>(&json!("2025-13-03T09:30:00Z")));
    let labels: serde_json::Map<_, _> = (0..33).map(|n| (n.to_string(), json!("x"))).collect();
    assert!(!accepts::<Labels>(&Value::Object(labels)));
}

/// Asserts that the schema accepts everything that the type reads and writes.
fn assert_schema_accepts_written<T: JsonSchema + Serialize + DeserializeOwned>(value: &Value) {
    if let Ok(read) = serde_json::from_value::<T>(value.clone()) {
        let written = serde_json::to_value(&read).unwrap();
        assert!(accepts::<T>(&written), "{written} is rejected by its schema");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn everything_that_can_be_written_matches_its_schema(
        text in ".{0,20}", number in any::<u64>(), amount in "-?[0-9]{1,16}(\\.[0-9]{1,13})?",
        month in "[+-]?[0-9]{1,5}-[01][0-9]",
    ) {
        for text in [&text, &amount, &month].map(|text| json!(text)) {
            assert_schema_accepts_written::<Name>(&text);
            assert_schema_accepts_written::<Body>(&text);
            assert_schema_accepts_written::<Money>(&text);
            assert_schema_accepts_written::<Rate>(&text);
            assert_schema_accepts_written::<Month>(&text);
        }
        assert_schema_accepts_written::<Quantity>(&json!(number));
        assert_schema_accepts_written::<Quantity>(&json!(number >> 11));
        assert_schema_accepts_written::<Threshold>(&json!(number % 1100));
    }
}
