//! Executable documents, by section 2 of the GraphQL specification, as `async-graphql` represents them.

use super::lexer::{Lexer, Token, syntax_error};
use crate::config::Limits;
use crate::request_error::request_error;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
    InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
    VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::Value as InputValue;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

type Parsed<T> = Result<T, ServerError>;
type Operations = HashMap<Name, Positioned<OperationDefinition>>;

/// Arguments in the order of the text.
type Arguments = Vec<(Positioned<Name>, Positioned<InputValue>)>;

/// Whether a value may contain variables.
#[derive(Clone, Copy, PartialEq)]
enum Values {
    Constant,
    WithVariables,
}

/// Parses the text of a request.
pub(crate) fn parse(text: &str, limits: &Limits) -> Parsed<ExecutableDocument> {
    let mut lexer = Lexer::new(text, limits.max_tokens);
    let (token, at) = lexer.next()?;
    Parser { lexer, token, at, nesting: 0, max_depth: limits.max_depth }.document()
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, and its position.
    token: Token<'a>,
    at: Pos,
    nesting: usize,
    max_depth: usize,
}

impl<'a> Parser<'a> {
    /// Consumes the next token.
    fn next(&mut self) -> Parsed<Token<'a>> {
        let (token, at) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn is(&self, punctuator: char) -> bool {
        self.token == Token::Punctuator(punctuator)
    }

    fn is_word(&self, word: &str) -> bool {
        self.token == Token::Name(word)
    }

    /// Consumes the next token if it is this punctuator.
    fn next_if(&mut self, punctuator: char) -> Parsed<bool> {
        let matches = self.is(punctuator);
        if matches {
            self.next()?;
        }
        Ok(matches)
    }

    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        Err(syntax_error(format!("expected {wanted}, found {}", self.token), self.at))
    }

    fn expect(&mut self, punctuator: char) -> Parsed<()> {
        if self.next_if(punctuator)? { Ok(()) } else { self.unexpected(&format!("`{punctuator}`")) }
    }

    /// Parses an opening bracket, at least `min` items, and the closing bracket.
    fn bracketed<T>(
        &mut self,
        (open, close): (char, char),
        min: usize,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let at = self.at;
        self.expect(open)?;
        self.nest(at)?;
        let mut items = Vec::new();
        while items.len() < min || !self.is(close) {
            items.push(item(self)?);
        }
        self.nesting -= 1;
        self.next()?;
        Ok(items)
    }

    /// Counts one more level of brackets.
    fn nest(&mut self, at: Pos) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > Limits::MAX_NESTING {
            let (nesting, depth) = (Limits::MAX_NESTING, self.max_depth);
            let message =
                format!("the query is nested more than {nesting} levels deep; the limit is {depth} levels of fields");
            return Err(request_error("TOO_DEEP", message, Some(at)));
        }
        Ok(())
    }

    fn document(mut self) -> Parsed<ExecutableDocument> {
        let mut anonymous = None;
        let mut named: Operations = HashMap::new();
        let mut fragments = HashMap::new();
        while self.token != Token::End {
            let at = self.at;
            if self.is_word("fragment") {
                let (name, fragment) = self.fragment()?;
                insert_once(&mut fragments, name, Positioned::new(fragment, at), "fragment")?;
                continue;
            }
            let (name, operation) = self.operation()?;
            let operation = Positioned::new(operation, at);
            match name {
                Some(name) => insert_once(&mut named, name, operation, "operation")?,
                None if anonymous.is_some() => return Err(not_the_only_operation(at)),
                None => anonymous = Some(operation),
            }
        }
        let operations = match anonymous {
            Some(anonymous) if named.is_empty() => DocumentOperations::Single(anonymous),
            Some(anonymous) => return Err(not_the_only_operation(anonymous.pos)),
            None if named.is_empty() => return Err(syntax_error("the query has no operation", self.at)),
            None => DocumentOperations::Multiple(named),
        };
        Ok(ExecutableDocument { operations, fragments })
    }

    fn operation(&mut self) -> Parsed<(Option<Name>, OperationDefinition)> {
        if self.is('{') {
            let selection_set = self.selection_set()?;
            let (variable_definitions, directives) = (Vec::new(), Vec::new());
            let ty = OperationType::Query;
            return Ok((None, OperationDefinition { ty, variable_definitions, directives, selection_set }));
        }
        let ty = match self.token {
            Token::Name("query") => OperationType::Query,
            Token::Name("mutation") => OperationType::Mutation,
            Token::Name("subscription") => OperationType::Subscription,
            _ => return self.unexpected("`query`, `mutation`, `subscription`, `fragment` or `{`"),
        };
        self.next()?;
        let name = if matches!(self.token, Token::Name(_)) { Some(self.name()?.node) } else { None };
        let variable_definitions =
            if self.is('(') { self.bracketed(('(', ')'), 1, Self::variable_definition)? } else { Vec::new() };
        let directives = self.directives(Values::WithVariables)?;
        let selection_set = self.selection_set()?;
        Ok((name, OperationDefinition { ty, variable_definitions, directives, selection_set }))
    }

    fn fragment(&mut self) -> Parsed<(Name, FragmentDefinition)> {
        self.next()?;
        if self.is_word("on") {
            return self.unexpected("the name of a fragment");
        }
        let name = self.name()?.node;
        if !self.is_word("on") {
            return self.unexpected("`on`");
        }
        let type_condition = self.type_condition()?;
        let directives = self.directives(Values::WithVariables)?;
        let selection_set = self.selection_set()?;
        Ok((name, FragmentDefinition { type_condition, directives, selection_set }))
    }

    /// Parses `on` and a type.
    fn type_condition(&mut self) -> Parsed<Positioned<TypeCondition>> {
        let at = self.at;
        self.next()?;
        Ok(Positioned::new(TypeCondition { on: self.name()? }, at))
    }

    fn variable_definition(&mut self) -> Parsed<Positioned<VariableDefinition>> {
        let at = self.at;
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let type_at = self.at;
        let var_type = Positioned::new(self.r#type()?, type_at);
        let default_value = if self.next_if('=')? {
            let value_at = self.at;
            let value = self.value(Values::Constant)?.into_const();
            // A constant contains no variables, so the conversion succeeds.
            let Some(value) = value else { return self.unexpected("a constant") };
            Some(Positioned::new(value, value_at))
        } else {
            None
        };
        let directives = self.directives(Values::Constant)?;
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, at))
    }

    fn r#type(&mut self) -> Parsed<Type> {
        let base = if self.is('[') {
            let at = self.at;
            self.next()?;
            self.nest(at)?;
            let item = self.r#type()?;
            self.nesting -= 1;
            self.expect(']')?;
            BaseType::List(Box::new(item))
        } else {
            BaseType::Named(self.name()?.node)
        };
        let nullable = !self.next_if('!')?;
        Ok(Type { base, nullable })
    }

    fn selection_set(&mut self) -> Parsed<Positioned<SelectionSet>> {
        let at = self.at;
        let items = self.bracketed(('{', '}'), 1, Self::selection)?;
        Ok(Positioned::new(SelectionSet { items }, at))
    }

    fn selection(&mut self) -> Parsed<Positioned<Selection>> {
        let at = self.at;
        let selection = if self.token == Token::Spread {
            self.next()?;
            self.spread(at)?
        } else {
            Selection::Field(Positioned::new(self.field()?, at))
        };
        Ok(Positioned::new(selection, at))
    }

    /// Parses what follows `...`.
    fn spread(&mut self, at: Pos) -> Parsed<Selection> {
        if matches!(self.token, Token::Name(_)) && !self.is_word("on") {
            let fragment_name = self.name()?;
            let directives = self.directives(Values::WithVariables)?;
            return Ok(Selection::FragmentSpread(Positioned::new(FragmentSpread { fragment_name, directives }, at)));
        }
        let type_condition = if self.is_word("on") { Some(self.type_condition()?) } else { None };
        let directives = self.directives(Values::WithVariables)?;
        let selection_set = self.selection_set()?;
        let fragment = InlineFragment { type_condition, directives, selection_set };
        Ok(Selection::InlineFragment(Positioned::new(fragment, at)))
    }

    fn field(&mut self) -> Parsed<Field> {
        let first = self.name()?;
        let (alias, name) = if self.next_if(':')? { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments(Values::WithVariables)?;
        let directives = self.directives(Values::WithVariables)?;
        let selection_set = if self.is('{') { self.selection_set()? } else { Positioned::default() };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    fn directives(&mut self, values: Values) -> Parsed<Vec<Positioned<Directive>>> {
        let mut directives = Vec::new();
        while self.is('@') {
            let at = self.at;
            self.next()?;
            let directive = Directive { name: self.name()?, arguments: self.arguments(values)? };
            directives.push(Positioned::new(directive, at));
        }
        Ok(directives)
    }

    fn arguments(&mut self, values: Values) -> Parsed<Arguments> {
        if !self.is('(') {
            return Ok(Vec::new());
        }
        self.bracketed(('(', ')'), 1, |parser| {
            let name = parser.name()?;
            parser.expect(':')?;
            let at = parser.at;
            Ok((name, Positioned::new(parser.value(values)?, at)))
        })
    }

    fn name(&mut self) -> Parsed<Positioned<Name>> {
        let Token::Name(name) = self.token else { return self.unexpected("a name") };
        let at = self.at;
        self.next()?;
        Ok(Positioned::new(Name::new(name), at))
    }

    fn value(&mut self, values: Values) -> Parsed<InputValue> {
        match self.token {
            Token::Punctuator('$') if values == Values::WithVariables => {
                self.next()?;
                Ok(InputValue::Variable(self.name()?.node))
            }
            Token::Punctuator('[') => {
                Ok(InputValue::List(self.bracketed(('[', ']'), 0, |parser| parser.value(values))?))
            }
            Token::Punctuator('{') => self.object(values),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, values: Values) -> Parsed<InputValue> {
        let fields = self.bracketed(('{', '}'), 0, |parser| {
            let name = parser.name()?;
            parser.expect(':')?;
            Ok((name, parser.value(values)?))
        })?;
        let mut object = IndexMap::with_capacity(fields.len());
        for (name, value) in fields {
            if object.contains_key(&name.node) {
                return Err(syntax_error(format!("the field `{}` occurs twice in an object", name.node), name.pos));
            }
            object.insert(name.node, value);
        }
        Ok(InputValue::Object(object))
    }

    fn scalar(&mut self) -> Parsed<InputValue> {
        let at = self.at;
        match self.token {
            Token::Name(_) | Token::Number(_) | Token::String(_) => {}
            _ => return self.unexpected("a value"),
        }
        Ok(match self.next()? {
            Token::String(text) => InputValue::String(text),
            Token::Number(text) => {
                let number = text.parse().map_err(|_| syntax_error("a number is out of range", at))?;
                InputValue::Number(number)
            }
            Token::Name("true") => InputValue::Boolean(true),
            Token::Name("false") => InputValue::Boolean(false),
            Token::Name("null") | Token::Punctuator(_) | Token::Spread | Token::End => InputValue::Null,
            Token::Name(name) => InputValue::Enum(Name::new(name)),
        })
    }
}

fn not_the_only_operation(at: Pos) -> ServerError {
    syntax_error("an operation without a name must be the only operation", at)
}

fn insert_once<T>(
    all: &mut HashMap<Name, Positioned<T>>,
    name: Name,
    definition: Positioned<T>,
    what: &str,
) -> Parsed<()> {
    match all.entry(name) {
        Entry::Vacant(free) => {
            free.insert(definition);
            Ok(())
        }
        Entry::Occupied(taken) => {
            Err(syntax_error(format!("the {what} `{}` is defined twice", taken.key()), definition.pos))
        }
    }
}

#[cfg(test)]
mod tests;
