//! `apex users`

use super::arguments::{body, name};
use super::holders::warn_without_admin;
use super::output::{self, Format};
use super::session::{Session, with_identities};
use crate::rooms::Rooms;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, OutcomeKind, Position};
use domain::permissions::{Action, Role};
use domain::{Body, InvitationId, Name, UserId};
use identity::{Email, Identities, MAX_LISTED};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Create, invite, list, disable and erase the users of the tenant.
///
/// A user is a person who signs in with a password. Names and addresses are stored beside the log, and can be erased. Apex sends
/// no mail: links are given to people by the operator who creates them.
#[derive(Debug, clap::Args)]
pub(super) struct Users {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a user, and print its id. It sets its password by a link of `apex users reset-link`
    Create {
        /// The e-mail address of the user
        #[arg(value_parser = email)]
        email: Email,
        /// The name of the user
        #[arg(long, value_parser = name)]
        name: Option<Name>,
        /// A role of the user; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Invite a person to become a user, and print the token of the invitation, which is sent to /auth/register
    Invite {
        /// The e-mail address of the person
        #[arg(value_parser = email)]
        email: Email,
        /// A role that is granted to the user; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// How long the invitation can be accepted
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
        expires_in: Duration,
    },
    /// List the invitations, without their tokens
    Invitations {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Revoke an invitation: it cannot be accepted any more
    RevokeInvitation {
        /// The id of the invitation
        id: Uuid,
        /// The reason, which is recorded for ever: not about a person
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// List the users with their roles
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Print the token of a link by which a user sets its password, once. It is sent to /auth/password-reset
    ResetLink {
        /// The id of the user
        id: Uuid,
        /// How long the link is accepted
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = humantime::parse_duration)]
        expires_in: Duration,
    },
    /// Demand no one-time codes of a user any more, whose device is lost
    DisableCodes {
        /// The id of the user
        id: Uuid,
    },
    /// Disable a user: its sessions end, and it cannot sign in until it is enabled
    Disable {
        /// The id of the user
        id: Uuid,
        /// The reason, which is recorded for ever: not about the person
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// Enable a disabled user
    Enable {
        /// The id of the user
        id: Uuid,
    },
    /// Delete a user for ever, and erase its name, address, credentials and sessions. What it did stays in the log under its id
    Erase {
        /// The id of the user
        id: Uuid,
    },
}

/// Parses an address.
fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}

impl Users {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Invitations { .. } => Action::ReadData,
            Command::Create { .. }
            | Command::Invite { .. }
            | Command::RevokeInvitation { .. }
            | Command::ResetLink { .. }
            | Command::DisableCodes { .. }
            | Command::Disable { .. }
            | Command::Enable { .. }
            | Command::Erase { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_identities(session, async |rooms, identities| {
            let context = Context::new(rooms.principal.clone(), Uuid::now_v7());
            self.command.run(rooms, identities, &context, Utc::now()).await
        })
        .await
    }
}

impl Command {
    async fn run(
        self,
        rooms: &Rooms,
        identities: &Identities,
        context: &Context,
        at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let had_admin = identities.directory().has_admin(rooms.principal.tenant());
        match self {
            Self::List { format } => list(rooms, identities, format).await?,
            Self::Invitations { format } => invitations(rooms, identities, format, at).await?,
            Self::Create { email, name, roles } => {
                let created = identities.create_user(context, &email, name.as_ref(), &roles, at).await?;
                say!(
                    "The user was created. It sets its password by a link: apex users reset-link {}. Its id:",
                    created.id
                );
                output::write(&format!("{}\n", created.id))?;
            }
            Self::Invite { email, roles, expires_in } => {
                let new = identities.invite_user(context, &email, &roles, lifetime(expires_in), at).await?;
                say!(
                    "The invitation {} was created, and can be accepted until {}. Its token is shown only now; give it to \
                     nobody but the person who is invited:",
                    new.id,
                    new.expires_at.to_rfc3339()
                );
                output::write(&format!("{}\n", new.token.reveal()))?;
            }
            Self::RevokeInvitation { id, reason } => {
                let revoked = identities.revoke_invitation(context, InvitationId(id), reason, at).await?;
                done(revoked, format_args!("The invitation {id} is revoked."));
            }
            Self::ResetLink { id, expires_in } => {
                let link = identities.issue_reset_link(context, UserId(id), lifetime(expires_in), at).await?;
                say!(
                    "The link was created, and is accepted until {}. Its token is shown only now; give it to nobody but the \
                     user:",
                    link.expires_at.to_rfc3339()
                );
                output::write(&format!("{}\n", link.token.reveal()))?;
            }
            Self::DisableCodes { id } => {
                let disabled = identities.disable_totp_of(context, UserId(id), at).await?;
                done(disabled, format_args!("No one-time codes are demanded of the user {id}."));
            }
            Self::Disable { id, reason } => {
                let disabled = identities.disable_user(context, UserId(id), reason, at).await?;
                done(disabled, format_args!("The user {id} is disabled: its sessions have ended."));
            }
            Self::Enable { id } => {
                let enabled = identities.enable_user(context, UserId(id), at).await?;
                done(enabled, format_args!("The user {id} is enabled."));
            }
            Self::Erase { id } => {
                let erased = identities.erase_user(context, UserId(id), at).await?;
                done(erased, format_args!("The user {id} is deleted, and what was stored about the person is erased."));
            }
        }
        warn_without_admin(identities, rooms.principal.tenant(), had_admin);
        Ok(())
    }
}

fn done((kind, _): (OutcomeKind, Position), text: std::fmt::Arguments<'_>) {
    match kind {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("{text}"),
        OutcomeKind::AlreadyDone => say!("{text} It was so before."),
    }
}

/// Longer than any time of an event is refused by the command.
fn lifetime(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

fn names<R: ToString>(roles: &[R]) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

async fn list(rooms: &Rooms, identities: &Identities, format: Format) -> anyhow::Result<()> {
    let users = identities.users(&rooms.principal.authorise()?, .., MAX_LISTED).await?;
    if users.len() == MAX_LISTED {
        say!("Only the first {MAX_LISTED} users are listed: query `users` over GraphQL for all of them.");
    }
    let rows = users.into_iter().map(|user| {
        let state = if user.is_disabled { "disabled" } else { "active" };
        let sign_in = match (user.has_password, user.has_totp) {
            (false, _) => "none",
            (true, false) => "password",
            (true, true) => "password and code",
        };
        let asked = user.reset_requested_at.map(|at| at.to_rfc3339()).unwrap_or_default();
        let (email, name) = (user.email.unwrap_or_default(), user.display_name.unwrap_or_default());
        vec![user.id.to_string(), email, name, state.to_owned(), sign_in.to_owned(), names(&user.roles), asked]
    });
    let header = ["user", "email", "name", "state", "signs_in_with", "roles", "reset_requested_at"];
    output::list(&header, rows.collect(), 0..0, format)
}

async fn invitations(rooms: &Rooms, identities: &Identities, format: Format, now: DateTime<Utc>) -> anyhow::Result<()> {
    let invitations = identities.invitations(&rooms.principal.authorise()?, .., MAX_LISTED).await?;
    if invitations.len() == MAX_LISTED {
        say!("Only the first {MAX_LISTED} invitations are listed: query `invitations` over GraphQL for all of them.");
    }
    let rows = invitations.into_iter().map(|invitation| {
        let state = match invitation.accepted_by {
            Some(_) => "accepted",
            None if invitation.is_revoked => "revoked",
            None if invitation.expires_at <= now => "expired",
            None => "open",
        };
        let email = invitation.email.unwrap_or_default();
        let expires_at = invitation.expires_at.to_rfc3339();
        vec![invitation.id.to_string(), email, state.to_owned(), names(&invitation.roles), expires_at]
    });
    output::list(&["invitation", "email", "state", "roles", "expires_at"], rows.collect(), 0..0, format)
}
