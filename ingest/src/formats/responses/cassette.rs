//! Cassettes: recorded HTTP interactions in YAML, as vcrpy and other VCR tools write them.

use super::exchange::{Exchange, Reader};
use super::hosts::Address;
use super::shapes::{self, Answer};
use super::stream::{EventStream, is_event_stream};
use super::yaml::Node;
use crate::error::{InputError, RefusalReason};
use crate::format::Format;
use crate::formats::counts::{Cached, Counts};
use crate::formats::document::{Found, MAX_DOCUMENT_BYTES};
use crate::formats::json::Fields;
use crate::formats::lines::ParsedLine;
use crate::formats::reader::Records;
use crate::record::Location;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use domain::Quantity;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

pub(super) fn read(text: &str, reader: &mut Reader) -> Result<Records, InputError> {
    let document = Node::parse(text)?;
    let not_of_format = InputError::NotOfFormat { format: Format::Responses.as_str(), expected: "interactions" };
    let interactions = document.get("interactions").ok_or(not_of_format)?;
    let mut found = Found::default();
    for interaction in interactions.items() {
        let location = found.next_item();
        found.add(location, Interaction::of(interaction).record(location, reader))?;
    }
    Ok(found.into_records())
}

/// A request and its response.
struct Interaction<'a> {
    node: &'a Node,
    address: Address,
}

impl<'a> Interaction<'a> {
    fn of(node: &'a Node) -> Self {
        let uri = ["uri", "url"].iter().find_map(|name| node.get("request")?.get(name)?.text());
        Self { node, address: Address::of(uri.unwrap_or_default()) }
    }

    fn record(&self, location: Location, reader: &mut Reader) -> Result<ParsedLine, RefusalReason> {
        let method = self.node.get("request").and_then(|request| request.get("method")?.text()).unwrap_or("POST");
        if method != "POST" || !self.address.is_call() || !self.is_success() {
            return Ok(ParsedLine::NotACall);
        }
        let body = self.body()?;
        let answer = match self.answer(&body)? {
            Some(answer) => answer,
            None => self.counts_of_headers()?.ok_or_else(|| {
                RefusalReason::NoUsage(format!("response of {}{}", self.address.host, self.address.path))
            })?,
        };
        let request = self.node.get("request").and_then(|request| body_text(request.get("body")?));
        let exchange = Exchange {
            provider: self.address.provider(),
            model: self.address.model(),
            region: self.address.region(),
            received_at: self
                .header("date")
                .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
                .map(|at| at.to_utc()),
            request_id: ["x-amzn-requestid", "request-id", "x-request-id"]
                .iter()
                .find_map(|name| self.header(name))
                .map(str::to_owned),
            content: vec![&self.address.host, &self.address.path, request.unwrap_or_default(), self.response_text()],
        };
        reader.record(location, answer, exchange).map(ParsedLine::from)
    }

    fn response(&self) -> Option<&'a Node> {
        self.node.get("response")
    }

    /// Whether the status is that of a success; one that is not recorded is.
    fn is_success(&self) -> bool {
        let status = self.response().and_then(|response| {
            let status = response.get("status").or_else(|| response.get("status_code"));
            status
                .and_then(|status| status.get("code").unwrap_or(status).text())
                .or_else(|| response.get("code")?.text())
        });
        let code = status.and_then(|status| status.split(' ').next()?.parse::<u16>().ok());
        code.is_none_or(|code| (200..300).contains(&code))
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.response()?.get("headers")?.get(name)?.first_text()
    }

    /// The text of the body as it is recorded.
    fn response_text(&self) -> &'a str {
        self.response().and_then(|response| body_text(response.get("body")?)).unwrap_or_default()
    }

    /// The body, decoded.
    fn body(&self) -> Result<Vec<u8>, RefusalReason> {
        let damaged = |error: &dyn std::fmt::Display| RefusalReason::Body(error.to_string());
        let body = self.response().and_then(|response| response.get("body"));
        let is_binary = body.and_then(scalar).is_some_and(|node| matches!(node, Node::Scalar { is_binary: true, .. }));
        let is_base64 = body.is_some_and(|body| body.get("base64_string").is_some());
        let text = self.response_text();
        let bytes = if is_binary || is_base64 {
            let plain: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(plain).map_err(|error| damaged(&error))?
        } else {
            text.as_bytes().to_vec()
        };
        // Tools that decode bodies keep the header.
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut decoded = Vec::new();
            let limit = MAX_DOCUMENT_BYTES as u64;
            MultiGzDecoder::new(&bytes[..])
                .take(limit + 1)
                .read_to_end(&mut decoded)
                .map_err(|error| damaged(&error))?;
            if decoded.len() > MAX_DOCUMENT_BYTES {
                return Err(RefusalReason::Body(format!("it is longer than {limit} bytes")));
            }
            return Ok(decoded);
        }
        Ok(bytes)
    }

    fn answer(&self, body: &[u8]) -> Result<Option<Answer>, RefusalReason> {
        if self.header("content-type").is_some_and(|kind| kind.contains("vnd.amazon.eventstream")) {
            return Ok(EventStream::of_aws(body)?.into_answer());
        }
        let encoding = self.header("content-encoding").unwrap_or("identity");
        let text = std::str::from_utf8(body).map(Cow::Borrowed);
        let text =
            text.map_err(|_| RefusalReason::Body(format!("it is no text; its content encoding is {encoding}")))?;
        match text.trim_start() {
            stream if is_event_stream(stream) => Ok(EventStream::of_text(stream)?.into_answer()),
            list if list.starts_with('[') => Ok(EventStream::of_list(list)?.into_answer()),
            object if object.starts_with('{') => shapes::answer(&Fields::parse(object)?),
            _ => Ok(None),
        }
    }

    /// The counts that Bedrock states in headers, for models whose bodies state none.
    fn counts_of_headers(&self) -> Result<Option<Answer>, RefusalReason> {
        let count = |name: &str| -> Result<Option<Quantity>, RefusalReason> {
            let field = "x-amzn-bedrock-input-token-count";
            let Some(text) = self.header(name) else { return Ok(None) };
            let number =
                text.parse().map_err(|_| RefusalReason::NotACount { field, found: crate::text::quoted(text) })?;
            Quantity::new(number).map(Some).map_err(|cause| RefusalReason::Quantity { field, cause })
        };
        let Some(input) = count("x-amzn-bedrock-input-token-count")? else { return Ok(None) };
        let counts = Counts {
            input,
            output: count("x-amzn-bedrock-output-token-count")?.unwrap_or_default(),
            cache_read: count("x-amzn-bedrock-cache-read-input-token-count")?.unwrap_or_default(),
            cache_write_5min: count("x-amzn-bedrock-cache-write-input-token-count")?.unwrap_or_default(),
            ..Counts::default()
        };
        Ok(Some(Answer { counts, cached: Some(Cached::Beside), ..Answer::default() }))
    }
}

/// The scalar of a body, which vcrpy writes into a field.
fn scalar(body: &Node) -> Option<&Node> {
    body.get("string").or_else(|| body.get("base64_string")).or_else(|| body.text().map(|_| body))
}

fn body_text(body: &Node) -> Option<&str> {
    scalar(body)?.text()
}
