//! Parsing the text of a GraphQL request, and completing and sorting its response by the document.
//!
//! There is one lexer and one parser, so that the limits are checked on what is executed: the executor receives the parsed
//! document and never the text. The parser reads each byte once, looks one token ahead, and stops at the first error, at
//! the first token beyond the limit, and at [`crate::config::Limits::MAX_NESTING`] levels of brackets of any kind
//! (selection sets, arguments, lists, objects, types). Code that walks a document may therefore recurse.
//!
//! The library's own parser is not used: its values recurse without a bound, and its grammar backtracks. It is the
//! reference in tests. `apollo-parser` was considered: it accepts arguments without values and lists without ends,
//! continues after errors, and counts white space as tokens, so that the checks would have been needed a second time.

mod lexer;
mod nulls;
mod order;
mod parser;
mod select_types;
mod selections;
mod types;

pub(crate) use nulls::complete;
pub(crate) use order::sort;
pub(crate) use parser::parse;
pub(crate) use select_types::select_types;
pub(crate) use selections::Selections;
pub(crate) use types::SchemaTypes;
