//! What the subcommands about teams and roles have in common: who is meant.

use domain::role_assignment::Holder;
use domain::team::Member;
use domain::{ServiceAccountId, TeamId, UserId};
use uuid::Uuid;

/// A service account or a user.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct MemberArgument {
    /// The id of a service account
    #[arg(long, value_name = "ID")]
    account: Option<Uuid>,
    /// The id of a user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
}

impl MemberArgument {
    /// The member. The parser has checked that there is exactly one.
    pub(super) fn member(&self) -> anyhow::Result<Member> {
        let account = self.account.map(|id| Member::ServiceAccount(ServiceAccountId(id)));
        let user = self.user.map(|id| Member::User(UserId(id)));
        account.or(user).ok_or_else(|| anyhow::anyhow!("name a service account or a user"))
    }
}

/// A service account, a user or a team.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct HolderArgument {
    /// The id of a service account
    #[arg(long, value_name = "ID")]
    account: Option<Uuid>,
    /// The id of a user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// The id of a team, whose members have the role
    #[arg(long, value_name = "ID")]
    team: Option<Uuid>,
}

impl HolderArgument {
    /// The holder. The parser has checked that there is exactly one.
    pub(super) fn holder(&self) -> anyhow::Result<Holder> {
        let account = self.account.map(|id| Holder::ServiceAccount(ServiceAccountId(id)));
        let user = self.user.map(|id| Holder::User(UserId(id)));
        let team = self.team.map(|id| Holder::Team(TeamId(id)));
        account.or(user).or(team).ok_or_else(|| anyhow::anyhow!("name a service account, a user or a team"))
    }
}
