//! Ids of agents, tasks and commands, derived from what a record itself calls a thing: the same key gives the same id in
//! every file, request and process. The ids of calls are derived in the domain, from [`domain::call::CallKey`].

use crate::format::Format;
use domain::{AgentId, Name, TaskId, derived_id};
use uuid::Uuid;

/// What stands for the format in ids that are derived from a client's own names.
const CLIENT: &str = "ndjson";

/// The id of an agent, derived from the format and the key of the agent in it.
pub(crate) fn agent_id(format: Format, key: &str) -> AgentId {
    // Keys that Unicode considers equal are one agent. A key that cannot be normalized stays as it is.
    let key = domain::normalized(key).unwrap_or_else(|_| key.to_owned());
    derived_id(&["agent", format.as_str(), &key]).into()
}

/// The id of a task, derived from the format and the key of the task in it.
pub(crate) fn task_id(format: Format, key: &[&str]) -> TaskId {
    with_prefix(&["task", format.as_str()], key).into()
}

/// The id of an agent that a client names in its own lines.
pub(crate) fn client_agent_id(name: &Name) -> AgentId {
    derived_id(&["agent", CLIENT, name.as_str()]).into()
}

/// The id of a task, derived from the key that a client gives it in its own lines.
pub(crate) fn client_task_id(key: &Name) -> TaskId {
    derived_id(&["task", CLIENT, key.as_str()]).into()
}

/// The id of a memory, derived from the key that a client gives it in its own lines.
pub(crate) fn client_memory_id(key: &Name) -> Uuid {
    derived_id(&["memory", CLIENT, key.as_str()])
}

/// The command id of one step of an import, such as `register`, for an aggregate: the same step is the same command.
pub(crate) fn import_command_id(step: &str, key: &[&str]) -> Uuid {
    with_prefix(&["import", step], key)
}

fn with_prefix(prefix: &[&str], key: &[&str]) -> Uuid {
    derived_id(&[prefix, key].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids are in the logs of users: a changed derivation would import every call again.
    #[test]
    fn derived_ids_never_change() {
        assert_eq!(agent_id(Format::Otlp, "mode\u{301}le"), agent_id(Format::Otlp, "mod\u{e9}le"));
        assert_ne!(task_id(Format::Otlp, &["a", "bc"]), task_id(Format::Otlp, &["ab", "c"]));
    }
}
