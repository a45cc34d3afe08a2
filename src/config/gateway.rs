//! Settings of the gateway to providers of models, and the file that lists them.

use super::Secret;
use super::file::text;
use crate::pem;
use anyhow::Context as _;
use clap::Args;
use commands::Commands;
use domain::{Name, TextError};
use gateway::{
    Api, ChatOutputField, GatewayConfig, GatewayLimits, KeyReader, ModelBounds, OnUnavailable, UpstreamConfig,
};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

const OPENAI_URL: &str = "https://api.openai.com/v1";
const ANTHROPIC_URL: &str = "https://api.anthropic.com";

/// Settings of the gateway to providers of models.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server options")]
pub struct Gateway {
    /// The file that lists the providers that calls are passed on to at /gateway/NAME, in TOML.
    #[arg(long, env = "APEX_GATEWAY_CONFIG", value_name = "FILE")]
    pub gateway_config: Option<PathBuf>,

    /// The base URL of an upstream with the API of OpenAI, which is at /gateway/openai
    /// [default: https://api.openai.com/v1 if there is a key]
    #[arg(long, env = "APEX_GATEWAY_OPENAI_URL", value_name = "URL")]
    pub gateway_openai_url: Option<Url>,

    /// The key of the upstream at /gateway/openai.
    #[arg(long, env = "APEX_GATEWAY_OPENAI_KEY", hide_env_values = true, value_name = "KEY")]
    pub gateway_openai_key: Option<Secret>,

    /// The base URL of an upstream with the API of Anthropic, which is at /gateway/anthropic
    /// [default: https://api.anthropic.com if there is a key]
    #[arg(long, env = "APEX_GATEWAY_ANTHROPIC_URL", value_name = "URL")]
    pub gateway_anthropic_url: Option<Url>,

    /// The key of the upstream at /gateway/anthropic.
    #[arg(long, env = "APEX_GATEWAY_ANTHROPIC_KEY", hide_env_values = true, value_name = "KEY")]
    pub gateway_anthropic_key: Option<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    on_unavailable: OnUnavailable,
    #[serde(default)]
    upstream: Vec<Upstream>,
    #[serde(default)]
    model: Vec<Model>,
    #[serde(default)]
    limits: Limits,
}

/// An upstream in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    name: String,
    api: Api,
    base_url: Url,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    key_header: Option<String>,
    provider: Option<String>,
    #[serde(default = "yes")]
    include_usage: bool,
    #[serde(default)]
    chat_output_field: ChatOutputField,
    #[serde(default)]
    forward_headers: Vec<String>,
    ca_file: Option<PathBuf>,
}

/// What the file says of models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    max_input_tokens: Option<u64>,
    cheaper: Option<String>,
    output_tokens: Option<u64>,
}

/// The limits in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    max_calls: Option<u64>,
    max_request_bytes: Option<usize>,
    max_open_bytes: Option<u64>,
    max_response_bytes: Option<usize>,
    max_unanswered: Option<usize>,
    request_timeout_ms: Option<u64>,
    connect_timeout_ms: Option<u64>,
    idle_timeout_ms: Option<u64>,
    call_timeout_ms: Option<u64>,
    reserve_timeout_ms: Option<u64>,
    settle_wait_ms: Option<u64>,
    settle_timeout_ms: Option<u64>,
    min_output_tokens: Option<u64>,
}

const fn yes() -> bool {
    true
}

impl Gateway {
    /// The gateway of the settings; none without any upstream.
    ///
    /// # Errors
    /// As [`Gateway::config`].
    pub fn open(&self, commands: &Commands) -> anyhow::Result<Option<gateway::Gateway>> {
        let Some(config) = self.config()? else { return Ok(None) };
        let opened = gateway::Gateway::new(commands.clone(), config);
        Ok(Some(opened.context("the settings of the gateway cannot be used")?))
    }

    /// The settings; none without any upstream. Relative paths in the file are below its folder.
    ///
    /// # Errors
    /// If the file, or a file that it names, cannot be read, or a setting is not valid.
    pub fn config(&self) -> anyhow::Result<Option<GatewayConfig>> {
        let mut config = match &self.gateway_config {
            Some(file) => {
                let folder = file.parent().unwrap_or(Path::new("."));
                let read = || parse(&text(file)?, folder, |name| std::env::var(name).ok());
                read().with_context(|| format!("the settings of the gateway in {} cannot be used", file.display()))?
            }
            None => GatewayConfig::default(),
        };
        for (name, api, default_url, url, key) in [
            ("openai", Api::OpenAi, OPENAI_URL, &self.gateway_openai_url, &self.gateway_openai_key),
            ("anthropic", Api::Anthropic, ANTHROPIC_URL, &self.gateway_anthropic_url, &self.gateway_anthropic_key),
        ] {
            if url.is_none() && key.is_none() {
                continue;
            }
            let base_url = url.clone().map_or_else(|| default_url.parse(), Ok)?;
            let key = key.as_ref().map(|key| key_header(api, None, key.reveal())).transpose()?;
            config.upstreams.push(UpstreamConfig {
                name: name.to_owned(),
                api,
                base_url,
                key,
                key_reader: None,
                provider: Name::new(name)?,
                asks_for_usage: true,
                chat_output_field: ChatOutputField::default(),
                forwarded_headers: Vec::new(),
                authorities: Vec::new(),
            });
        }
        Ok((!config.upstreams.is_empty()).then_some(config))
    }
}

/// The header that carries a key.
fn key_header(api: Api, named: Option<&str>, key: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let name = match (named, api) {
        (Some(name), _) => {
            name.parse::<HeaderName>().with_context(|| format!("{name:?} is not the name of a header"))?
        }
        (None, Api::OpenAi) => AUTHORIZATION,
        (None, Api::Anthropic) => HeaderName::from_static("x-api-key"),
    };
    let key = key.trim();
    anyhow::ensure!(!key.is_empty(), "the key is empty");
    let text = if name == AUTHORIZATION { format!("Bearer {key}") } else { key.to_owned() };
    // The error has no part of the key.
    let mut value = HeaderValue::try_from(text).map_err(|_| anyhow::anyhow!("the key cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The settings in a text. A message about one never has a key, since the text has none.
fn parse(text: &str, folder: &Path, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<GatewayConfig> {
    let file: File = toml::from_str(text)?;
    let upstreams = file.upstream.into_iter().map(|upstream| {
        let name = upstream.name.clone();
        self::upstream(upstream, folder, &variable).with_context(|| format!("upstream {name}"))
    });
    let unknown = ModelBounds::unknown();
    let models = file.model.into_iter().map(|model| {
        let cheaper = model.cheaper.map(Name::new).transpose();
        anyhow::Ok(ModelBounds {
            cheaper: cheaper.with_context(|| format!("cheaper of the model {}", model.name))?,
            pattern: model.name,
            max_input_tokens: model.max_input_tokens.unwrap_or(unknown.max_input_tokens),
            output_tokens: model.output_tokens.unwrap_or(unknown.output_tokens),
        })
    });
    Ok(GatewayConfig {
        upstreams: upstreams.collect::<anyhow::Result<_>>()?,
        models: models.collect::<anyhow::Result<_>>()?,
        limits: limits(&file.limits),
        on_unavailable: file.on_unavailable,
    })
}

fn limits(file: &Limits) -> GatewayLimits {
    let default = GatewayLimits::default();
    let ms = |stated: Option<u64>, default: Duration| stated.map_or(default, Duration::from_millis);
    GatewayLimits {
        max_calls: file.max_calls.unwrap_or(default.max_calls),
        max_request_bytes: file.max_request_bytes.unwrap_or(default.max_request_bytes),
        max_open_bytes: file.max_open_bytes.unwrap_or(default.max_open_bytes),
        max_response_bytes: file.max_response_bytes.unwrap_or(default.max_response_bytes),
        max_unanswered: file.max_unanswered.unwrap_or(default.max_unanswered),
        request_timeout: ms(file.request_timeout_ms, default.request_timeout),
        connect_timeout: ms(file.connect_timeout_ms, default.connect_timeout),
        idle_timeout: ms(file.idle_timeout_ms, default.idle_timeout),
        call_timeout: ms(file.call_timeout_ms, default.call_timeout),
        reserve_timeout: ms(file.reserve_timeout_ms, default.reserve_timeout),
        settle_wait: ms(file.settle_wait_ms, default.settle_wait),
        settle_timeout: ms(file.settle_timeout_ms, default.settle_timeout),
        min_output_tokens: file.min_output_tokens.unwrap_or(default.min_output_tokens),
    }
}

fn upstream(
    entry: Upstream,
    folder: &Path,
    variable: &impl Fn(&str) -> Option<String>,
) -> anyhow::Result<UpstreamConfig> {
    let key = match (&entry.key_file, &entry.key_env) {
        (Some(_), Some(_)) => anyhow::bail!("set either key_file or key_env"),
        (Some(file), None) => Some(text(&folder.join(file)).context("key_file")?),
        (None, Some(name)) => Some(variable(name).with_context(|| format!("key_env: the variable {name} is not set"))?),
        (None, None) => None,
    };
    let api = entry.api;
    let own_name = match api {
        Api::OpenAi => "openai",
        Api::Anthropic => "anthropic",
    };
    let provider: Result<Name, TextError> = Name::new(entry.provider.unwrap_or_else(|| own_name.to_owned()));
    let header = |name: &String| {
        name.parse::<HeaderName>().with_context(|| format!("forward_headers: {name:?} is not a header"))
    };
    let key_reader = entry.key_file.as_ref().map(|file| {
        let (file, header) = (folder.join(file), entry.key_header.clone());
        let read = move || key_header(api, header.as_deref(), &text(&file)?);
        KeyReader::new(move || read().map_err(Into::into))
    });
    Ok(UpstreamConfig {
        name: entry.name,
        api,
        base_url: entry.base_url,
        key: key.map(|key| key_header(api, entry.key_header.as_deref(), &key)).transpose()?,
        key_reader,
        provider: provider.context("provider")?,
        asks_for_usage: entry.include_usage,
        chat_output_field: entry.chat_output_field,
        forwarded_headers: entry.forward_headers.iter().map(header).collect::<anyhow::Result<_>>()?,
        authorities: match entry.ca_file {
            Some(file) => {
                pem::certificates(&folder.join(&file)).with_context(|| format!("ca_file {}", file.display()))?
            }
            None => Vec::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = "[[upstream]]\nname = 'openai'\napi = 'openai'\nbase_url = 'https://api.openai.com/v1'\n";

    fn parsed(text: &str) -> anyhow::Result<GatewayConfig> {
        parse(text, Path::new("/nonexistent"), |name| (name == "KEY").then(|| " tea\n".to_owned()))
    }

    #[test]
    fn a_file_lists_upstreams_models_and_limits() {
        let text = format!(
            "on_unavailable = 'open'\n{OPENAI}key_env = 'KEY'\n[[upstream]]\nname = 'azure'\napi = 'openai'\n\
             base_url = 'https://x.openai.azure.com/openai/v1'\nkey_env = 'KEY'\nkey_header = 'api-key'\nprovider = 'azure'\n\
             [[model]]\nname = 'gpt-5*'\noutput_tokens = 9\ncheaper = 'gpt-5-mini'\n[limits]\nmax_calls = 7\ncall_timeout_ms = 1500\n"
        );
        let config = parsed(&text).unwrap();
        assert_eq!(config.on_unavailable, OnUnavailable::Open);
        let [openai, azure] = config.upstreams.try_into().unwrap();
        let (header, key) = openai.key.unwrap();
        assert_eq!((header, key.to_str().unwrap()), (AUTHORIZATION, "Bearer tea"));
        assert!(key.is_sensitive());
        let (header, key) = azure.key.unwrap();
        assert_eq!((header.as_str(), key.to_str().unwrap(), azure.provider.as_str()), ("api-key", "tea", "azure"));
        assert_eq!(config.models[0].output_tokens, 9);
        assert_eq!(config.models[0].cheaper.as_ref().map(Name::as_str), Some("gpt-5-mini"));
        assert_eq!((config.limits.max_calls, config.limits.call_timeout), (7, Duration::from_millis(1500)));
        assert_eq!(config.limits.idle_timeout, GatewayLimits::default().idle_timeout);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        for (line, named) in [
            ("key = 'tea'", "key"),
            ("key_env = 'NOT_SET'", "NOT_SET"),
            ("key_env = 'KEY'\nkey_file = 'a'", "either"),
            ("key_file = 'a'", "/nonexistent/a"),
            ("ca_file = 'a'", "ca_file"),
            ("forward_headers = ['a b']", "a b"),
            ("provider = ''", "provider"),
            ("chat_output_field = 'n'", "n"),
        ] {
            let error = format!("{:#}", parsed(&format!("{OPENAI}{line}\n")).unwrap_err());
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn options_are_upstreams_and_without_any_there_is_no_gateway() {
        assert!(Gateway::default().config().unwrap().is_none());
        let options = Gateway { gateway_anthropic_key: Some("tea".to_owned().into()), ..Gateway::default() };
        let config = options.config().unwrap().unwrap();
        assert_eq!(config.upstreams[0].base_url.as_str(), "https://api.anthropic.com/");
        assert!(!format!("{options:?} {config:?}").contains("tea"));
    }
}
