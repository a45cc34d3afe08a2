//! Judging answers: allowed or refused as the table says, asked for rightly, and without values of another tenant.

use super::actors::Actor;
use super::canaries::Canaries;
use super::client::Answer;
use super::operations;
use super::schema::Request;
use serde_json::Value;
use std::collections::BTreeSet;

/// Reasons for which an operation that is asked for rightly fails: the state of what it is about.
const STATES: [&str; 7] =
    ["CONTENDED", "NOT_PARKED", "NOT_FIRST", "NOT_BUILT", "OTHER_VERSION", "UNDER_CONSTRUCTION", "HISTORY_TOO_SHORT"];

/// What came back.
pub(super) struct Verdict<'a> {
    pub(super) request: &'a Request,
    is_refused: bool,
    /// An error that says that the test does not know how to ask.
    wrongly_asked: Option<String>,
    /// A fault of the server.
    fault: Option<String>,
    /// The values of the other tenant in the answer.
    found: BTreeSet<String>,
}

fn errors(answer: &Value) -> &[Value] {
    answer["errors"].as_array().map_or(&[][..], Vec::as_slice)
}

/// Whether an answer refuses the field of a request as a whole, not only a field inside of it.
pub(super) fn is_refused(answer: &Value) -> bool {
    let is_at_root = |error: &Value| error["path"].as_array().is_none_or(|path| path.len() <= 1);
    errors(answer).iter().any(|error| error["extensions"]["code"] == "FORBIDDEN" && is_at_root(error))
}

impl<'a> Verdict<'a> {
    pub(super) fn of(request: &'a Request, answer: &Answer, canaries: &Canaries) -> Self {
        let has_code = |error: &&Value, codes: &[&str]| {
            let known = |name: &str| error["extensions"][name].as_str().is_some_and(|code| codes.contains(&code));
            known("code") || known("reason")
        };
        let errors = errors(&answer.json);
        let fault = errors.iter().find(|error| has_code(error, &["INTERNAL"]));
        let fault = fault.map(Value::to_string).or_else(|| answer.json.is_null().then(|| answer.text.clone()));
        let wrong = errors.iter().find(|error| !has_code(error, &["FORBIDDEN"]) && !has_code(error, &STATES));
        let found = canaries.found_in(&answer.text, &request.body.to_string());
        Self {
            request,
            is_refused: is_refused(&answer.json),
            wrongly_asked: wrong.map(Value::to_string),
            fault,
            found: found.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Whether an actor may do what a request asks for, of its own tenant, by the permission table.
pub(super) fn is_allowed(actor: &Actor, request: &Request) -> bool {
    request.taken.iter().all(|taken| actor.may(taken))
}

/// What is wrong with answers.
pub(super) fn problems(actor: &Actor, verdicts: &[Verdict<'_>], is_own: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for verdict in verdicts {
        let (request, is_allowed) = (verdict.request, is_allowed(actor, verdict.request));
        let name = request.name();
        let may_be_refused = actor.is_limited_to_an_agent() && request.root() == "Mutation";
        if verdict.is_refused && is_allowed && !may_be_refused {
            wrong.push(format!("{name} is refused"));
        }
        if !verdict.is_refused && !is_allowed {
            wrong.push(format!("{name} is not refused, and takes {:?}", request.taken));
        }
        if !verdict.found.is_empty() {
            wrong.push(format!("{name} shows {:?}", verdict.found));
        }
        if let Some(error) = verdict.wrongly_asked.as_ref().filter(|_| is_own && is_allowed) {
            wrong.push(format!("{name} is asked for wrongly: {error}"));
        }
        if let Some(fault) = &verdict.fault {
            wrong.push(format!("{name} fails: {fault}"));
        }
    }
    wrong.into_iter().map(|wrong| format!("{}: {wrong}", actor.name)).collect()
}

/// Control of the judgement: were one check left out, an actor without the permission would be answered as one with it. Each
/// permission that an admin has is taken from the table, and exactly the operations that take it are found. Returns what is
/// not.
pub(super) fn check_that_a_missing_check_is_found(admin: &Actor, verdicts: &[Verdict<'_>]) -> Vec<String> {
    let mut missed = Vec::new();
    for left_out in admin.permissions.iter() {
        let expected = admin.without(left_out);
        let found = problems(&expected, verdicts, false).len();
        let left_out = left_out.to_string();
        let taking = verdicts.iter().filter(|verdict| verdict.request.taken.contains(&left_out)).count();
        if found != taking {
            missed.push(format!("without the check of {left_out}, {found} of {taking} operations are found"));
        }
        if taking == 0 && !operations::OUTSIDE.contains(&left_out.as_str()) {
            missed.push(format!("no operation takes {left_out}"));
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_of_a_field_inside_is_none_of_the_whole() {
        let refused =
            |path: Value| is_refused(&json!({ "errors": [{ "extensions": { "code": "FORBIDDEN" }, "path": path }] }));
        assert!(refused(json!(["agents"])) && refused(Value::Null));
        assert!(!refused(json!(["agents", "nodes", 0, "tasks"])));
        assert!(!is_refused(&json!({ "errors": [{ "extensions": { "code": "BAD_USER_INPUT" } }] })));
    }
}
