//! A request as its operator sees it: counted, timed, and written down in one line.

use std::net::IpAddr;
use std::time::Instant;

use apikey_http::peer::Peer;
use apikey_http::request_id::{RequestId, X_REQUEST_ID};
use apikey_http::response::Response;
use tracing::info;

use super::log_target;
use super::metrics::Metrics;

/// What the line says of a request: never its path as it was sent, nor its method, since somebody
/// may have put a key into either.
pub struct Request<'a> {
    pub id: RequestId,
    pub route: &'static str,
    pub method: &'static str,
    pub peer: Peer,
    pub client: Option<IpAddr>,
    pub prefix: Option<&'a str>,
}

/// Ends by `answered`, or when it is dropped because the client has left.
pub struct RequestLog<'a> {
    metrics: &'a Metrics,
    request: Request<'a>,
    started: Instant,
    is_answered: bool,
}

impl<'a> RequestLog<'a> {
    pub fn begin(metrics: &'a Metrics, request: Request<'a>) -> Self {
        metrics.begun();
        Self { metrics, request, started: Instant::now(), is_answered: false }
    }

    pub fn answered(mut self, response: &mut Response) {
        self.is_answered = true;
        let Request { id, route, method, .. } = &self.request;
        response.headers_mut().insert(X_REQUEST_ID, id.header());
        let status = response.status().as_u16();
        self.metrics.answered(route, method, status, self.started.elapsed());
        self.line(Some(status));
    }

    fn line(&self, status: Option<u16>) {
        let Request { id, route, method, peer, client, prefix } = &self.request;
        info!(
            target: log_target::REQUEST,
            request_id = id.as_str(),
            route,
            method,
            status,
            duration_ms = self.started.elapsed().as_micros() as f64 / 1000.0,
            client = client.map(tracing::field::display),
            %peer,
            prefix,
            "{}", if status.is_some() { "answered" } else { "abandoned" },
        );
    }
}

impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        self.metrics.ended();
        if !self.is_answered {
            self.metrics.abandoned(self.request.route);
            self.line(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use apikey_http::response::no_content;
    use hyper::HeaderMap;

    use super::*;
    use crate::keys::client::Usage;

    /// HTTP/2 can give up one request of many.
    #[test]
    fn a_request_whose_client_leaves_is_abandoned() {
        let metrics = Metrics::new(1, 1);
        let begin = || {
            let request = Request {
                id: RequestId::of(&HeaderMap::new()),
                route: "live",
                method: "GET",
                peer: Peer::Unknown,
                client: None,
                prefix: None,
            };
            RequestLog::begin(&metrics, request)
        };
        let text = || metrics.text(&Usage::default(), 0, false).unwrap_or_default();
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
