//! Negotiation of media types by the headers `Accept` and `Content-Type`.

use axum::http::{HeaderMap, header};

/// A media type of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    GraphqlResponse,
    /// `application/json`: the status of a well-formed request is always 200.
    Json,
}

impl MediaType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

/// The media type of the response; none if the client accepts neither. A client that accepts anything gets
/// `application/json`, which every client supports.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<MediaType> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        ranges.extend(value.to_str().ok()?.split(',').filter_map(Range::parse));
    }
    if !headers.contains_key(header::ACCEPT) {
        return Some(MediaType::Json);
    }
    let graphql = quality(&ranges, "graphql-response+json");
    let json = quality(&ranges, "json");
    // With equal quality, a type that is accepted by name is preferred, and of two such the newer one.
    let preferred = if graphql > json { (MediaType::GraphqlResponse, graphql) } else { (MediaType::Json, json) };
    (preferred.1.thousandths > 0).then_some(preferred.0)
}

/// Whether a client accepts `text/event-stream` by name.
pub(crate) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges
        .flat_map(|value| value.split(',').filter_map(Range::parse))
        .any(|range| range.kind == "text" && range.subtype == "event-stream" && range.thousandths > 0)
}

/// The preference for a media type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Quality {
    thousandths: u16,
    by_name: bool,
    newer: bool,
}

/// The preference by the most specific range that matches.
fn quality(ranges: &[Range], subtype: &str) -> Quality {
    let matching = ranges.iter().filter(|range| range.matches(subtype)).max_by_key(|range| range.specificity());
    matching.map_or_else(Quality::default, |range| Quality {
        thousandths: range.thousandths,
        by_name: range.specificity() == 2,
        newer: range.specificity() == 2 && subtype != "json",
    })
}

/// A media range with its quality, such as `application/*;q=0.5`.
struct Range {
    kind: String,
    subtype: String,
    thousandths: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut thousandths = 1000;
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => thousandths = parse_quality(value.trim())?,
                "charset" if !is_utf8(value) => return None,
                _ => {}
            }
        }
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), thousandths })
    }

    fn matches(&self, subtype: &str) -> bool {
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*" | "application", "*") => true,
            ("application", own) => own == subtype,
            _ => false,
        }
    }

    fn specificity(&self) -> u8 {
        u8::from(self.kind != "*") + u8::from(self.subtype != "*")
    }
}

/// Parses a quality: `0` or `1` with at most three digits after the decimal point.
fn parse_quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").parse().ok()? };
    Some((whole.parse::<u16>().ok()? * 1000 + fraction).min(1000))
}

fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// Whether a body is JSON in UTF-8.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts
            .filter_map(|parameter| parameter.split_once('='))
            .all(|(name, value)| !name.trim().eq_ignore_ascii_case("charset") || is_utf8(value))
}

/// Whether a body is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_preferred_type_is_selected() {
        let accept = |value: &str| accepted(&with(header::ACCEPT, value));
        assert_eq!(accepted(&HeaderMap::new()), Some(MediaType::Json));
        for json in
            ["*/*", "application/*", "application/json", "text/html, */*;q=0.8", "APPLICATION/JSON; charset=utf-8"]
        {
            assert_eq!(accept(json), Some(MediaType::Json), "{json:?}");
        }
        for newer in [
            "application/graphql-response+json",
            "application/graphql-response+json, application/json",
            "application/json, application/graphql-response+json",
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json;charset=utf-8, */*;q=0.1",
        ] {
            assert_eq!(accept(newer), Some(MediaType::GraphqlResponse), "{newer:?}");
        }
        assert_eq!(accept("application/graphql-response+json;q=0.5, application/json"), Some(MediaType::Json));
        assert_eq!(accept("*/*, application/json;q=0"), Some(MediaType::GraphqlResponse));
        for none in ["text/html", "application/json;q=0", "", "*/*;q=0", "application/json; charset=utf-16", "x"] {
            assert_eq!(accept(none), None, "{none:?}");
        }
    }

    #[test]
    fn only_json_is_accepted_as_a_body() {
        let sent = |value: &str| is_json(&with(header::CONTENT_TYPE, value));
        for good in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""] {
            assert!(sent(good), "{good:?}");
        }
        for bad in ["text/plain", "application/graphql", "application/json; charset=utf-16", "", "multipart/form-data"]
        {
            assert!(!sent(bad), "{bad:?}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
