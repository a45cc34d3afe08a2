//! Which provider answers at which host, and which requests are calls.

/// The providers by the end of the host's name, and by its beginning.
const HOSTS: [(&str, &str, &str); 19] = [
    ("", "api.openai.com", "openai"),
    ("", ".openai.azure.com", "azure"),
    ("", ".services.ai.azure.com", "azure_ai"),
    ("", "api.anthropic.com", "anthropic"),
    ("bedrock-runtime", ".amazonaws.com", "bedrock"),
    ("", "generativelanguage.googleapis.com", "gemini"),
    ("", "aiplatform.googleapis.com", "vertex_ai"),
    ("", "api.mistral.ai", "mistral"),
    ("", "codestral.mistral.ai", "mistral"),
    ("", "api.deepseek.com", "deepseek"),
    ("", "api.groq.com", "groq"),
    ("", "openrouter.ai", "openrouter"),
    ("", "api.x.ai", "xai"),
    ("", "api.together.xyz", "together_ai"),
    ("", "api.fireworks.ai", "fireworks_ai"),
    ("", "api.cohere.com", "cohere"),
    ("", "api.cohere.ai", "cohere"),
    ("", "api.perplexity.ai", "perplexity"),
    ("", "api.moonshot.ai", "moonshot"),
];

/// The providers whose responses are read.
pub fn providers() -> impl Iterator<Item = &'static str> {
    HOSTS.iter().map(|(_, _, provider)| *provider)
}

/// The ends of the paths of requests that call a model.
const CALL_PATHS: [&str; 14] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/v1/messages",
    "/complete",
    "/converse",
    "/converse-stream",
    "/invoke",
    "/invoke-with-response-stream",
    ":generateContent",
    ":streamGenerateContent",
    "/images/generations",
    "/embeddings",
    "/runs",
];

/// The address of a request.
#[derive(Debug, Default)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) path: String,
}

impl Address {
    pub(super) fn of(uri: &str) -> Self {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        Self { host: host.to_ascii_lowercase(), path: format!("/{}", decoded(path)) }
    }

    /// The provider that answers; none if the host is not known.
    pub(super) fn provider(&self) -> Option<&'static str> {
        let is_host = |(start, end, _): &&(&str, &str, &str)| {
            self.host.starts_with(start)
                && self
                    .host
                    .strip_suffix(end)
                    .is_some_and(|rest| rest.is_empty() || end.starts_with('.') || rest.ends_with(['.', '-']))
        };
        HOSTS.iter().find(is_host).map(|(_, _, provider)| *provider)
    }

    /// Whether a request by POST calls a model.
    pub(super) fn is_call(&self) -> bool {
        CALL_PATHS.iter().any(|end| self.path.ends_with(end))
    }

    /// The model that the path names, as those of Bedrock, Gemini and Azure's deployments do; none where the body names it.
    pub(super) fn model(&self) -> Option<String> {
        let after =
            self.path.split_once("/model/").map(|(_, rest)| rest.rsplit_once('/').map_or(rest, |(model, _)| model));
        after.map(str::to_owned)
    }

    /// The region in the name of a host of AWS.
    pub(super) fn region(&self) -> Option<String> {
        let rest = self.host.strip_prefix("bedrock-runtime.")?;
        rest.strip_suffix(".amazonaws.com").map(str::to_owned)
    }
}

/// Text with its percent-encoded bytes decoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths_tell_the_provider_the_model_and_the_calls() {
        let bedrock =
            Address::of("https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse?a=b");
        assert_eq!(bedrock.provider(), Some("bedrock"));
        assert_eq!(bedrock.model().as_deref(), Some("amazon.nova-lite-v1:0"));
        assert_eq!(bedrock.region().as_deref(), Some("us-east-1"));
        for (uri, provider, is_call) in [
            ("https://api.openai.com/v1/chat/completions", Some("openai"), true),
            ("https://x.openai.azure.com:443/openai/deployments/d/chat/completions?v=1", Some("azure"), true),
            ("https://evil-api.openai.com.example/v1/chat/completions", None, true),
            ("https://notapi.openai.com/v1/files", None, false),
            ("https://api.openai.com/v1/threads/t/messages", Some("openai"), false),
            ("https://europe-west1-aiplatform.googleapis.com/v1/models/g:generateContent", Some("vertex_ai"), true),
            ("http://localhost:8000/v1/completions", None, true),
            ("", None, false),
            ("%%%", None, false),
        ] {
            let address = Address::of(uri);
            assert_eq!((address.provider(), address.is_call()), (provider, is_call), "{uri}");
        }
    }
}
