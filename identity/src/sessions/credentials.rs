//! What a session rests on: the credentials of its user at the time of the sign-in.

use domain::user::User;
use uuid::Uuid;

/// The ids of the credentials that count for a user at a version of its stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UserCredentials {
    pub(crate) password: Option<Uuid>,
    pub(crate) totp: Option<Uuid>,
}

impl UserCredentials {
    /// The credentials that the stream of a user names.
    pub(crate) fn of(user: &User) -> Self {
        Self { password: user.password, totp: user.totp }
    }
}

/// The credentials with which a session is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionCredentials {
    /// Those of the sign-in, or those before the last change that this session made.
    pub(crate) verified: UserCredentials,
    /// Those after the last change that this session made, which are stored before its event is appended. Without such a change
    /// the same as those of the sign-in.
    pub(crate) next: UserCredentials,
}

impl SessionCredentials {
    /// Whether a session with these is one of a user. One that began with a password that was replaced since, or whose second
    /// factor is no longer the one that is demanded, is not.
    pub(crate) fn are_of(&self, user: &User) -> bool {
        let current = UserCredentials::of(user);
        self.verified == current || self.next == current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(password: u128, totp: Option<u128>) -> User {
        let (password, totp) = (Some(Uuid::from_u128(password)), totp.map(Uuid::from_u128));
        User { password, totp, ..User::default() }
    }

    #[test]
    fn a_session_ends_with_each_change_that_it_did_not_make() {
        let verified = UserCredentials::of(&user(1, None));
        let signed_in = SessionCredentials { verified, next: verified };
        assert!(signed_in.are_of(&user(1, None)));
        for changed in [user(2, None), user(1, Some(3)), User::default()] {
            assert!(!signed_in.are_of(&changed), "{changed:?}");
        }
        let next = UserCredentials::of(&user(2, None));
        let changing = SessionCredentials { verified, next };
        // Before and after its own change, and not after another one.
        assert!(changing.are_of(&user(1, None)) && changing.are_of(&user(2, None)));
        assert!(!changing.are_of(&user(4, None)) && !changing.are_of(&user(2, Some(3))));
    }
}
