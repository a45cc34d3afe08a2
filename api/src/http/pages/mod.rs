//! Pages for people who sign in, and the flows by which they let programs sign in. They are plain forms, without scripts.

mod device;
mod form;
pub(super) mod html;
mod loopback;
mod password;
mod sign_in;
mod token;

use super::state::State;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

pub(super) use html::STYLE_ROUTE;

/// The handler of a route of this module; none of other routes.
pub(super) fn handler(path: &str) -> Option<MethodRouter<Arc<State>>> {
    match path {
        "/auth/sign-in" => Some(get(sign_in::show).post(sign_in::send)),
        "/auth/device" => Some(get(device::show).post(device::start)),
        "/auth/device/decision" => Some(post(device::decide)),
        "/auth/cli" => Some(get(loopback::show)),
        "/auth/cli/decision" => Some(post(loopback::decide)),
        "/auth/token" => Some(post(token::token)),
        "/auth/forgot-password" => Some(get(password::show_forgot).post(password::send_forgot)),
        "/auth/set-password" => Some(get(password::show_set).post(password::send_set)),
        "/auth/invitation" => Some(get(password::show_invitation).post(password::send_invitation)),
        STYLE_ROUTE => Some(get(html::style)),
        _ => None,
    }
}
