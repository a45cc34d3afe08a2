//! Read your own writes: a query with `minPosition` waits until the read models that it reads have reached the position.
//!
//! Which read models those are follows from the schema: every object type that a field inside the query returns is looked
//! up in [`ReadModels`], so a new relation between objects needs no declaration of its own.

use super::errors;
use super::scalars::Position;
use super::services::{authorise, services};
use async_graphql::registry::{MetaTypeName, Registry};
use async_graphql::{Context, Result, SelectionField};
use domain::permissions::ReadAny;
use std::collections::{BTreeMap, BTreeSet};

/// The projections that feed each object type, by the type's name in the schema. Stored in the schema.
#[derive(Debug, Default)]
pub(crate) struct ReadModels(pub(crate) BTreeMap<String, &'static [&'static str]>);

/// Waits until the projections behind a query, and behind the relations that it selects, have reached a position.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not read, `LATE` if they do not reach it within [`crate::config::Limits::projection_wait`].
pub(crate) async fn await_projections(
    ctx: &Context<'_>,
    own: &[&'static str],
    position: Option<Position>,
) -> Result<()> {
    authorise::<ReadAny>(ctx)?;
    let Some(position) = position else { return Ok(()) };
    let needed: Vec<_> = needed(ctx, own)?.into_iter().collect();
    let services = services(ctx)?;
    let waited = projections::wait_for(&services.pool, &needed, position.0, services.limits.projection_wait).await;
    waited.map(drop).map_err(|error| errors::wait(&error))
}

/// The projections behind a field of the query's root: its own, and those of the relations inside.
fn needed(ctx: &Context<'_>, own: &[&'static str]) -> Result<BTreeSet<&'static str>> {
    let (registry, read_models) = (&ctx.schema_env.registry, ctx.data::<ReadModels>()?);
    let mut needed: BTreeSet<&str> = own.iter().copied().collect();
    add_relations(registry, read_models, &registry.query_type, ctx.field(), &mut needed);
    Ok(needed)
}

fn add_relations(
    registry: &Registry,
    read_models: &ReadModels,
    parent: &str,
    field: SelectionField<'_>,
    needed: &mut BTreeSet<&'static str>,
) {
    // Fields of introspection have no declaration, and read nothing.
    let Some(declared) = registry.types.get(parent).and_then(|parent| parent.field_by_name(field.name())) else {
        return;
    };
    let returned = MetaTypeName::concrete_typename(&declared.ty);
    needed.extend(read_models.0.get(returned).copied().unwrap_or_default());
    for inside in field.selection_set() {
        add_relations(registry, read_models, returned, inside, needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, SimpleObject};

    #[derive(SimpleObject)]
    struct Author {
        name: String,
    }

    #[derive(SimpleObject)]
    struct Book {
        authors: Vec<Author>,
        title: String,
    }

    struct Query;

    #[Object]
    impl Query {
        async fn books(&self) -> Vec<Book> {
            Vec::new()
        }

        async fn needed_by(&self, ctx: &Context<'_>) -> Result<Shelf> {
            Ok(Shelf { projections: needed(ctx, &["shelves"])?.into_iter().map(str::to_owned).collect(), book: None })
        }
    }

    #[derive(SimpleObject)]
    struct Shelf {
        projections: Vec<String>,
        book: Option<Book>,
    }

    #[tokio::test]
    async fn a_query_waits_for_the_projections_of_every_type_that_it_selects() {
        let read_models: [(&str, &'static [&'static str]); 2] =
            [("Author", &["authors"]), ("Book", &["books", "prices"])];
        let read_models = ReadModels(read_models.map(|(name, own)| (name.to_owned(), own)).into());
        let schema = Schema::build(Query, EmptyMutation, EmptySubscription).data(read_models).finish();
        for (inside, expected) in [
            ("", &["shelves"][..]),
            ("book { title __typename }", &["books", "prices", "shelves"]),
            ("book { ...F }", &["authors", "books", "prices", "shelves"]),
            ("... { book { a: authors { name } } }", &["authors", "books", "prices", "shelves"]),
        ] {
            let fragment = if inside.contains("...F") { "fragment F on Book { authors { name } }" } else { "" };
            let response = schema.execute(format!("{{ neededBy {{ projections {inside} }} }} {fragment}")).await;
            assert!(response.errors.is_empty(), "{:?}", response.errors);
            let data = response.data.into_json().unwrap();
            assert_eq!(data["neededBy"]["projections"], serde_json::json!(expected), "{inside}");
        }
    }
}
