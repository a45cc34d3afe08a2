//! Providers that sell models of their own.

/// The providers that make what they sell: the price of such a provider is the list price of the model. All others sell
/// models of these, under the same names.
const MAKERS: &[&str] = &[
    "ai21",
    "anthropic",
    "cohere",
    "dashscope",
    "deepseek",
    "gemini",
    "minimax",
    "mistral",
    "moonshot",
    "openai",
    "perplexity",
    "voyage",
    "xai",
    "zai",
];

/// Whether a provider makes the models that it sells.
pub(crate) fn is_maker(provider: &str) -> bool {
    MAKERS.contains(&provider)
}
