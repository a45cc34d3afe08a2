//! Conversations of tau-bench: recognised, and refused. They are transcripts of dialogues with tools, made to prompt a model
//! with, and state neither model nor time nor usage: there is no call in them whose cost could be known. Results of runs state the
//! cost of the user that a model plays (`user_cost`), of any number of calls to a model that they do not name.

use super::spec::{KeyKind, Spec};
use crate::error::InputError;
use crate::format::Format;

pub(crate) const SPEC: Spec = Spec {
    format: Format::TauBench,
    about: "Conversations of tau-bench: recognised, and refused, because they state neither model nor usage",
    extensions: &["jsonl", "json", "jsonl.gz", "json.gz"],
    identity: &[KeyKind::Content],
    recognises: |sketch| sketch.has("messages_display") || sketch.has_all(&["traj", "reward"]),
    open: |_, _| {
        let reason = "they are transcripts that state neither model nor time nor usage of a call, and a user_cost is of calls \
                      that they do not name";
        Err(InputError::NothingToImport { format: SPEC.format.as_str(), reason })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::input_error;

    #[test]
    fn the_refusal_says_what_is_missing() {
        for text in
            [r#"{"messages_display":"user: hi"}"#, r#"[{"task_id":0,"reward":1.0,"info":{"user_cost":0.1},"traj":[]}]"#]
        {
            let error = input_error(Format::TauBench, text).to_string();
            assert!(error.starts_with("tau-bench files cannot be imported: "), "{error}");
            assert!(["model", "time", "usage", "user_cost"].iter().all(|missing| error.contains(missing)), "{error}");
        }
    }
}
