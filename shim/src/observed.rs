//! A request as its operator sees it: counted, timed, and written down in one line.

use std::time::Instant;

use apikey_http::peer::Peer;
use apikey_http::request_id::{RequestId, X_REQUEST_ID};
use apikey_http::response::Response;
use hyper::HeaderMap;
use tracing::info;

use crate::credentials;
use crate::log_target;
use crate::routes::App;

/// Ends by `answered`, or when it is dropped because the client has left.
pub struct Observed<'a> {
    app: &'a App,
    headers: &'a HeaderMap,
    peer: Peer,
    route: &'static str,
    method: &'static str,
    id: RequestId,
    started: Instant,
    is_answered: bool,
}

impl<'a> Observed<'a> {
    pub fn begin(
        app: &'a App,
        peer: Peer,
        route: &'static str,
        method: &'static str,
        headers: &'a HeaderMap,
    ) -> Self {
        app.metrics.begun();
        let id = RequestId::of(headers);
        let started = Instant::now();
        Self { app, headers, peer, route, method, id, started, is_answered: false }
    }

    pub fn answered(mut self, response: &mut Response) {
        self.is_answered = true;
        response.headers_mut().insert(X_REQUEST_ID, self.id.header());
        let status = response.status().as_u16();
        self.app.metrics.answered(self.route, self.method, status, self.started.elapsed());
        self.line(Some(status));
    }

    /// Never the path as it was sent, nor the method: somebody may have put a key into it.
    fn line(&self, status: Option<u16>) {
        if !tracing::enabled!(target: log_target::REQUEST, tracing::Level::INFO) {
            return;
        }
        let client = self.app.proxies.client(self.peer, self.headers);
        let prefix = self.app.key_header.key(self.headers).and_then(credentials::prefix);
        info!(
            target: log_target::REQUEST,
            request_id = self.id.as_str(),
            route = self.route,
            method = self.method,
            status,
            duration_ms = self.started.elapsed().as_micros() as f64 / 1000.0,
            client = client.map(tracing::field::display),
            peer = %self.peer,
            prefix,
            "{}", if status.is_some() { "answered" } else { "abandoned" },
        );
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.app.metrics.ended();
        if !self.is_answered {
            self.app.metrics.abandoned(self.route);
            self.line(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use apikey_http::response::no_content;

    use super::*;
    use crate::arguments::Arguments;
    use crate::settings::Settings;

    /// HTTP/2 can give up one request of many.
    #[tokio::test]
    async fn a_request_whose_client_leaves_is_abandoned() {
        let arguments = ["apikey-shim", "--database", "host=127.0.0.1"].map(Into::into);
        let app = Settings::new(Arguments::parse(arguments.into_iter()).unwrap()).unwrap().app;
        let headers = HeaderMap::new();
        let begin =
            || Observed::begin(&app, Peer::Address([127, 0, 0, 1].into()), "live", "GET", &headers);
        let text = || app.metrics.text(&app.database.usage(), 0, false).unwrap();
        let (left, answered) = (begin(), begin());
        assert!(text().contains("apikey_http_requests_in_flight 2\n"), "{}", text());
        drop(left);
        answered.answered(&mut no_content());
        for line in [
            "apikey_http_requests_abandoned_total{route=\"live\"} 1\n",
            "apikey_http_requests_total{route=\"live\",method=\"GET\",status=\"204\"} 1\n",
            "apikey_http_requests_in_flight 0\n",
        ] {
            assert!(text().contains(line), "{line} is not in {}", text());
        }
    }
}
