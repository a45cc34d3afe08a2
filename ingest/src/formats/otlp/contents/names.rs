//! The names of attributes and events that carry texts.

/// Whose attributes they are, their names, and the beginnings of names.
struct Names {
    #[cfg_attr(not(test), allow(dead_code, reason = "it is in the documentation, which a test compares"))]
    about: &'static str,
    exact: &'static [&'static str],
    prefixes: &'static [&'static str],
}

/// The attributes that carry texts.
const ATTRIBUTES: [Names; 7] = [
    Names {
        about: "GenAI conventions",
        exact: &[
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "gen_ai.prompt",
            "gen_ai.completion",
        ],
        prefixes: &["gen_ai.prompt.", "gen_ai.completion."],
    },
    Names {
        about: "OpenLLMetry",
        exact: &["traceloop.entity.input", "traceloop.entity.output"],
        prefixes: &["llm.prompts.", "llm.completions.", "llm.request.functions."],
    },
    Names {
        about: "OpenInference",
        exact: &["input.value", "output.value", "llm.prompts", "llm.function_call", "tool.parameters"],
        prefixes: &[
            "llm.input_messages.",
            "llm.output_messages.",
            "llm.choices.",
            "llm.prompt_template.",
            "llm.tools.",
            "retrieval.documents.",
            "reranker.query",
            "reranker.input_documents.",
            "reranker.output_documents.",
        ],
    },
    Names {
        about: "Vercel's AI SDK",
        exact: &[
            "ai.prompt",
            "ai.response.text",
            "ai.response.object",
            "ai.response.toolCalls",
            "ai.response.reasoning",
            "ai.response.files",
            "ai.result.text",
            "ai.result.object",
            "ai.result.toolCalls",
            "ai.toolCall.args",
            "ai.toolCall.result",
            "ai.value",
            "ai.values",
        ],
        prefixes: &["ai.prompt."],
    },
    Names {
        about: "Pydantic AI",
        exact: &[
            "all_messages_events",
            "pydantic_ai.all_messages",
            "final_result",
            "tool_arguments",
            "tool_response",
            "model_request_parameters",
        ],
        prefixes: &[],
    },
    Names {
        about: "Google's Agent Development Kit",
        exact: &[
            "gcp.vertex.agent.llm_request",
            "gcp.vertex.agent.llm_response",
            "gcp.vertex.agent.tool_call_args",
            "gcp.vertex.agent.tool_response",
            "gcp.vertex.agent.data",
        ],
        prefixes: &[],
    },
    Names {
        about: "Langfuse, MLflow",
        exact: &[
            "langfuse.observation.input",
            "langfuse.observation.output",
            "langfuse.trace.input",
            "langfuse.trace.output",
            "mlflow.spanInputs",
            "mlflow.spanOutputs",
        ],
        prefixes: &[],
    },
];

/// The events whose attributes are texts.
const EVENTS: Names = Names {
    about: "Events of spans and of logs, with all attributes that are not read otherwise, and the body",
    exact: &[
        "gen_ai.client.inference.operation.details",
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    ],
    prefixes: &["gen_ai.content."],
};

impl Names {
    fn has(&self, name: &str) -> bool {
        self.exact.contains(&name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// Whether an attribute carries a text.
pub(super) fn is_content(attribute: &str) -> bool {
    ATTRIBUTES.iter().any(|names| names.has(attribute))
}

/// Whether the attributes of an event are texts.
pub(in crate::formats::otlp) fn is_content_event(name: &str) -> bool {
    EVENTS.has(name)
}

/// The table of names as Markdown, which is in `docs/opentelemetry.md`.
#[cfg(test)]
fn documented() -> String {
    let rows = ATTRIBUTES.iter().chain([&EVENTS]).map(|names| {
        let exact = names.exact.iter().map(|name| format!("`{name}`"));
        let listed: Vec<_> = exact.chain(names.prefixes.iter().map(|prefix| format!("`{prefix}*`"))).collect();
        format!("| {} | {} |\n", names.about, listed.join(", "))
    });
    format!("| whose texts | attributes and events |\n|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::otlp::conventions::slot_of;

    #[test]
    fn no_text_is_read_as_a_fact_of_a_call() {
        for name in ATTRIBUTES.iter().flat_map(|names| names.exact) {
            assert!(is_content(name) && slot_of(name).is_none(), "{name}");
        }
        for other in ["gen_ai.usage.input_tokens", "ai.response.id", "ai.response.model", "db.query.text", "gen_ai"] {
            assert!(!is_content(other), "{other}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let documented = documented();
        let page = include_str!("../../../../../docs/opentelemetry.md");
        assert!(page.contains(&documented), "docs/opentelemetry.md lacks:\n{documented}");
    }
}
