//! Files with allocation rules, in TOML or JSON.

use anyhow::{Context as _, bail, ensure};
use domain::allocation::AllocationRuleSet;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;

/// The most bytes of a file, which is more than an event may have.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the rules of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<AllocationRuleSet> {
    let shown = path.display();
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| format!("{shown} cannot be opened"))?)
    };
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("{shown} cannot be read"))?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "{shown} has more than {MAX_BYTES} bytes");
    let text = String::from_utf8(bytes).with_context(|| format!("{shown} is not UTF-8"))?;
    parse(&text).with_context(|| format!("{shown} has no allocation rules"))
}

/// Parses rules in JSON, which begins with a brace, or else in TOML.
fn parse(text: &str) -> anyhow::Result<AllocationRuleSet> {
    let given: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).context("it is not JSON")?
    } else {
        toml::from_str(text).context("it is not TOML")?
    };
    // What `apex allocation show` prints has the rules inside.
    let given = match given.get("rules") {
        Some(rules) if rules.is_object() => rules,
        _ => &given,
    };
    let given = normalize(given)?;
    let rules: AllocationRuleSet = serde_json::from_value(given.clone())?;
    let read = serde_json::to_value(&rules)?;
    if let Some(unknown) = unread(&given, &read, "") {
        bail!("there is no field {unknown}");
    }
    Ok(rules)
}

/// All text in its normal form, as names have it.
fn normalize(given: &Value) -> anyhow::Result<Value> {
    let text = |text: &str| domain::normalized(text).with_context(|| format!("{text:?} is not a name"));
    Ok(match given {
        Value::String(given) => Value::String(text(given)?),
        Value::Array(items) => Value::Array(items.iter().map(normalize).collect::<anyhow::Result<_>>()?),
        Value::Object(fields) => {
            let mut normal = Map::new();
            for (name, value) in fields {
                ensure!(normal.insert(text(name)?, normalize(value)?).is_none(), "{name:?} occurs twice");
            }
            Value::Object(normal)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => given.clone(),
    })
}

/// The path of a field that was given and not read; none if all were.
fn unread(given: &Value, read: &Value, path: &str) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match read.get(name) {
                Some(read) => unread(value, read, &path),
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(read)) => given
            .iter()
            .zip(read)
            .zip(1..)
            .find_map(|((given, read), number)| unread(given, read, &format!("{path}[{number}]"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Sum;
    use domain::allocation::{AllocatedUsage, Allocator};

    const TOML: &str = r#"
        cost_centres = [{ code = "CC-100", name = "Search" }, { code = "CC-200", name = "Ads" }]
        shared_cost = { kind = "by_weights", weights = { CC-100 = 3, CC-200 = 1 } }

        [[rules]]
        kind = "match"
        when = { team = "search", model = "gpt-4o" }
        cost_centre = "CC-100"

        [[rules]]
        kind = "values"
        dimension = "provider"
        cost_centres = { anthropic = "CC-200" }

        [[rules]]
        kind = "codes"
        dimension = "team"
    "#;

    fn refused(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn toml_and_json_and_what_is_shown_are_read() {
        let rules = parse(TOML).unwrap();
        assert_eq!((rules.cost_centres.len(), rules.rules.len(), rules.check()), (2, 3, Ok(())));
        let json = serde_json::to_value(&rules).unwrap();
        assert_eq!(parse(&json.to_string()).unwrap(), rules);
        let decomposed = TOML.replacen("\"Ads\"", "\"Cafe\\u0301\"", 1);
        assert_eq!(parse(&decomposed).unwrap().cost_centres[1].name.as_str(), "Caf\u{e9}");
        assert_eq!(parse(&serde_json::json!({ "version": 7, "rules": json }).to_string()).unwrap(), rules);
    }

    #[test]
    fn what_is_not_read_is_an_error_that_names_it() {
        for (from, to, expected) in [
            (
                "cost_centre = \"CC-100\"",
                "cost_centre = \"CC-100\"\ncostcentre = 1",
                "there is no field rules[1].costcentre",
            ),
            ("name = \"Ads\"", "name = \"Ads\", owner = \"x\"", "there is no field cost_centres[2].owner"),
            ("shared_cost =", "note = \"x\"\nshared_cost =", "there is no field note"),
            ("kind = \"codes\"", "kind = \"code\"", "unknown variant `code`"),
            ("dimension = \"team\"", "dimension = \"task\"", "usage cannot be assigned by \"task\""),
            ("CC-200 = 1", "CC-200 = -1", "-1"),
            ("CC-200 = 1", "CC-200 = 1.5", "1.5"),
            ("[[rules]]", "[[rules]", "it is not TOML"),
            ("cost_centres = [", "centres = [", "missing field `cost_centres`"),
        ] {
            let text = TOML.replacen(from, to, 1);
            assert!(text != TOML && refused(&text).contains(expected), "{expected}: {}", refused(&text));
        }
        let twice = TOML.replacen("{ anthropic", "{ \"e\\u0301\" = \"CC-200\", \"\\u00e9\" = \"CC-200\", anthropic", 1);
        assert!(refused(&twice).contains("occurs twice"), "{}", refused(&twice));
        let empty = TOML.replacen("\"Ads\"", "\" \"", 1);
        assert!(refused(&empty).contains("\" \" is not a name"), "{}", refused(&empty));
        assert!(refused("{").contains("it is not JSON") && refused("").contains("missing field"), "{}", refused(""));
    }

    /// The cells of a row of a table of a document.
    fn cells(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    /// The figures in the document are those that its rules give for the usage in it.
    #[test]
    fn the_example_of_the_document_adds_up() {
        let document = include_str!("../../../docs/chargeback.md");
        let (_, text) = document.split_once("```toml\n").unwrap();
        let rules = parse(text.split_once("```").unwrap().0).unwrap();
        rules.check().unwrap();
        let (_, example) = document.split_once("## An example").unwrap();
        let tables: Vec<Vec<Vec<&str>>> = example
            .split("\n\n")
            .filter(|part| part.starts_with('|'))
            .map(|table| table.lines().skip(2).map(cells).collect())
            .collect();
        let [usage, expected] = &tables[..] else { panic!("{} tables", tables.len()) };
        let dimensions: Vec<_> = ["team", "user", "key"].map(|name| name.parse().unwrap()).to_vec();
        let mut allocator = Allocator::new(&rules, &dimensions);
        for row in usage {
            let keys: Vec<_> = row[..3].iter().map(|key| (!key.is_empty()).then(|| (*key).to_owned())).collect();
            let (calls, unpriced_calls) = (row[3].parse().unwrap(), row[4].parse().unwrap());
            let cost = Sum::parse(row[5]).unwrap();
            allocator.add(&keys, &AllocatedUsage { calls, unpriced_calls, cost, ..AllocatedUsage::default() });
        }
        let allocation = allocator.finish().unwrap();
        let rounded = allocation.rounded(2);
        assert_eq!(allocation.statements.len(), expected.len() - 1);
        for (statement, row) in allocation.statements.iter().zip(expected) {
            let (direct, shared) = (&statement.direct, &statement.shared);
            let found = [
                statement.cost_centre.code.to_string(),
                direct.calls.to_string(),
                direct.unpriced_calls.to_string(),
                direct.cost.to_string(),
                shared.base.to_string(),
                shared.cost.to_string(),
                statement.total.to_string(),
                rounded[&statement.cost_centre.code].to_string(),
            ];
            assert_eq!(found, row[..]);
        }
        let total = [&allocation.shared.base, &allocation.shared.usage.cost, &allocation.total.cost];
        assert_eq!(total.map(ToString::to_string), expected[3][4..7]);
    }
}
