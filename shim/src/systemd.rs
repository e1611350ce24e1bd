//! Telling the service manager how far we are (sd_notify(3)); nobody listens unless it is systemd
//! or the like.

use apikey_http::log_target;
use sd_notify::NotifyState;
use tracing::debug;

pub fn ready() {
    tell(&[NotifyState::Ready]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(target: log_target::SERVER, %error, "cannot tell the service manager");
    }
}
