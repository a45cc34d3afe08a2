//! The names of providers: which of them are of one provider, and which providers hand on the ids of another one.

/// Other names of a provider, as conventions and instrumentations write them, with its name in price tables.
const ALIASES: [(&str, &str); 30] = [
    ("aws.bedrock", "bedrock"),
    ("aws_bedrock", "bedrock"),
    ("aws", "bedrock"),
    ("azure.ai.openai", "azure"),
    ("az.ai.openai", "azure"),
    ("azure_openai", "azure"),
    ("azure.ai.inference", "azure_ai"),
    ("az.ai.inference", "azure_ai"),
    ("gcp.vertex_ai", "vertex_ai"),
    ("google_vertexai", "vertex_ai"),
    ("vertexai", "vertex_ai"),
    ("gcp.gemini", "gemini"),
    ("gcp.gen_ai", "gemini"),
    ("google", "gemini"),
    ("google_genai", "gemini"),
    ("ibm.watsonx.ai", "watsonx"),
    ("mistral_ai", "mistral"),
    ("mistralai", "mistral"),
    ("moonshot_ai", "moonshot"),
    ("x_ai", "xai"),
    ("x-ai", "xai"),
    ("moonshotai", "moonshot"),
    ("vertex", "vertex_ai"),
    ("google_vertex", "vertex_ai"),
    ("amazon_bedrock", "bedrock"),
    ("together", "together_ai"),
    ("together-ai", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("voyageai", "voyage"),
    ("github-copilot", "github_copilot"),
];

/// Providers that hand on the ids of another one, with the family of both. Other providers are families of their own.
const FAMILIES: [(&str, &str); 4] =
    [("azure", "openai"), ("azure_ai", "openai"), ("gemini", "google"), ("vertex_ai", "google")];

/// The name of a provider in price tables, whatever its case and whichever of its names a record has. An unknown name is
/// only written in lower case.
#[must_use]
pub fn provider_name(named: &str) -> String {
    let named = named.to_ascii_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == named).map_or(named, |(_, name)| (*name).to_owned())
}

/// The family of a provider that a record names: the providers whose ids are those of one issuer.
pub(crate) fn family(named: &str) -> String {
    let name = provider_name(named);
    FAMILIES.iter().find(|(member, _)| *member == name).map_or(name, |(_, family)| (*family).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_one_name_and_one_family() {
        for (named, name, of) in [
            ("OpenAI", "openai", "openai"),
            ("azure.ai.openai", "azure", "openai"),
            ("Azure_OpenAI", "azure", "openai"),
            ("google", "gemini", "google"),
            ("gcp.vertex_ai", "vertex_ai", "google"),
            ("Acme", "acme", "acme"),
            ("", "", ""),
        ] {
            assert_eq!((&*provider_name(named), &*family(named)), (name, of), "{named}");
            assert_eq!(provider_name(&provider_name(named)), name);
        }
    }

    #[test]
    fn the_tables_name_each_provider_by_its_one_name() {
        for (alias, name) in ALIASES {
            assert_ne!(alias, name);
            assert_eq!(provider_name(name), name, "{alias}");
        }
        for (member, _) in FAMILIES {
            assert_eq!(provider_name(member), member);
        }
    }
}
