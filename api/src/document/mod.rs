//! From the text of a GraphQL request to a document that may be executed, and back to the order of its answer.
//!
//! There is one lexer and one parser, so that the limits are those of what is executed: the executor is handed the
//! document and never sees text. The parser reads each byte once, looks one token ahead, and stops at the first error,
//! at the first token beyond the limit, and at [`crate::limits::MAX_NESTING`] levels of brackets of any kind (selection
//! sets, arguments, lists, objects, types). Whatever walks a document afterwards may therefore recurse.
//!
//! The library's own parser is not used: its values recurse without a bound, and its grammar backtracks. It serves as
//! the reference in tests. `apollo-parser` was considered: it accepts arguments without values and lists without ends,
//! goes on after errors, and counts blanks as tokens, so that the checks would have been written a second time.

mod lexer;
pub(crate) mod order;
mod parser;

pub(crate) use parser::parse;
