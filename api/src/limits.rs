//! What a query may be, checked before it is parsed and before it is validated.
//!
//! The parser descends with each level, and validation follows fragments wherever they are spread; both trust their
//! input. So the text is looked at first (levels and tokens), then the document (levels of fields through fragments,
//! circles, aliases, directives, and how large it is with every fragment written out). What remains is bounded.

use crate::Limits;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::parser::types::{ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Name, Pos, Positioned, ServerError, ValidationResult};
use std::collections::HashMap;
use std::sync::Arc;

/// Levels of brackets of any kind. The parser gives up at 64.
pub(crate) const MAX_NESTING: usize = 60;

/// An error of the request with a code.
pub(crate) fn refusal(code: &str, message: impl Into<String>, at: Option<Pos>) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    ServerError { extensions: Some(extensions), ..ServerError::new(message, at) }
}

/// Looks at the text of a query: how many tokens it has, and how deep its brackets go.
pub(crate) fn check_text(query: &str, limits: &Limits) -> Result<(), ServerError> {
    let mut nesting: usize = 0;
    let mut tokens: usize = 0;
    for token in Tokens::new(query) {
        tokens += 1;
        if tokens > limits.max_tokens {
            let limit = limits.max_tokens;
            return Err(refusal("TOO_MANY_TOKENS", format!("the query has more than {limit} tokens"), None));
        }
        match token {
            b'{' | b'[' | b'(' => nesting += 1,
            b'}' | b']' | b')' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > MAX_NESTING {
            let limit = limits.max_depth;
            let message = format!("the query is nested more than {MAX_NESTING} levels deep, {limit} are allowed");
            return Err(refusal("TOO_DEEP", message, None));
        }
    }
    Ok(())
}

/// The first bytes of the lexical tokens. Text that is no GraphQL gives some tokens too; the parser refuses it later.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    fn new(query: &'a str) -> Self {
        Self { rest: query.as_bytes() }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        self.skip(end);
    }

    fn skip_string(&mut self) {
        let block = self.rest.starts_with(b"\"\"\"");
        self.skip(if block { 3 } else { 1 });
        loop {
            match self.rest {
                [] => return,
                [b'\\', b'"', b'"', b'"', ..] if block => self.skip(4),
                [b'"', b'"', b'"', ..] if block => return self.skip(3),
                [b'\\', _, ..] if !block => self.skip(2),
                [b'"' | b'\n', ..] if !block => return self.skip(1),
                _ => self.skip(1),
            }
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            match *self.rest.first()? {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xEF | 0xBB | 0xBF => self.skip(1),
                b'#' => self.skip_while(|byte| byte != b'\n' && byte != b'\r'),
                b'"' => {
                    self.skip_string();
                    return Some(b'"');
                }
                first if is_word(first) => {
                    self.skip_while(is_word);
                    return Some(first);
                }
                first => {
                    self.skip(1);
                    return Some(first);
                }
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Looks at a document: how deep, how wide and how large it is.
pub(crate) fn check_document(document: &ExecutableDocument, limits: &Limits) -> Result<(), ServerError> {
    let mut survey = Survey { fragments: &document.fragments, known: HashMap::new(), limits };
    let mut size: usize = 0;
    for (_, operation) in document.operations.iter() {
        let measured = survey.selections(&operation.node.selection_set, 0)?;
        survey.check(&measured, operation.pos)?;
        size = size.saturating_add(measured.size);
    }
    if size > limits.max_complexity {
        return Err(too_complex(size, limits.max_complexity));
    }
    Ok(())
}

fn too_complex(found: usize, limit: usize) -> ServerError {
    refusal("TOO_COMPLEX", format!("the query costs {found}, {limit} is allowed; ask for smaller pages"), None)
}

/// What a set of selections comes to with its fragments written out.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// Levels of fields.
    depth: usize,
    /// Levels of fields inside introspection.
    introspection_depth: usize,
    /// Selections.
    size: usize,
    aliases: usize,
    directives: usize,
}

struct Survey<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// The measure of each fragment; none while it is being taken, which is how a circle shows.
    known: HashMap<&'a Name, Option<Measure>>,
    limits: &'a Limits,
}

impl<'a> Survey<'a> {
    fn check(&self, measured: &Measure, at: Pos) -> Result<(), ServerError> {
        let limits = self.limits;
        if measured.depth > limits.max_depth || measured.introspection_depth > Limits::INTROSPECTION_DEPTH {
            let limit = limits.max_depth;
            let depth = measured.depth.max(measured.introspection_depth);
            let message = format!("the query has {depth} levels of fields, {limit} are allowed");
            return Err(refusal("TOO_DEEP", message, Some(at)));
        }
        let counted = [
            ("TOO_MANY_ALIASES", "aliases", measured.aliases, limits.max_aliases),
            ("TOO_MANY_DIRECTIVES", "directives", measured.directives, limits.max_directives),
        ];
        for (code, what, found, limit) in counted {
            if found > limit {
                return Err(refusal(code, format!("the query has {found} {what}, {limit} are allowed"), Some(at)));
            }
        }
        Ok(())
    }

    /// `spreads` is how many fragments lead here, one inside the other.
    fn selections(&mut self, set: &'a Positioned<SelectionSet>, spreads: usize) -> Result<Measure, ServerError> {
        let mut sum = Measure::default();
        for selection in &set.node.items {
            let measured = match &selection.node {
                Selection::Field(field) => self.field(&field.node, spreads)?,
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set, spreads)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos, spreads + 1)?
                }
            };
            sum.depth = sum.depth.max(measured.depth);
            sum.introspection_depth = sum.introspection_depth.max(measured.introspection_depth);
            sum.size = sum.size.saturating_add(measured.size).saturating_add(1);
            sum.aliases = sum.aliases.saturating_add(measured.aliases);
            let directives = measured.directives.saturating_add(selection.node.directives().len());
            sum.directives = sum.directives.saturating_add(directives);
        }
        Ok(sum)
    }

    fn field(&mut self, field: &'a Field, spreads: usize) -> Result<Measure, ServerError> {
        let mut measured = self.selections(&field.selection_set, spreads)?;
        measured.aliases = measured.aliases.saturating_add(usize::from(field.alias.is_some()));
        if field.name.node.starts_with("__") {
            measured.introspection_depth = measured.introspection_depth.max(measured.depth) + 1;
            measured.depth = 0;
        } else {
            measured.depth += 1;
        }
        Ok(measured)
    }

    fn fragment(&mut self, name: &'a Name, at: Pos, spreads: usize) -> Result<Measure, ServerError> {
        if spreads > MAX_NESTING {
            let message = format!("fragments are spread more than {MAX_NESTING} levels deep");
            return Err(refusal("TOO_DEEP", message, Some(at)));
        }
        match self.known.get(name) {
            Some(Some(measured)) => Ok(*measured),
            Some(None) => Err(refusal("FRAGMENT_CYCLE", format!("the fragment {name:?} contains itself"), Some(at))),
            None => {
                // A fragment that is not there is for validation to refuse.
                let Some(fragment) = self.fragments.get(name) else { return Ok(Measure::default()) };
                self.known.insert(name, None);
                let measured = self.selections(&fragment.node.selection_set, spreads)?;
                self.known.insert(name, Some(measured));
                Ok(measured)
            }
        }
    }
}

/// Refuses queries that cost more than a limit. The library computes the cost; its own limit does not say the number.
pub(crate) struct ComplexityLimit(pub(crate) usize);

impl ExtensionFactory for ComplexityLimit {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0))
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ComplexityLimit {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let validated = next.run(ctx).await?;
        if validated.complexity > self.0 {
            return Err(vec![too_complex(validated.complexity, self.0)]);
        }
        Ok(validated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Value;
    use async_graphql::parser::parse_query;

    fn check(query: &str) -> Result<(), String> {
        let limits = Limits::default();
        let code = |error: ServerError| match error.extensions.unwrap().get("code") {
            Some(Value::String(code)) => code.clone(),
            other => panic!("{other:?}"),
        };
        check_text(query, &limits).map_err(code)?;
        check_document(&parse_query(query).unwrap(), &limits).map_err(code)
    }

    fn nested(levels: usize) -> String {
        format!("{}x{}", "{ a ".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn queries_of_everyday_size_pass() {
        assert_eq!(check("query Q($a: Int = 3) { agents(first: $a) { nodes { id name } } }"), Ok(()));
        assert_eq!(check(&nested(15)), Ok(()));
    }

    #[test]
    fn deep_queries_are_refused_however_deep() {
        for levels in [16, 40, 61, 1_000, 4_000] {
            assert_eq!(check(&nested(levels)), Err("TOO_DEEP".to_owned()), "{levels} levels");
        }
        assert_eq!(check(&nested(100_000)), Err("TOO_DEEP".to_owned()));
        assert_eq!(
            check(&format!("{{ a(b: {}1{}) }}", "[".repeat(100_000), "]".repeat(100_000))),
            Err("TOO_DEEP".into())
        );
    }

    #[test]
    fn brackets_in_text_do_not_count() {
        let brackets = "{".repeat(100);
        assert_eq!(check(&format!("{{ a(b: \"{brackets}\") }} # {brackets}")), Ok(()));
        assert_eq!(check(&format!("{{ a(b: \"\"\"{brackets} \\\"\"\" \" \"\"\") }}")), Ok(()));
        assert_eq!(check(&format!("{{ a(b: \"\\\"{brackets}\") }}")), Ok(()));
    }

    #[test]
    fn depth_is_counted_through_fragments() {
        let chain: String = (0..20).map(|n| format!("fragment F{n} on T {{ a {{ ...F{} }} }} ", n + 1)).collect();
        let query = format!("{{ ...F0 }} {chain} fragment F20 on T {{ a }}");
        assert_eq!(check(&query), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn fragments_that_multiply_are_refused_without_writing_them_out() {
        let bomb: String = (0..40).map(|n| format!("fragment F{n} on T {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
        let query = format!("{{ ...F0 }} {bomb} fragment F40 on T {{ a }}");
        assert_eq!(check(&query), Err("TOO_COMPLEX".to_owned()));
    }

    #[test]
    fn fragments_in_a_circle_or_a_long_chain_are_refused() {
        let circle = "{ ...A } fragment A on T { ...B } fragment B on T { ...A }";
        assert_eq!(check(circle), Err("FRAGMENT_CYCLE".to_owned()));
        let chain: String = (0..900).map(|n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1)).collect();
        assert_eq!(check(&format!("{{ ...F0 }} {chain} fragment F900 on T {{ a }}")), Err("TOO_DEEP".to_owned()));
    }

    #[test]
    fn aliases_directives_and_tokens_are_counted() {
        let aliases: String = (0..101).map(|n| format!("a{n}: head ")).collect();
        assert_eq!(check(&format!("{{ {aliases} }}")), Err("TOO_MANY_ALIASES".to_owned()));
        let directives = "@skip(if: true) ".repeat(51);
        assert_eq!(check(&format!("{{ a {directives} }}")), Err("TOO_MANY_DIRECTIVES".to_owned()));
        assert_eq!(check(&format!("{{ {} }}", "a ".repeat(10_000))), Err("TOO_MANY_TOKENS".to_owned()));
        let many: String = (0..100_000).map(|n| format!("a{n}: head ")).collect();
        assert_eq!(check(&format!("{{ {many} }}")), Err("TOO_MANY_TOKENS".to_owned()));
    }

    #[test]
    fn introspection_may_go_deeper() {
        let types = "ofType { ".repeat(9);
        let query = format!(
            "{{ __schema {{ types {{ fields {{ args {{ type {{ {types} name {} }} }} }} }} }} }}",
            "}".repeat(9)
        );
        assert_eq!(check(&query), Ok(()));
    }
}
