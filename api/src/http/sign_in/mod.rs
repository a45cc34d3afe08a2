//! Signing in and out, over HTTP with JSON: `/auth/…`. Programs get tokens in the body of the answer, and web pages get them
//! in cookies that scripts cannot read.

mod account;
pub(super) mod answer;
pub(super) mod body;
pub(super) mod cookies;
mod keys;
mod login;
mod page;
mod provider;
mod registration;

pub(super) use account::{change_password, confirm_totp, disable_totp, session, start_totp};
pub(super) use keys::{JWKS_ROUTE, jwks};
pub(super) use login::{login, logout, refresh, second_factor_of_form};
pub(super) use provider::{callback, providers, start, start_named};
pub(super) use registration::{register, request_reset, reset_password};
