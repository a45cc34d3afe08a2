//! The limit on the complexity of a query.

use crate::request_error::request_error;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};
use std::sync::Arc;

/// Rejects queries that exceed a complexity. The library computes the complexity; the error of its own limit does not
/// contain it.
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

pub(super) fn too_complex(found: usize, limit: usize) -> ServerError {
    let message = format!("the complexity of the query is {found}, the limit is {limit}; request smaller pages");
    request_error("TOO_COMPLEX", message, None)
}
