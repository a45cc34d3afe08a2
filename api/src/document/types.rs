//! The types of a schema, as far as the form of a response depends on them.

use async_graphql::Name;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, OperationType, Type, TypeKind, TypeSystemDefinition};
use async_graphql::{Positioned, parser};
use std::collections::{HashMap, HashSet};

/// The objects, interfaces and unions of a schema. Those of introspection are not among them.
#[derive(Debug, Default)]
pub(crate) struct SchemaTypes {
    query: Option<Name>,
    mutation: Option<Name>,
    subscription: Option<Name>,
    /// The fields of each object and interface; a union has none.
    fields: HashMap<Name, HashMap<Name, Type>>,
    /// The interfaces and unions that each object belongs to.
    supertypes: HashMap<Name, HashSet<Name>>,
}

impl SchemaTypes {
    /// Reads them from a schema in the schema definition language.
    ///
    /// # Errors
    /// The text is not a schema.
    pub(crate) fn of_sdl(sdl: &str) -> Result<Self, parser::Error> {
        let mut types = Self::default();
        for definition in parse_schema(sdl)?.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let name = |root: Option<Positioned<Name>>| root.map(|name| name.node);
                    types.query = name(schema.node.query);
                    types.mutation = name(schema.node.mutation);
                    types.subscription = name(schema.node.subscription);
                }
                TypeSystemDefinition::Type(definition) => types.add(definition.node.name.node, definition.node.kind),
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        Ok(types)
    }

    fn add(&mut self, name: Name, kind: TypeKind) {
        match kind {
            TypeKind::Object(object) => {
                self.supertypes.entry(name.clone()).or_default().extend(object.implements.into_iter().map(|i| i.node));
                self.fields.insert(name, types_of(object.fields));
            }
            TypeKind::Interface(interface) => {
                self.fields.insert(name, types_of(interface.fields));
            }
            TypeKind::Union(union) => {
                for member in union.members {
                    self.supertypes.entry(member.node).or_default().insert(name.clone());
                }
                self.fields.insert(name, HashMap::new());
            }
            TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => {}
        }
    }

    /// The type of the root of an operation.
    pub(super) fn root(&self, operation: OperationType) -> Option<&Name> {
        match operation {
            OperationType::Query => self.query.as_ref(),
            OperationType::Mutation => self.mutation.as_ref(),
            OperationType::Subscription => self.subscription.as_ref(),
        }
    }

    /// The type of a field of an object or interface; none if it is a field of introspection.
    pub(super) fn field(&self, of: &str, field: &str) -> Option<&Type> {
        self.fields.get(of)?.get(field)
    }

    /// Whether values of a type have fields.
    pub(super) fn has_fields(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Whether a fragment on a type applies to an object.
    pub(super) fn applies(&self, condition: &str, object: &str) -> bool {
        condition == object || self.supertypes.get(object).is_some_and(|types| types.contains(condition))
    }
}

fn types_of(fields: Vec<Positioned<FieldDefinition>>) -> HashMap<Name, Type> {
    fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::types::BaseType;

    fn of_this_schema() -> SchemaTypes {
        SchemaTypes::of_sdl(&crate::schema_sdl()).unwrap()
    }

    #[test]
    fn supertypes_are_read_from_the_schema() {
        let types = of_this_schema();
        assert!(types.applies("Node", "Agent") && types.applies("UserError", "TaskCommandError"));
        assert!(types.applies("Agent", "Agent") && !types.applies("UserError", "Agent"));
        let union = SchemaTypes::of_sdl("union Drink = Tea | Water\ntype Tea { leaf: String! }").unwrap();
        assert!(union.applies("Drink", "Tea") && union.applies("Drink", "Water") && !union.applies("Drink", "Cup"));
        assert!(union.has_fields("Drink") && !union.has_fields("String"));
    }

    #[test]
    fn the_types_of_fields_are_read_from_the_schema() {
        let types = of_this_schema();
        let field = |of: &str, field: &str| types.field(of, field).map(ToString::to_string);
        assert_eq!(field("Agent", "name").as_deref(), Some("String!"));
        assert_eq!(field("Query", "agent").as_deref(), Some("Agent"));
        assert_eq!(field("Node", "id").as_deref(), Some("ID!"));
        assert_eq!(field("AgentConnection", "nodes").as_deref(), Some("[Agent!]!"));
        assert_eq!(field("Query", "__schema"), None);
        assert_eq!(types.root(OperationType::Mutation).map(Name::as_str), Some("Mutation"));
    }

    /// The type of an object is not known where only fields of its interface are selected, and those of the interface are
    /// taken for those of the object.
    #[test]
    fn fields_of_interfaces_have_the_same_type_in_objects() {
        let types = of_this_schema();
        for (object, supertypes) in &types.supertypes {
            for interface in supertypes {
                for (field, ty) in &types.fields[interface] {
                    assert_eq!(types.field(object, field), Some(ty), "{object}.{field} of {interface}");
                }
            }
        }
    }

    /// The executor returns only the first of several selections of a list of lists.
    #[test]
    fn no_field_is_a_list_of_lists() {
        let types = of_this_schema();
        for (of, fields) in &types.fields {
            for (name, ty) in fields {
                let BaseType::List(inner) = &ty.base else { continue };
                assert!(matches!(inner.base, BaseType::Named(_)), "{of}.{name}");
            }
        }
    }
}
