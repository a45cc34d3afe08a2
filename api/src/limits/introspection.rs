//! The size of introspection, estimated from the average length of the lists in a schema.

/// The most values that introspection may return, estimated; about four times as many as for the usual introspection query.
pub(super) const MAX_VALUES: usize = 1_000_000;
/// The number of values from which introspection takes long: the library resolves it without yielding.
pub(super) const LARGE_VALUES: usize = 20_000;
/// The most nested lists that lead from types to types, each of which multiplies the size. The usual introspection query
/// nests none of them.
pub(super) const MAX_CYCLES: usize = 3;
/// The fields that are such lists.
pub(super) const CYCLES: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Estimated lengths of the lists in a schema.
const LIST_LENGTHS: [(&str, usize); 8] = [
    ("types", 150),
    ("fields", 10),
    ("args", 3),
    ("inputFields", 4),
    ("enumValues", 4),
    ("possibleTypes", 8),
    ("interfaces", 2),
    ("directives", 5),
];

/// The estimated number of values of a field of introspection; one for a field that is not a list.
pub(super) fn list_length(field: &str) -> usize {
    LIST_LENGTHS.iter().find(|(name, _)| *name == field).map_or(1, |(_, length)| *length)
}
