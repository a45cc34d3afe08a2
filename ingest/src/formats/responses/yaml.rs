//! YAML as a tree, within limits. An alias shares what its anchor names, so that aliases of aliases take no memory.

use crate::error::InputError;
use saphyr_parser::{Event, Parser};
use std::collections::HashMap;
use std::rc::Rc;

/// The maximum number of nodes of a document.
const MAX_NODES: usize = 2_000_000;
/// The maximum depth of a document.
const MAX_DEPTH: usize = 64;

/// A node.
#[derive(Debug)]
pub(super) enum Node {
    Scalar { text: String, is_binary: bool },
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// The first document of a text. Where the lines of a quoted scalar are not indented, as a common parser accepts them, they
    /// are read as if they were.
    pub(super) fn parse(text: &str) -> Result<Rc<Self>, InputError> {
        Self::parse_strictly(text).or_else(|error| Self::parse_strictly(&indented(text)).map_err(|_| error))
    }

    fn parse_strictly(text: &str) -> Result<Rc<Self>, InputError> {
        let mut tree = Tree::default();
        for event in Parser::new_from_str(text) {
            let (event, _) =
                event.map_err(|error| InputError::Yaml(crate::text::clip(&error.to_string(), 256).to_owned()))?;
            tree.add(event)?;
            if tree.is_complete {
                break;
            }
        }
        tree.root.ok_or_else(|| InputError::Yaml("it is empty".to_owned()))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The value of a key, whatever its case.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let is_key = |name: &Self| name.text().is_some_and(|name| name.eq_ignore_ascii_case(key));
        entries.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value.as_ref())
    }

    pub(super) fn items(&self) -> &[Rc<Self>] {
        match self {
            Self::List(items) => items,
            Self::Scalar { .. } | Self::Map(_) => &[],
        }
    }

    /// The text of a node, or of the first item of a list: headers may have several values.
    pub(super) fn first_text(&self) -> Option<&str> {
        self.text().or_else(|| self.items().first()?.text())
    }
}

/// A tree that is built from events.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    root: Option<Rc<Node>>,
    is_complete: bool,
}

/// A node whose end was not read.
struct Open {
    node: Node,
    anchor: usize,
    /// The key of the value that is read next.
    key: Option<Rc<Node>>,
}

impl Tree {
    fn add(&mut self, event: Event<'_>) -> Result<(), InputError> {
        match event {
            Event::Scalar(text, _, anchor, tag) => {
                let is_binary = tag.is_some_and(|tag| tag.suffix == "binary");
                self.close(Node::Scalar { text: text.into_owned(), is_binary }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(Node::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.start(Node::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, .. }) => self.close(node, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.place(node.ok_or_else(|| InputError::Yaml("an alias names a node that contains it".to_owned()))?)
            }
            Event::DocumentEnd => {
                self.is_complete = true;
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => Ok(()),
        }
    }

    fn start(&mut self, node: Node, anchor: usize) -> Result<(), InputError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(InputError::Yaml(format!("it is nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), InputError> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node)
    }

    fn place(&mut self, node: Rc<Node>) -> Result<(), InputError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(InputError::Yaml(format!("it has more than {MAX_NODES} nodes")));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { node: Node::List(items), .. }) => items.push(node),
            Some(Open { node: Node::Map(entries), key, .. }) => match key.take() {
                Some(name) => entries.push((name, node)),
                None => *key = Some(node),
            },
            Some(Open { node: Node::Scalar { .. }, .. }) => {}
        }
        Ok(())
    }
}

/// The text with the lines of quoted scalars after their first one indented. Indentation is no part of such a scalar.
fn indented(text: &str) -> String {
    let indentation = " ".repeat(2 * MAX_DEPTH);
    let mut quote = None;
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        let content = line.trim_start();
        let rest = match quote {
            Some(_) => {
                if !content.is_empty() {
                    lines.push_str(&indentation);
                    lines.push_str(content);
                }
                content
            }
            None => {
                lines.push_str(line);
                let item = content.trim_start_matches("- ").trim_start();
                let value = item.split_once(": ").map_or(item, |(_, value)| value.trim_start());
                quote = value.chars().next().filter(|first| matches!(first, '\'' | '"'));
                value.get(1..).unwrap_or_default()
            }
        };
        if quote.is_some_and(|quote| is_closed(rest, quote)) {
            quote = None;
        }
        lines.push('\n');
    }
    lines
}

/// Whether a quoted scalar ends in the rest of a line. Two single quotes are one in the scalar.
fn is_closed(rest: &str, quote: char) -> bool {
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quote == '"' => _ = characters.next(),
            '\'' if quote == '\'' && characters.peek() == Some(&'\'') => _ = characters.next(),
            _ if character == quote => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_quoted_scalar_need_no_indentation() {
        let text = "interactions:\n  - request:\n      body: '{\"a\": ''b'',\n      \"c\": 1,\n\n      2}'\n      other: \"x \\\"\n      y\"\n      uri: u\n";
        assert!(Node::parse_strictly(text).is_err(), "the case is none");
        let node = Node::parse(text).unwrap();
        let request = node.get("interactions").unwrap().items()[0].get("request").unwrap();
        let get = |name| request.get(name).and_then(Node::text);
        assert_eq!(get("body"), Some("{\"a\": 'b', \"c\": 1,\n2}"));
        assert_eq!((get("other"), get("uri")), (Some("x \" y"), Some("u")));
    }

    #[test]
    fn anchors_are_shared_and_nesting_is_bounded() {
        let node = Node::parse("a: &x [1, 2]\nb: *x\nc: !!binary aGk=\nD: text\n").unwrap();
        assert_eq!(node.get("b").unwrap().items().len(), 2);
        assert!(matches!(node.get("c"), Some(Node::Scalar { is_binary: true, .. })));
        assert_eq!(node.get("d").and_then(Node::text), Some("text"));
        let bomb: String = (1..40)
            .fold("a0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1));
        assert!(Node::parse(&bomb).is_ok());
        for bad in ["[".repeat(100), "a: *none".to_owned(), "a: [".to_owned(), String::new(), "a: &x [*x]".to_owned()] {
            assert!(matches!(Node::parse(&bad), Err(InputError::Yaml(_))), "{bad}");
        }
    }
}
