//! The APIs of providers that the gateway speaks, and their endpoints.

use serde::Deserialize;

/// The API of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// That of OpenAI, which many providers and servers of models speak.
    OpenAi,
    /// That of Anthropic.
    Anthropic,
}

/// An endpoint that the gateway passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Chat completions of OpenAI.
    ChatCompletions,
    /// Responses of OpenAI.
    Responses,
    /// Embeddings of OpenAI.
    Embeddings,
    /// Messages of Anthropic.
    Messages,
    /// Counts of tokens of Anthropic, which cost nothing.
    CountTokens,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Responses, Self::Embeddings, Self::Messages, Self::CountTokens];

    /// The API that the endpoint belongs to.
    #[must_use]
    pub const fn api(self) -> Api {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Embeddings => Api::OpenAi,
            Self::Messages | Self::CountTokens => Api::Anthropic,
        }
    }

    /// The route of the endpoint at the gateway.
    #[must_use]
    pub const fn route(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/gateway/{upstream}/v1/chat/completions",
            Self::Responses => "/gateway/{upstream}/v1/responses",
            Self::Embeddings => "/gateway/{upstream}/v1/embeddings",
            Self::Messages => "/gateway/{upstream}/v1/messages",
            Self::CountTokens => "/gateway/{upstream}/v1/messages/count_tokens",
        }
    }

    /// The path after the base URL of an upstream, as SDKs add it: the base URL of OpenAI ends with its version.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "v1/messages",
            Self::CountTokens => "v1/messages/count_tokens",
        }
    }

    /// The value of the label in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// The fields in which a request limits its output, the one that is added first.
    pub(crate) const fn output_fields(self) -> &'static [&'static str] {
        match self {
            Self::ChatCompletions => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Messages => &["max_tokens"],
            Self::Embeddings | Self::CountTokens => &[],
        }
    }

    /// Whether calls of the endpoint cost something.
    pub(crate) const fn is_metered(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Embeddings | Self::Messages => true,
            Self::CountTokens => false,
        }
    }
}
