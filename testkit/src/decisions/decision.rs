//! What can be decided, and the function that decides it.

use super::accounts::{Account, Moved, Refused, Set, Switch};
use commands::{NotLoaded, States};
use domain::Aggregate;
use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of accounts that money is moved among: few, so that decisions conflict.
pub const ACCOUNTS: u128 = 6;
/// The switch that every payment reads.
pub const SWITCH: Uuid = Uuid::from_u128(1000);
/// The account that gets the fees.
pub const FEES: Uuid = Uuid::from_u128(2000);

/// The id of an account, by its number below [`ACCOUNTS`].
pub fn account(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Turns the switch on or off. Rests on the switch alone; there is nothing to do if it is so already.
    Turn {
        /// Whether it is turned off.
        is_off: bool,
    },
    /// Pays money into an account. Rests on two aggregates.
    Deposit {
        /// The account.
        to: Uuid,
        /// The amount.
        amount: i64,
    },
    /// Moves an amount to each of some other accounts. An odd balance pays a fee, so that the set of aggregates depends on
    /// their states. Rests on three to five aggregates if there are one or two others.
    Transfer {
        /// The account that pays.
        from: Uuid,
        /// The accounts that are paid: others, each once.
        to: Vec<Uuid>,
        /// What each of them gets.
        amount: i64,
    },
}

/// A change that a decision makes. Each changes another aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The switch is turned.
    Set {
        /// Whether it is off.
        is_off: bool,
    },
    /// The balance of an account changes.
    Moved {
        /// The account.
        account: Uuid,
        /// What is added to the balance.
        amount: i64,
        /// The balance after it.
        balance: i64,
    },
}

/// Where a decision reads its states: the executor, or the checker.
pub trait ReadStates {
    /// Why a state cannot be read.
    type Error;

    /// Whether the switch is off.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn is_off(&mut self) -> Result<bool, Self::Error>;

    /// The balance of an account.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn balance(&mut self, account: Uuid) -> Result<i64, Self::Error>;
}

impl ReadStates for States<'_> {
    type Error = NotLoaded;

    fn is_off(&mut self) -> Result<bool, NotLoaded> {
        Ok(self.get::<Switch>(SWITCH)?.is_off)
    }

    fn balance(&mut self, account: Uuid) -> Result<i64, NotLoaded> {
        Ok(self.get::<Account>(account)?.balance)
    }
}

impl Decision {
    /// The id of the aggregate that the command names: the switch, or the account that pays or is paid.
    #[must_use]
    pub fn target(&self) -> Uuid {
        match self {
            Self::Turn { .. } => SWITCH,
            Self::Deposit { to: target, .. } | Self::Transfer { from: target, .. } => *target,
        }
    }

    /// The category of that aggregate.
    #[must_use]
    pub fn category(&self) -> &'static str {
        if matches!(self, Self::Turn { .. }) { Switch::CATEGORY } else { Account::CATEGORY }
    }

    /// The changes, or why there are none.
    ///
    /// # Errors
    /// If a state cannot be read.
    pub fn decide<S: ReadStates>(&self, states: &mut S) -> Result<Result<Vec<Change>, Refused>, S::Error> {
        let mut amounts = Vec::new();
        let is_off = states.is_off()?;
        match self {
            Self::Turn { is_off: wanted } => {
                return Ok(Switch { is_off }
                    .decide(*wanted)
                    .map(|events| events.into_iter().map(|Set { is_off }| Change::Set { is_off }).collect()));
            }
            Self::Deposit { .. } | Self::Transfer { .. } if is_off => return Ok(Err(Refused::Off)),
            Self::Deposit { to, amount } => amounts.push((*to, *amount)),
            Self::Transfer { from, to, amount } => {
                let fee = states.balance(*from)? % 2;
                amounts.extend(to.iter().map(|to| (*to, *amount)));
                if fee > 0 {
                    amounts.push((FEES, fee));
                }
                let total: i64 = amounts.iter().map(|(_, amount)| amount).sum();
                amounts.push((*from, -total));
            }
        }
        let mut changes = Vec::new();
        for (account, amount) in amounts {
            match (Account { balance: states.balance(account)? }).decide(amount) {
                Ok(events) => changes.extend(events.into_iter().map(|Moved { amount, balance }| Change::Moved {
                    account,
                    amount,
                    balance,
                })),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(changes))
    }

    /// A random decision. Most are transfers; some are refused, and a fourth of the time the switch is off.
    pub fn random(rng: &mut impl Rng) -> Self {
        if rng.random_ratio(1, 10) {
            return Self::Turn { is_off: rng.random_ratio(1, 4) };
        }
        Self::random_payment(account(rng.random_range(0..ACCOUNTS)), rng)
    }

    /// A random payment whose target is an account: to it, or from it to one or two others.
    pub fn random_payment(target: Uuid, rng: &mut impl Rng) -> Self {
        if rng.random_ratio(1, 4) {
            return Self::Deposit { to: target, amount: rng.random_range(1..40) };
        }
        Self::random_transfer(target, rng)
    }

    /// A random transfer from an account.
    pub fn random_transfer(from: Uuid, rng: &mut impl Rng) -> Self {
        let (first, count) = (rng.random_range(0..ACCOUNTS), rng.random_range(1..=2));
        let others = (first..first + ACCOUNTS).map(|number| account(number % ACCOUNTS)).filter(|to| *to != from);
        Self::Transfer { from, to: others.take(count).collect(), amount: rng.random_range(1..20) }
    }

    /// A random decision with the same target, which most likely rests on other aggregates or decides otherwise.
    #[must_use]
    pub fn with_other_set(&self, rng: &mut impl Rng) -> Self {
        match self {
            Self::Turn { is_off } => Self::Turn { is_off: !is_off },
            Self::Deposit { to: target, .. } | Self::Transfer { from: target, .. } => {
                Self::random_payment(*target, rng)
            }
        }
    }
}
