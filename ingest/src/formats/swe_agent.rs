//! Trajectories of SWE-agent, and of SE-Agent, which writes the same format: one JSON document per run.
//!
//! A trajectory states what all calls of the run used together (`info.model_stats`), and neither their times nor their usage one
//! by one: a run is recorded as one call, with the number of API calls as a tag. Prices that depend on the size of a prompt
//! would apply to all prompts of the run together; the cost that the agent computed is kept beside the charge. The time of the
//! run is an option, and so is the model where the document does not name it. A run is identified by the content of its
//! document: a copy under another name is the same run. A replay, which called no model, states zeros and is no call.

use super::counts::{Cached, Counts};
use super::document::{Found, read_text};
use super::json::{self, Fields};
use super::lines::{Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{agent_or_format, minimal_facts, model, provider, reported_cost};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::{AgentRef, Location, Record, TaskRef};
use domain::call::{CallFacts, CallKind, Outcome, Tags};

pub(crate) const SPEC: Spec = Spec {
    format: Format::SweAgent,
    about: "Trajectories of SWE-agent and SE-Agent: JSON, one run per file",
    extensions: &["traj", "traj.gz"],
    identity: &[KeyKind::Content],
    recognises: |sketch| sketch.has("trajectory") && (sketch.has("trajectory[].action") || sketch.has("environment")),
    open,
};

fn open(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let text = read_text(lines)?;
    let document: Fields<'_> = serde_json::from_str(&text).map_err(InputError::json)?;
    let Some(stats) = document.at(&["info", "model_stats"]) else {
        return Err(InputError::NotOfFormat { format: SPEC.format.as_str(), expected: "info.model_stats" });
    };
    if defaults.started_at.is_none() {
        return Err(InputError::StartNeeded(SPEC.format.as_str()));
    }
    let mut found = Found::default();
    let location = found.next_item();
    found.add(location, run(location, &text, &document, &stats, &defaults))?;
    Ok(found.into_records())
}

fn run(
    location: Location,
    text: &str,
    document: &Fields<'_>,
    stats: &Fields<'_>,
    defaults: &Defaults,
) -> Result<ParsedLine, RefusalReason> {
    let (sent, received) = (stats.first_count(&["tokens_sent"])?, stats.first_count(&["tokens_received"])?);
    let (reported_cost, ignored) = reported_cost("instance_cost", stats.first(&["instance_cost", "total_cost"]));
    if sent.get() == 0 && received.get() == 0 {
        return Ok(ParsedLine::NotACall);
    }
    let config = replay_config(document);
    let configured = config.as_deref().and_then(configured_model);
    let (named_provider, named) = configured.as_deref().map(with_provider).unzip();
    let started_at = defaults.started_at.ok_or(RefusalReason::OptionNeeded { field: "the time", option: "--at" })?;
    let exit_status = document.object("info").and_then(|info| info.text("exit_status").map(|text| text.into_owned()));
    let api_calls = stats.first_count(&["api_calls"])?.to_string();
    let facts = CallFacts {
        provider: provider("the provider", named_provider.flatten(), defaults)?,
        model: Some(model("the model", named, defaults)?),
        usage: Counts { input: sent, output: received, ..Counts::default() }.usage(Cached::Inside)?,
        reported_cost,
        outcome: exit_status.filter(|status| status.starts_with("submitted")).map(|_| Outcome::Ok),
        tags: Tags::new([("api_calls", api_calls)]).ok(),
        ..minimal_facts(CallKind::Llm, started_at, Format::SweAgent)?
    };
    // Two runs never have one document: each has the texts of its model.
    let identifiers = Identifiers { content: &[text.trim()], ..Identifiers::default() };
    let call_ids = SPEC.call_ids(&identifiers, &mut Occurrences::new(1));
    let agent = agent_or_format(Format::SweAgent, defaults);
    let task = task(document, config.as_deref(), agent.as_ref());
    Ok(Record::new(location, call_ids, agent, task, facts).ignoring(ignored).into())
}

/// The configuration of the run, as JSON. It is an object, or a text that holds one.
fn replay_config(document: &Fields<'_>) -> Option<String> {
    let raw = document.raw("replay_config")?;
    json::text(raw).map(|text| text.into_owned()).or_else(|| Some(raw.get().to_owned()))
}

/// The model that the configuration names; none if it only replays the actions of another run, or a person acts.
fn configured_model(config: &str) -> Option<String> {
    let model = Fields::parse(config).ok()?.at(&["agent", "model"])?;
    let name = model.text("name")?;
    let is_model = !matches!(name.as_ref(), "replay" | "human" | "human_thought" | "instant_empty_submit");
    is_model.then(|| name.into_owned())
}

/// The providers that SWE-agent, which calls models by LiteLLM, writes before a model.
const PROVIDERS: [&str; 12] = [
    "anthropic",
    "azure",
    "azure_ai",
    "bedrock",
    "deepseek",
    "gemini",
    "groq",
    "mistral",
    "openai",
    "openrouter",
    "vertex_ai",
    "xai",
];

/// The provider and the model of a name, such as `anthropic/claude-sonnet-4-20250514`.
fn with_provider(named: &str) -> (Option<&str>, &str) {
    match named.split_once('/') {
        Some((provider, model)) if PROVIDERS.contains(&provider) => (Some(provider), model),
        _ => (None, named),
    }
}

/// The instance that the agent worked on: that of the configuration, else the environment unless it is a constant.
fn task(document: &Fields<'_>, config: Option<&str>, agent: Option<&AgentRef>) -> Option<TaskRef> {
    let configured =
        config.and_then(|config| Fields::parse(config).ok()?.object("agent")?.text("name").map(String::from));
    let environment = document.text("environment").map(String::from);
    let is_instance = |name: &String| !matches!(name.as_str(), "main" | "swe_main" | "");
    let name = [environment, configured].into_iter().flatten().find(is_instance)?;
    TaskRef::new(Format::SweAgent, &[&name], &name, agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::read_records;
    use crate::formats::testing::{input_error, read, records};
    use domain::{Meter, Name};

    fn document(stats: &str, more: &str) -> String {
        format!(
            r#"{{"environment":"main","trajectory":[{{"action":"ls"}}],"history":[],{more}
            "info":{{"exit_status":"submitted","model_stats":{stats}}}}}"#
        )
    }

    const STATS: &str =
        r#"{"instance_cost":0.019520000000000006,"tokens_sent":7141,"tokens_received":243,"api_calls":5}"#;

    #[test]
    fn a_run_is_one_call_with_its_recorded_cost() {
        let found = records(Format::SweAgent, document(STATS, ""));
        let facts = &found[0].facts;
        assert_eq!([Meter::Input, Meter::Output].map(|meter| facts.usage.get(meter).get()), [7141, 243]);
        assert_eq!(facts.reported_cost.map(|cost| cost.amount.to_string()).as_deref(), Some("0.01952"));
        assert_eq!(facts.outcome, Some(Outcome::Ok));
        let tags: Vec<_> =
            facts.tags.iter().flat_map(Tags::iter).map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(tags, ["api_calls=5"]);
    }

    #[test]
    fn the_configuration_names_the_model_and_the_instance() {
        let config = r#"{"agent":{"name":"astropy__astropy-13033","model":{"name":"anthropic/claude-3-7"}}}"#;
        let text = serde_json::to_string(config).unwrap();
        for config in [config, &text] {
            let found = records(Format::SweAgent, document(STATS, &format!(r#""replay_config":{config},"#)));
            assert_eq!(found[0].facts.model.as_ref().map(Name::as_str), Some("claude-3-7"));
            assert_eq!(found[0].facts.provider.as_ref().map(Name::as_str), Some("anthropic"));
            assert_eq!(found[0].task.as_ref().map(|task| task.title.as_str()), Some("astropy__astropy-13033"));
        }
    }

    #[test]
    fn a_run_that_called_no_model_is_no_call() {
        let zeros = r#"{"instance_cost":0,"tokens_sent":0,"tokens_received":0,"api_calls":11}"#;
        assert!(read(Format::SweAgent, document(zeros, "")).is_empty());
    }

    #[test]
    fn what_the_document_does_not_say_is_an_option() {
        let text = document(STATS, "");
        let error = read_records(Format::SweAgent, Defaults::default(), Box::new(std::io::Cursor::new(text))).err();
        assert!(error.unwrap().to_string().contains("--at"));
        let error = input_error(Format::SweAgent, r#"{"trajectory":[],"info":{}}"#).to_string();
        assert!(error.contains("info.model_stats is missing"), "{error}");
    }
}
