//! What the beginning of an input looks like, by which its format is recognised.

use std::collections::BTreeSet;

/// How much of the beginning of an input is looked at, in bytes.
pub(crate) const HEAD_BYTES: u64 = 512 * 1024;
/// The depth of JSON to which names are remembered.
const MAX_DEPTH: usize = 6;
/// The maximum number of names that are remembered.
const MAX_PATHS: usize = 20_000;
/// The maximum length of a text that is remembered, in bytes.
const MAX_TEXT_BYTES: usize = 64;

/// The beginning of an input: what it looks like as text, and the fields of its JSON, of one object or several.
#[derive(Debug, Default)]
pub(crate) struct Sketch {
    /// The first line.
    pub(crate) first_line: String,
    /// Whether it begins as a ZIP archive.
    pub(crate) is_zip: bool,
    /// Whether it is a stream of server-sent events.
    pub(crate) is_event_stream: bool,
    /// Whether it is YAML with recorded interactions.
    pub(crate) is_cassette: bool,
    paths: BTreeSet<String>,
    texts: BTreeSet<(String, String)>,
}

impl Sketch {
    pub(crate) fn of(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches(['\u{feff}', '\0', ' ', '\t', '\r', '\n']);
        let mut sketch = Self {
            first_line: text.lines().next().unwrap_or_default().trim().to_owned(),
            is_zip: head.starts_with(b"PK\x03\x04"),
            is_event_stream: ["data:", "event:", "id:"].iter().any(|field| text.starts_with(field)),
            is_cassette: text.lines().any(|line| line.trim_end() == "interactions:"),
            ..Self::default()
        };
        if text.starts_with(['{', '[']) {
            sketch.read_json(text);
        }
        sketch
    }

    /// Whether there is a field with this path. The items of a list are `[]`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether there are all of these fields, in an object of the input itself, or of a list or of `data`.
    pub(crate) fn has_all(&self, names: &[&str]) -> bool {
        let within = |prefix: &str| names.iter().all(|name| self.paths.contains(&format!("{prefix}{name}")));
        ["", "[].", "data[]."].into_iter().any(within)
    }

    /// Whether a field has this text.
    pub(crate) fn has_text(&self, path: &str, text: &str) -> bool {
        self.texts.contains(&(path.to_owned(), text.to_owned()))
    }

    /// Notes the fields of JSON that may be cut off anywhere.
    fn read_json(&mut self, text: &str) {
        let mut stack: Vec<Option<String>> = Vec::new();
        let mut expects_name = false;
        let mut rest = text.char_indices();
        while let Some((at, character)) = rest.next() {
            match character {
                '{' => (expects_name, _) = (true, stack.push(Some(String::new()))),
                '[' => (expects_name, _) = (false, stack.push(None)),
                '}' | ']' => {
                    stack.pop();
                    expects_name = false;
                }
                ':' => expects_name = false,
                ',' => expects_name = stack.last().is_some_and(Option::is_some),
                '"' => {
                    let Some(end) = end_of_string(&mut rest) else { return };
                    let string = &text[at + 1..end];
                    if expects_name && let Some(Some(name)) = stack.last_mut() {
                        string.clone_into(name);
                        self.note_name(&stack);
                    } else {
                        self.note_text(&stack, string);
                    }
                }
                _ => {}
            }
            if self.paths.len() > MAX_PATHS {
                return;
            }
        }
    }

    fn note_name(&mut self, stack: &[Option<String>]) {
        if stack.len() <= MAX_DEPTH {
            self.paths.insert(path(stack));
        }
    }

    fn note_text(&mut self, stack: &[Option<String>], text: &str) {
        if stack.len() <= MAX_DEPTH && text.len() <= MAX_TEXT_BYTES && self.texts.len() <= MAX_PATHS {
            self.texts.insert((path(stack), text.to_owned()));
        }
    }
}

/// The place of the quote that ends a string; none if it is cut off.
fn end_of_string(rest: &mut std::str::CharIndices<'_>) -> Option<usize> {
    while let Some((at, character)) = rest.next() {
        match character {
            '\\' => _ = rest.next()?,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn path(stack: &[Option<String>]) -> String {
    let mut path = String::new();
    for name in stack {
        match name {
            Some(name) if path.is_empty() => path.push_str(name),
            Some(name) => {
                path.push('.');
                path.push_str(name);
            }
            None => path.push_str("[]"),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_json_that_is_cut_off() {
        let sketch = Sketch::of(br#"{"a":{"b":[{"c":"x","d":1},{"e":"\"q\""}]},"f":"cut o"#);
        for path in ["a", "a.b", "a.b[].c", "a.b[].d", "a.b[].e", "f"] {
            assert!(sketch.has(path), "{path}: {:?}", sketch.paths);
        }
        assert!(sketch.has_text("a.b[].c", "x") && !sketch.has("c") && !sketch.has_text("f", "cut o"));
        let lines = Sketch::of(b"{\"type\":\"summary\"}\n{\"type\":\"assistant\",\"message\":{\"usage\":{}}}\n");
        assert!(lines.has_text("type", "assistant") && lines.has("message.usage"));
        assert!(Sketch::of(br#"[{"id":0,"source":"user"}]"#).has_all(&["id", "source"]));
    }
}
