//! Lexical tokens, by section 2.1 and appendix B of the GraphQL specification.
//!
//! Any other text is an error with its position. Strings may contain any character, as in the edition of September 2025,
//! which also has the escapes `\u{…}` and surrogate pairs.

use crate::request_error::request_error;
use async_graphql::{Pos, ServerError};

/// The longest name, in bytes. Errors contain names, some of them once for each variable.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// A token, without its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Punctuator(char),
    /// `...`
    Spread,
    Name(&'a str),
    /// An integer or a float, as text.
    Number(&'a str),
    /// The value of a string or block string.
    String(String),
    /// The end of the text.
    End,
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Punctuator(punctuator) => write!(f, "`{punctuator}`"),
            Self::Spread => f.write_str("`...`"),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(_) => f.write_str("a number"),
            Self::String(_) => f.write_str("a string"),
            Self::End => f.write_str("the end of the query"),
        }
    }
}

/// Reads tokens from a text, each byte once.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The offset of the next byte to read.
    at: usize,
    /// An offset at or before `at`, with its line and column.
    known: (usize, Pos),
    tokens: usize,
    max_tokens: usize,
}

pub(super) fn syntax_error(message: impl Into<String>, at: Pos) -> ServerError {
    request_error("GRAPHQL_PARSE_FAILED", message, Some(at))
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, max_tokens: usize) -> Self {
        Self { text, at: 0, known: (0, Pos { line: 1, column: 1 }), tokens: 0, max_tokens }
    }

    /// The next token and its position.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Pos), ServerError> {
        self.skip_ignored();
        let start = self.at;
        let pos = self.position(start);
        let Some(&first) = self.rest().first() else { return Ok((Token::End, pos)) };
        self.tokens += 1;
        if self.tokens > self.max_tokens {
            let message = format!("the query has more than {} tokens, which is the limit", self.max_tokens);
            return Err(request_error("TOO_MANY_TOKENS", message, Some(pos)));
        }
        let token = match first {
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                self.at += 1;
                Token::Punctuator(char::from(first))
            }
            b'.' if self.rest().starts_with(b"...") => {
                self.at += 3;
                Token::Spread
            }
            b'"' => Token::String(self.string()?),
            b'-' | b'0'..=b'9' => Token::Number(self.number(pos)?),
            _ if is_name_start(first) => Token::Name(self.name(pos)?),
            _ => {
                let found = self.text.get(start..).and_then(|rest| rest.chars().next()).unwrap_or_default();
                return Err(syntax_error(format!("unexpected character {found:?}"), pos));
            }
        };
        Ok((token, pos))
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// The text from an offset up to the next byte to read; both are boundaries of characters.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.rest();
        self.at += rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
    }

    /// Skips white space, line terminators, commas, comments and byte order marks.
    fn skip_ignored(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n' | b',', ..] => self.at += 1,
                [0xEF, 0xBB, 0xBF, ..] => self.at += 3,
                [b'#', ..] => self.skip_while(|byte| byte != b'\n' && byte != b'\r'),
                _ => return,
            }
        }
    }

    /// The line and column of an offset, counted from the last offset for which they were computed.
    fn position(&mut self, offset: usize) -> Pos {
        let (from, mut pos) = self.known;
        let bytes = self.text.as_bytes();
        for (index, &byte) in bytes.iter().enumerate().take(offset).skip(from) {
            let ends_line = byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
            if ends_line {
                pos = Pos { line: pos.line + 1, column: 1 };
            } else if byte & 0xC0 != 0x80 {
                pos.column += 1;
            }
        }
        self.known = (offset, pos);
        pos
    }

    /// An error at the next byte to read.
    fn error_here(&mut self, message: impl Into<String>) -> ServerError {
        let at = self.position(self.at);
        syntax_error(message, at)
    }

    fn name(&mut self, pos: Pos) -> Result<&'a str, ServerError> {
        let start = self.at;
        self.skip_while(is_name_continue);
        if self.at - start > MAX_NAME_BYTES {
            return Err(syntax_error(format!("a name has more than {MAX_NAME_BYTES} bytes, which is the limit"), pos));
        }
        Ok(self.since(start))
    }

    fn number(&mut self, pos: Pos) -> Result<&'a str, ServerError> {
        let start = self.at;
        if self.peek(0) == Some(b'-') {
            self.at += 1;
        }
        if self.peek(0) == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.peek(0).is_some_and(|next| next == b'.' || is_name_continue(next)) {
            return Err(syntax_error("invalid number: unexpected character after it", pos));
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), ServerError> {
        if !self.peek(0).is_some_and(|next| next.is_ascii_digit()) {
            return Err(self.error_here("invalid number: expected a digit"));
        }
        self.skip_while(|byte| byte.is_ascii_digit());
        Ok(())
    }

    fn string(&mut self) -> Result<String, ServerError> {
        if self.rest().starts_with(b"\"\"\"") {
            self.at += 3;
            return self.block_string();
        }
        self.at += 1;
        let mut value = String::new();
        loop {
            let start = self.at;
            self.skip_while(|byte| !matches!(byte, b'"' | b'\\' | b'\n' | b'\r'));
            value.push_str(self.since(start));
            match self.peek(0) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                _ => return Err(self.error_here("unterminated string: expected `\"` before the end of the line")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ServerError> {
        let escaped = match self.peek(1) {
            Some(quoted @ (b'"' | b'\\' | b'/')) => char::from(quoted),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error_here("invalid string: unknown escape sequence")),
        };
        self.at += 2;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, ServerError> {
        let is_braced = self.peek(2) == Some(b'{');
        let (code, length) =
            if is_braced { self.braced_hex() } else { self.four_hex(2).map_or((None, 0), |c| (Some(c), 6)) };
        let (code, length) = match code {
            // Two escapes are one character beyond U+FFFF.
            Some(leading @ 0xD800..=0xDBFF) if !is_braced => match self.trailing_surrogate() {
                Some(trailing) => (Some(0x10000 + ((leading - 0xD800) << 10) + (trailing - 0xDC00)), 12),
                None => (None, 0),
            },
            code => (code, length),
        };
        let Some(escaped) = code.and_then(char::from_u32) else {
            return Err(self.error_here("invalid string: an escape sequence is not a Unicode character"));
        };
        self.at += length;
        Ok(escaped)
    }

    /// The number in the four hexadecimal digits of an escape, at an offset from the next byte to read.
    fn four_hex(&self, ahead: usize) -> Option<u32> {
        (ahead..ahead + 4).try_fold(0, |code, ahead| Some((code << 4) | hex_digit(self.peek(ahead)?)?))
    }

    fn trailing_surrogate(&self) -> Option<u32> {
        let is_escape = self.peek(6) == Some(b'\\') && self.peek(7) == Some(b'u');
        self.four_hex(8).filter(|code| is_escape && (0xDC00..=0xDFFF).contains(code))
    }

    /// The code point in `\u{…}`, if there is one, and the length of the escape.
    fn braced_hex(&self) -> (Option<u32>, usize) {
        let digits = self.rest().get(3..).unwrap_or_default();
        // Further digits could only be leading zeros, and are rejected.
        let length = digits.iter().take(9).position(|&byte| byte == b'}').filter(|&length| length > 0);
        let Some(length) = length else { return (None, 0) };
        let code = digits.iter().take(length).try_fold(0_u32, |code, &digit| Some((code << 4) | hex_digit(digit)?));
        (code, length + 4)
    }

    fn block_string(&mut self) -> Result<String, ServerError> {
        let mut raw = String::new();
        loop {
            let start = self.at;
            self.skip_while(|byte| !matches!(byte, b'"' | b'\\'));
            raw.push_str(self.since(start));
            match self.rest() {
                [b'"', b'"', b'"', ..] => {
                    self.at += 3;
                    return Ok(dedent(&raw));
                }
                [b'\\', b'"', b'"', b'"', ..] => {
                    raw.push_str("\"\"\"");
                    self.at += 4;
                }
                [other, ..] => {
                    raw.push(char::from(*other));
                    self.at += 1;
                }
                [] => return Err(self.error_here("unterminated block string")),
            }
        }
    }
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name_continue(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Removes the common indentation of a block string, and blank lines at both ends (`BlockStringValue` of the
/// specification).
fn dedent(raw: &str) -> String {
    let lines: Vec<&str> = raw.split("\r\n").flat_map(|part| part.split(['\r', '\n'])).collect();
    let indent_of = |line: &str| line.bytes().position(|byte| byte != b' ' && byte != b'\t');
    let common = lines.iter().skip(1).filter_map(|line| indent_of(line)).min().unwrap_or(0);
    let first = lines.iter().position(|line| indent_of(line).is_some()).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| indent_of(line).is_some()).map_or(0, |last| last + 1);
    let mut value = String::with_capacity(raw.len());
    for (number, line) in lines.iter().enumerate().take(end).skip(first) {
        if number > first {
            value.push('\n');
        }
        // A blank line may be shorter than the common indentation.
        let from = if number == 0 { 0 } else { common };
        value.push_str(line.get(from..).unwrap_or_default());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
        let mut lexer = Lexer::new(text, 1000);
        let mut tokens = Vec::new();
        loop {
            match lexer.next() {
                Ok((Token::End, _)) => return Ok(tokens),
                Ok((token, _)) => tokens.push(token),
                Err(error) => return Err(error.message),
            }
        }
    }

    fn string(text: &str) -> Result<String, String> {
        match tokens(text)?.as_slice() {
            [Token::String(value)] => Ok(value.clone()),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn tokens_are_recognized_and_ignored_characters_are_skipped() {
        let read = tokens("\u{feff}{ a:b,,#\u{0} x\r... -1.5e+3 \"\"}").unwrap();
        let expected = [
            Token::Punctuator('{'),
            Token::Name("a"),
            Token::Punctuator(':'),
            Token::Name("b"),
            Token::Spread,
            Token::Number("-1.5e+3"),
            Token::String(String::new()),
            Token::Punctuator('}'),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn text_that_is_not_a_token_is_rejected() {
        for bad in [
            "..",
            ".",
            "%",
            "?",
            "\u{0}",
            "é",
            "\u{a0}",
            "'a'",
            "01",
            "1a",
            "1.",
            "1.a",
            "-",
            "-a",
            "1e",
            "1e+",
            "1.2.3",
            "0x1",
            "\"",
            "\"a",
            "\"a\nb\"",
            "\"\\",
            "\"\\q\"",
            "\"\\u12\"",
            "\"\\uD800\"",
            "\"\\uDC00\"",
            "\"\\uD800\\u0041\"",
            "\"\\u{}\"",
            "\"\\u{110000}\"",
            "\"\\u{D800}\"",
            "\"\\u{12\"",
            "\"\\u{000000000041}\"",
            "\"\"\"",
            "\"\"\" \\\"\"\"",
            "\"\"\"\"\"",
        ] {
            assert!(tokens(bad).is_err(), "{bad:?}: {:?}", tokens(bad));
        }
        assert!(tokens(&"n".repeat(MAX_NAME_BYTES)).is_ok());
        assert!(tokens(&"n".repeat(MAX_NAME_BYTES + 1)).is_err());
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(
            string(r#""\"\\\/\b\f\n\r\t\u00e9 \u{1F600} \uD83D\uDE00""#).unwrap(),
            "\"\\/\u{8}\u{c}\n\r\té 😀 😀"
        );
    }

    #[test]
    fn block_strings_lose_only_their_common_indentation() {
        assert_eq!(string("\"\"\"a\"\"\"").unwrap(), "a");
        assert_eq!(string("\"\"\"\n    a\r\n      b\r  \n    c\n\n\"\"\"").unwrap(), "a\n  b\n\nc");
        assert_eq!(string("\"\"\" \\\"\"\" \\n \"\" \"\"\"").unwrap(), " \"\"\" \\n \"\" ");
        assert_eq!(string("\"\"\"  \n \"\"\"").unwrap(), "");
        assert_eq!(string("\"\"\"\n  é\n   ü\"\"\"").unwrap(), "é\n ü");
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let mut lexer = Lexer::new("é\"\" a\r\n  b\rc\n\"\"\"\n\n\"\"\" d", 100);
        assert!(lexer.next().is_err());
        let mut lexer = Lexer::new("\"é\" a\r\n  b\rc\n\"\"\"\n\n\"\"\" d", 100);
        let positions: Vec<_> = std::iter::from_fn(|| lexer.next().ok())
            .take_while(|(token, _)| *token != Token::End)
            .map(|(_, pos)| (pos.line, pos.column))
            .collect();
        assert_eq!(positions, [(1, 1), (1, 5), (2, 3), (3, 1), (4, 1), (6, 5)]);
    }
}
