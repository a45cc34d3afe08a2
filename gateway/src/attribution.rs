//! Whose a call is: what the credential says, and what headers declare.

use domain::budget::{Attributes, BudgetDimension, attributes_of};
use domain::call::{CallFacts, CallKind, Tags};
use domain::{AgentId, DagId, Name, TaskId};
use reqwest::Url;
use reqwest::header::HeaderMap;
use thiserror::Error;
use uuid::Uuid;

/// The start of the names of all headers that are for the gateway alone.
pub(crate) const OWN_HEADERS: &str = "x-apex-";
const AGENT: &str = "x-apex-agent";
const TASK: &str = "x-apex-task";
const DAG: &str = "x-apex-dag";
const CONVERSATION: &str = "x-apex-conversation";
const USER: &str = "x-apex-user";
const TEAM: &str = "x-apex-team";
const TAGS: &str = "x-apex-tags";
const MIN_OUTPUT: &str = "x-apex-min-output-tokens";

/// Why a header is not valid.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the header {name} {problem}")]
pub(crate) struct BadHeader {
    name: &'static str,
    problem: String,
}

/// What the headers of a request declare.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    facts: Attribution,
    /// The fewest output tokens of a choice that would do.
    pub(crate) min_output: Option<u64>,
}

/// Whose a call is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Attribution {
    agent_id: Option<AgentId>,
    task_id: Option<TaskId>,
    dag_id: Option<DagId>,
    conversation: Option<Name>,
    user: Option<Name>,
    team: Option<Name>,
    tags: Option<Tags>,
}

fn text<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, BadHeader> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadHeader { name, problem: "occurs twice".to_owned() });
    }
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| BadHeader { name, problem: "is not UTF-8".to_owned() })
}

fn uuid(headers: &HeaderMap, name: &'static str) -> Result<Option<Uuid>, BadHeader> {
    let parse = |text| Uuid::try_parse(text).map_err(|_| BadHeader { name, problem: "is not a UUID".to_owned() });
    text(headers, name)?.map(parse).transpose()
}

fn name(headers: &HeaderMap, header: &'static str) -> Result<Option<Name>, BadHeader> {
    let parse = |text| {
        Name::new(text).map_err(|error| BadHeader { name: header, problem: format!("is not a valid name: {error}") })
    };
    text(headers, header)?.map(parse).transpose()
}

/// Tags as the query of a URL: `project=apollo&stage=test`, with percent-encoding.
fn tags(headers: &HeaderMap) -> Result<Option<Tags>, BadHeader> {
    let Some(text) = text(headers, TAGS)? else { return Ok(None) };
    let bad = |problem: String| BadHeader { name: TAGS, problem };
    let mut url = Url::parse("x:y").map_err(|error| bad(error.to_string()))?;
    url.set_query(Some(text.trim()));
    let pairs = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned()));
    Tags::new(pairs).map(Some).map_err(|error| bad(format!("is not valid: {error}; write key=value&key=value")))
}

impl Declared {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// [`BadHeader`] if one of them is not valid.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, BadHeader> {
        let facts = Attribution {
            agent_id: uuid(headers, AGENT)?.map(AgentId),
            task_id: uuid(headers, TASK)?.map(TaskId),
            dag_id: uuid(headers, DAG)?.map(DagId),
            conversation: name(headers, CONVERSATION)?,
            user: name(headers, USER)?,
            team: name(headers, TEAM)?,
            tags: tags(headers)?,
        };
        let number = |text: &str| {
            let bad = || BadHeader { name: MIN_OUTPUT, problem: "is not a number from 1 on".to_owned() };
            text.trim().parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(bad)
        };
        Ok(Self { facts, min_output: text(headers, MIN_OUTPUT)?.map(number).transpose()? })
    }

    /// What is declared of a call, by dimension.
    pub(crate) fn attributes(&self, provider: &Name, model: &Name) -> Attributes {
        let source = provider.clone();
        let facts = CallFacts {
            provider: Some(provider.clone()),
            model: Some(model.clone()),
            ..self.applied(CallFacts::new(CallKind::Llm, chrono::DateTime::UNIX_EPOCH, source))
        };
        attributes_of(&facts)
    }

    /// The facts of a call with whose it is: what the credential says precedes what is declared.
    pub(crate) fn apply(&self, facts: CallFacts, fixed: &Attributes) -> CallFacts {
        let mut facts = self.applied(facts);
        let agent = fixed.get(&BudgetDimension::Agent).and_then(|agent| Uuid::try_parse(agent.as_str()).ok());
        facts.agent_id = agent.map(AgentId).or(facts.agent_id);
        facts.user = fixed.get(&BudgetDimension::User).cloned().or(facts.user);
        facts.key = fixed.get(&BudgetDimension::Key).cloned().or(facts.key);
        facts
    }

    fn applied(&self, facts: CallFacts) -> CallFacts {
        let Attribution { agent_id, task_id, dag_id, conversation, user, team, tags } = self.facts.clone();
        CallFacts { agent_id, task_id, dag_id, conversation, user, team, tags, ..facts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const ID: &str = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(header).collect()
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn headers_declare_and_the_credential_precedes() {
        let sent = headers(&[(AGENT, ID), (CONVERSATION, "c"), (TAGS, "project=apollo%20a&stage=x"), (USER, "u")]);
        let declared = Declared::of(&sent).unwrap();
        let attributes = declared.attributes(&name("openai"), &name("m"));
        assert_eq!(attributes[&BudgetDimension::Agent].as_str(), ID);
        assert_eq!(attributes[&BudgetDimension::Model].as_str(), "m");
        let other = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a02";
        let fixed = Attributes::from([(BudgetDimension::Agent, name(other)), (BudgetDimension::Key, name("k"))]);
        let facts = CallFacts::new(CallKind::Llm, chrono::DateTime::UNIX_EPOCH, name("gateway"));
        let facts = declared.apply(facts, &fixed);
        assert_eq!(facts.agent_id.unwrap().to_string(), other);
        assert_eq!((facts.user.unwrap(), facts.key.unwrap()), (name("u"), name("k")));
        let tags = facts.tags.unwrap();
        let project = tags.iter().find(|(key, _)| key.as_str() == "project").map(|(_, value)| value.as_str());
        assert_eq!(project, Some("apollo a"));
    }

    #[test]
    fn headers_that_are_not_valid_are_named() {
        for (name, value) in [
            (AGENT, "coder"),
            (TASK, ""),
            (CONVERSATION, " "),
            (TAGS, ""),
            (TAGS, "a=1&a=2"),
            (TAGS, "a"),
            (MIN_OUTPUT, "0"),
            (MIN_OUTPUT, "x"),
        ] {
            let error = Declared::of(&headers(&[(name, value)])).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let mut twice = headers(&[(AGENT, ID)]);
        twice.append(AGENT, HeaderValue::from_static(ID));
        assert!(Declared::of(&twice).is_err());
    }
}
