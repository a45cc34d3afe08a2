//! The usage of calls: types with a field for each meter, generated from the table of meters in `domain`.

use super::input::{self, Invalid};
use super::scalars::{BigInt, Long};
use async_graphql::{InputObject, SimpleObject};
use domain::{Meter, for_each_meter};

macro_rules! usage_types {
    ($($variant:ident, $name:ident, $column:ident, $description:tt, $definition:tt);+ $(;)?) => {
        /// Usage of a call, by meter. Meters do not overlap, unless one is described as a part of another one: the prompt
        /// consists of `input`, `cacheRead` and the cache writes.
        #[derive(Debug, Clone, SimpleObject)]
        pub(crate) struct Usage {
            $(#[doc = $description] $name: Long),+
        }

        impl From<domain::Usage> for Usage {
            fn from(usage: domain::Usage) -> Self {
                Self { $($name: Long::from_unsigned(usage.get(Meter::$variant).get())),+ }
            }
        }

        /// Usage of a call, by meter. Default of each: 0. Meters must not overlap, unless one is described as a part of
        /// another one: for providers that include cached tokens in the prompt, subtract them from `input`.
        #[derive(Debug, Default, InputObject)]
        pub(crate) struct UsageInput {
            $(#[doc = $description] $name: Option<Long>),+
        }

        impl TryFrom<UsageInput> for domain::Usage {
            type Error = Invalid;

            fn try_from(input: UsageInput) -> Result<Self, Invalid> {
                let mut usage = Self::default();
                $(usage.set(Meter::$variant, input::quantity(concat!("usage.", stringify!($name)), input.$name)?);)+
                Ok(usage)
            }
        }

        /// Sums of the usage of calls, by meter.
        #[derive(Debug, Clone, PartialEq, SimpleObject)]
        pub(crate) struct UsageSums {
            $(#[doc = $description] $column: BigInt),+
        }

        impl From<&[i128; Meter::COUNT]> for UsageSums {
            fn from(quantities: &[i128; Meter::COUNT]) -> Self {
                Self { $($column: quantities[Meter::$variant as usize].into()),+ }
            }
        }

        impl From<&projections::Totals> for UsageSums {
            fn from(totals: &projections::Totals) -> Self {
                Self { $($column: totals.quantity(Meter::$variant).into()),+ }
            }
        }
    };
}
for_each_meter!(usage_types);
