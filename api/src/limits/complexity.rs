//! The limit on the complexity of a query, and on that of all queries of a caller.

use crate::rate_limits::RateLimiter;
use crate::request_error::request_error;
use crate::requester::Requester;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};
use domain::rate_limits::LimitedResource;
use std::sync::Arc;

/// Rejects queries that exceed a complexity. The library computes the complexity; the error of its own limit does not
/// contain it. What is not rejected is taken from what the caller may use in a minute.
#[derive(Clone)]
pub(crate) struct ComplexityLimit {
    pub(crate) max: usize,
    pub(crate) rate_limiter: Arc<RateLimiter>,
}

impl ExtensionFactory for ComplexityLimit {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(self.clone())
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
        if validated.complexity > self.max {
            return Err(vec![too_complex(validated.complexity, self.max)]);
        }
        if let Some(requester) = ctx.data_opt::<Requester>() {
            let units = u64::try_from(validated.complexity).unwrap_or(u64::MAX);
            let taken = self.rate_limiter.take_from(&requester.principal, LimitedResource::Complexity, units);
            taken.map_err(|limited| vec![limited.error()])?;
        }
        Ok(validated)
    }
}

pub(super) fn too_complex(found: usize, limit: usize) -> ServerError {
    let message = format!("the complexity of the query is {found}, the limit is {limit}; request smaller pages");
    request_error("TOO_COMPLEX", message, None)
}
