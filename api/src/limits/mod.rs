//! The limits on a document, checked before it is validated and executed.
//!
//! The parser bounds tokens and nesting ([`crate::document`]). The library's validation follows fragments at every spread,
//! copies the values of variables at every use, and trusts its input. Therefore the document is measured first: levels of
//! fields through fragments, fragment cycles, aliases, directives, selections with all fragments expanded, the size of
//! arguments with all variables expanded, and the size of introspection. Validation then takes a time in proportion to the
//! limits.

mod complexity;
mod document;
mod input;
mod introspection;
#[cfg(test)]
mod tests;

pub(crate) use complexity::ComplexityLimit;
pub(crate) use document::check_document;
pub(crate) use input::measure_variables;
