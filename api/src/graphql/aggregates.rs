//! What follows from the list of aggregates, which is in the module above, below their modules.

use super::connection::STATEMENT_COST;
use super::events;
use super::ids::{self, Kind, not_an_id};
use super::scalars::parse_position;
use super::services::authorise;
use super::{Node, load_node};
use async_graphql::{Context, ID, Object, Result};
use domain::permissions::ReadAny;
use uuid::Uuid;

/// Registers the aggregates, each with its module, and the names of its object, queries, mutations and error in it.
///
/// A line adds the aggregate's kind of global id to [`Kind`], its objects to [`Node`] and `node(id)`, its queries and
/// mutations to the roots, its error to `UserError`, and the projections that feed its objects to
/// [`ReadModels`](super::freshness::ReadModels).
macro_rules! aggregates {
    ($($module:ident: $object:ident, $query:ident, $mutation:ident, $error:ident, $page:literal;)+) => {
        /// The type of object that a global id refers to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($object,)+
            ServiceAccount,
            ApiKey,
            User,
            Team,
            CustomRole,
            Invitation,
            Session,
            Dag,
            Event,
        }

        impl Kind {
            const ALL: &[Self] = &[
                $(Self::$object,)+
                Self::ServiceAccount,
                Self::ApiKey,
                Self::User,
                Self::Team,
                Self::CustomRole,
                Self::Invitation,
                Self::Session,
                Self::Dag,
                Self::Event,
            ];

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$object => stringify!($object),)+
                    Self::ServiceAccount => "ServiceAccount",
                    Self::ApiKey => "ApiKey",
                    Self::User => "User",
                    Self::Team => "Team",
                    Self::CustomRole => "CustomRole",
                    Self::Invitation => "Invitation",
                    Self::Session => "Session",
                    Self::Dag => "Dag",
                    Self::Event => "Event",
                }
            }
        }

        /// An object with a global id.
        #[derive(async_graphql::Interface)]
        #[graphql(field(name = "id", ty = "&async_graphql::ID", desc = "Global id of the object."))]
        pub(crate) enum Node {
            $($object(Box<$module::$object>),)+
            ServiceAccount(Box<identity::ServiceAccount>),
            ApiKey(Box<identity::ApiKey>),
            User(Box<user::User>),
            Team(Box<identity::Team>),
            CustomRole(Box<identity::CustomRole>),
            Event(Box<events::Event>),
        }

        /// Reason for which a command was rejected. Each aggregate has a type of its own, which adds a `code`.
        #[derive(async_graphql::Interface)]
        #[graphql(
            field(name = "message", ty = "&String", desc = "Human-readable explanation of the reason."),
            field(
                name = "field",
                ty = "&Option<String>",
                desc = "Name of the input field that is not valid, such as `name`. Null if no single field is the cause."
            ),
            field(
                name = "current_version",
                ty = "&Option<scalars::Long>",
                desc = "Version that the object has. Null unless `code` is `WRONG_VERSION`."
            )
        )]
        pub(crate) enum UserError {
            $($object($module::$error),)+
            Price(price::PriceCommandError),
            Reservation(reservation::ReservationCommandError),
            Allocation(allocation::AllocationCommandError),
            TagKey(tag_key::TagKeyCommandError),
            RateLimit(rate_limit::RateLimitCommandError),
            Identity(identity::IdentityCommandError),
        }

        /// The queries of all aggregates.
        #[derive(MergedObject, Default)]
        pub(crate) struct AggregateQuery($($module::$query),+);

        /// The mutations of all aggregates.
        #[derive(MergedObject, Default)]
        pub(crate) struct AggregateMutation($($module::$mutation),+);

        /// Loads the object with a UUID.
        async fn load_node(
            ctx: &async_graphql::Context<'_>,
            kind: Kind,
            id: uuid::Uuid,
        ) -> async_graphql::Result<Option<Node>> {
            Ok(match kind {
                $(Kind::$object => {
                    entity::by_id::<$module::$object>(ctx, id).await?.map(|object| Node::$object(Box::new(object)))
                })+
                Kind::ServiceAccount => {
                    identity::account(ctx, id).await?.map(|account| Node::ServiceAccount(Box::new(account)))
                }
                Kind::ApiKey => identity::key(ctx, id).await?.map(|key| Node::ApiKey(Box::new(key))),
                Kind::Team => identity::team(ctx, id).await?.map(|team| Node::Team(Box::new(team))),
                Kind::CustomRole => {
                    identity::custom_role(ctx, id).await?.map(|role| Node::CustomRole(Box::new(role)))
                }
                Kind::User => user::user(ctx, id).await?.map(|user| Node::User(Box::new(user))),
                Kind::Dag | Kind::Event | Kind::Invitation | Kind::Session => None,
            })
        }

        /// The projections that feed the objects of each aggregate.
        fn read_models() -> freshness::ReadModels {
            use async_graphql::OutputType;
            freshness::ReadModels(
                [$((
                    $module::$object::type_name().into_owned(),
                    <$module::$object as entity::Entity>::PROJECTIONS,
                )),+]
                .into(),
            )
        }

        /// Describes the pages of the lists of each aggregate.
        fn describe_pages<Q, M, S>(builder: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S> {
            builder$(.override_output_type_description::<Connection<String, $module::$object>>($page))+
        }
    };
}
pub(crate) use aggregates;

/// The query for any object by its id.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Returns any object by its global id. Null if it does not exist.
    #[graphql(complexity = "STATEMENT_COST + child_complexity")]
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id of the object.")] id: ID,
    ) -> Result<Option<Node>> {
        authorise::<ReadAny>(ctx)?;
        let Some((kind, key)) = ids::split(&id) else { return Err(not_an_id(&id)) };
        if kind == Kind::Event {
            let Some(position) = parse_position(&key) else { return Err(not_an_id(&id)) };
            return Ok(events::at(ctx, position.into()).await?.map(|event| Node::Event(Box::new(event))));
        }
        let key = Uuid::try_parse(&key).map_err(|_| not_an_id(&id))?;
        load_node(ctx, kind, key).await
    }
}
