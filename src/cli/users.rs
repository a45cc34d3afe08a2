//! `apex users`

use super::arguments::{body, name};
use super::backend::{self, Backend, Listed, Work};
use super::output::{self, Format};
use super::session::Session;
use chrono::{DateTime, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::permissions::{Action, Role};
use domain::{Body, InvitationId, Name, UserId};
use identity::{Email, InvitationSummary, MAX_LISTED, UserSummary};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Create, invite, list, disable and erase the users of the tenant.
///
/// A user is a person who signs in with a password. Names and addresses are stored beside the log, and can be erased. Tokens
/// of links and invitations are given to people by the operator who creates them; a server that sends mail mails invitations.
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
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::List { format } => list(backend.users().await?, format)?,
            Self::Invitations { format } => invitations(backend.invitations().await?, format, Utc::now())?,
            Self::Create { email, name, roles } => {
                let id = backend.create_user(&email, name, &roles).await?;
                say!("The user was created. It sets its password by a link: apex users reset-link {id}. Its id:");
                output::write(&format!("{id}\n"))?;
            }
            Self::Invite { email, roles, expires_in } => {
                let new = backend.invite_user(&email, &roles, lifetime(expires_in)).await?;
                say!(
                    "The invitation {} was created, and can be accepted until {}. Its token is shown only now; give it to \
                     nobody but the person who is invited:",
                    new.id,
                    output::time(new.expires_at)
                );
                output::write(&format!("{}\n", new.token.reveal()))?;
            }
            Self::RevokeInvitation { id, reason } => {
                let revoked = backend.revoke_invitation(InvitationId(id), reason).await?;
                done(revoked, format_args!("The invitation {id} is revoked."));
            }
            Self::ResetLink { id, expires_in } => {
                let link = backend.issue_reset_link(UserId(id), lifetime(expires_in)).await?;
                say!(
                    "The link was created, and is accepted until {}. Its token is shown only now; give it to nobody but the \
                     user:",
                    output::time(link.expires_at)
                );
                output::write(&format!("{}\n", link.token.reveal()))?;
            }
            Self::DisableCodes { id } => {
                let disabled = backend.disable_codes(UserId(id)).await?;
                done(disabled, format_args!("No one-time codes are demanded of the user {id}."));
            }
            Self::Disable { id, reason } => {
                let disabled = backend.disable_user(UserId(id), reason).await?;
                done(disabled, format_args!("The user {id} is disabled: its sessions have ended."));
            }
            Self::Enable { id } => {
                let enabled = backend.enable_user(UserId(id)).await?;
                done(enabled, format_args!("The user {id} is enabled."));
            }
            Self::Erase { id } => {
                let erased = backend.erase_user(UserId(id)).await?;
                done(erased, format_args!("The user {id} is deleted, and what was stored about the person is erased."));
            }
        }
        Ok(())
    }
}

fn done(kind: OutcomeKind, text: std::fmt::Arguments<'_>) {
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

fn list(users: Listed<UserSummary>, format: Format) -> anyhow::Result<()> {
    if users.is_cut {
        say!("Only the first {MAX_LISTED} users are listed: query `users` over GraphQL for all of them.");
    }
    let rows = users.items.into_iter().map(|user| {
        let state = if user.is_disabled { "disabled" } else { "active" };
        let password = match (user.has_password, user.has_totp) {
            (false, _) => None,
            (true, false) => Some("password".to_owned()),
            (true, true) => Some("password and code".to_owned()),
        };
        let ways: Vec<_> = password.into_iter().chain(user.providers.iter().map(ToString::to_string)).collect();
        let sign_in = if ways.is_empty() { "none".to_owned() } else { ways.join(", ") };
        let asked = user.reset_requested_at.map(output::time).unwrap_or_default();
        let (email, name) = (user.email.unwrap_or_default(), user.display_name.unwrap_or_default());
        vec![user.id.to_string(), email, name, state.to_owned(), sign_in, names(&user.roles), asked]
    });
    let header = ["user", "email", "name", "state", "signs_in_with", "roles", "reset_requested_at"];
    output::list(&header, rows.collect(), 0..0, format)
}

fn invitations(invitations: Listed<InvitationSummary>, format: Format, now: DateTime<Utc>) -> anyhow::Result<()> {
    if invitations.is_cut {
        say!("Only the first {MAX_LISTED} invitations are listed: query `invitations` over GraphQL for all of them.");
    }
    let rows = invitations.items.into_iter().map(|invitation| {
        let state = match invitation.accepted_by {
            Some(_) => "accepted",
            None if invitation.is_revoked => "revoked",
            None if invitation.expires_at <= now => "expired",
            None => "open",
        };
        let email = invitation.email.unwrap_or_default();
        let expires_at = output::time(invitation.expires_at);
        vec![invitation.id.to_string(), email, state.to_owned(), names(&invitation.roles), expires_at]
    });
    output::list(&["invitation", "email", "state", "roles", "expires_at"], rows.collect(), 0..0, format)
}
