//! The transport of the S3 client: its requests go through the egress gateway, like all others.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use url::Url;

use super::classify::element;
use crate::delivery::{Failure, Phase, Verdict};
use crate::destinations::http::classify_transport_error;
use crate::destinations::response::read_response;
use crate::egress::{Client, Egress, Names, NetworkPlace, Progress, RequestParts};
use crate::error::ErrorKind;

/// The maximum size of a response in bytes: all responses that are read here are short.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Deadline of a request for credentials.
const CREDENTIALS: Duration = Duration::from_secs(5);

static ACCEPTED: (HeaderName, HeaderValue) = (ACCEPT, HeaderValue::from_static("*/*"));

/// The last response of a server.
#[derive(Debug, Default)]
pub(super) struct LastResponse {
    /// Requests that were sent.
    pub requests: usize,
    /// The failure without a response.
    pub failure: Option<Verdict>,
    /// The response, if it was an error.
    pub refusal: Option<S3Error>,
    /// True if the last response was a success.
    pub succeeded: bool,
}

/// A response that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct S3Error {
    pub status: u16,
    pub text: String,
    /// The region that it names.
    pub region: Option<String>,
}

impl LastResponse {
    /// Returns a readable reason of the failure.
    pub(super) fn reason(self) -> Option<String> {
        if let Some(refusal) = self.refusal {
            return Some(format!("the response was {}", refusal.status));
        }
        match self.failure? {
            Verdict::Retry { failure, .. } | Verdict::Rejected(failure) => Some(failure.message),
            Verdict::Delivered | Verdict::Later { .. } => None,
        }
    }
}

/// The origin of a request's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestOrigin {
    /// A step controls a part of it (the bucket): the egress policy applies.
    Step,
    /// The operator alone, such as for credentials, which come from addresses that no step may
    /// reach.
    Operator,
}

/// The way to the network, and what came back over it. Clones are the same.
#[derive(Clone)]
pub(super) struct S3Transport {
    client: Client,
    egress: Egress,
    asker: RequestOrigin,
    last: Arc<Mutex<LastResponse>>,
}

impl fmt::Debug for S3Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl S3Transport {
    pub(super) fn new(client: Client, egress: Egress, asker: RequestOrigin) -> Self {
        Self { client, egress, asker, last: Arc::default() }
    }

    /// Takes the last response since the previous call.
    pub(super) fn take_last_response(&self) -> LastResponse {
        std::mem::take(&mut *self.last())
    }

    /// Restores a response that was taken.
    pub(super) fn put_back(&self, last: LastResponse) {
        *self.last() = last;
    }

    /// Returns whether the last response was a success.
    pub(super) fn has_succeeded(&self) -> bool {
        self.last().succeeded
    }

    fn last(&self) -> MutexGuard<'_, LastResponse> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Verdict> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| {
            let message = format!("the URL of the bucket does not parse: {error}");
            Verdict::Rejected(Failure::new(ErrorKind::InvalidUrl, message))
        })?;
        if self.asker == RequestOrigin::Step {
            self.egress.check_url(&url).await.map_err(|failure| match failure.kind {
                ErrorKind::Dns => Verdict::Retry { failure, after: None },
                _ => Verdict::Rejected(failure),
            })?;
        }
        self.last().requests += 1;
        let place = NetworkPlace::of(&url, &self.egress);
        let failed = |error: &(dyn StdError + 'static), phase| {
            classify_transport_error(error, phase, &place)
        };
        let body = body.collect().await.map_err(|error| failed(&error, Phase::Request))?;
        let outgoing = RequestParts {
            method: &parts.method,
            url: &url,
            headers: &parts.headers,
            names: &Names::default(),
            default_header: &ACCEPTED,
            body: Some(&body.to_bytes()),
        };
        let progress = Progress::new();
        let answer = progress.scope(self.client.send(outgoing)).await;
        let answer = answer.map_err(|error| failed(error.as_ref(), progress.phase()))?;
        let (parts, body) = answer.into_parts();
        let body = read_response(parts.status, body, MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| failed(error.as_ref(), Phase::Body))?;
        let refusal = (!parts.status.is_success()).then(|| {
            let text = String::from_utf8_lossy(&body).into_owned();
            let region = region_in(&parts.headers).or_else(|| region(&element(&text, "Region")?));
            S3Error { status: parts.status.as_u16(), text, region }
        });
        let mut last = self.last();
        last.succeeded = refusal.is_none();
        last.refusal = refusal;
        drop(last);
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

/// Returns the region that a response about a bucket names, also an error or a redirect.
pub(super) fn region_in(headers: &HeaderMap) -> Option<String> {
    region(headers.get("x-amz-bucket-region")?.to_str().ok()?)
}

/// Returns the name of a region if it may become a part of a host name.
fn region(name: &str) -> Option<String> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_name && !name.is_empty() && name.len() <= 63).then(|| name.to_owned())
}

#[async_trait]
impl HttpService for S3Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let limit = match self.asker {
            // The attempt has a deadline of its own.
            RequestOrigin::Step => Duration::MAX,
            RequestOrigin::Operator => CREDENTIALS,
        };
        let sent = tokio::time::timeout(limit, self.send(request)).await.unwrap_or_else(|_| {
            let message = format!("there was no response within {} s", CREDENTIALS.as_secs());
            let failure = Failure::new(ErrorKind::Timeout, message);
            Err(Verdict::Retry { failure, after: None })
        });
        match sent {
            Ok(response) => Ok(response),
            Err(verdict) => {
                let why = match &verdict {
                    Verdict::Retry { failure, .. } | Verdict::Rejected(failure) => {
                        failure.message.as_str()
                    }
                    Verdict::Delivered | Verdict::Later { .. } => "there was no response",
                };
                // This kind keeps the client from trying again by itself.
                let why = std::io::Error::other(why.to_owned());
                self.last().failure = Some(verdict);
                Err(HttpError::new(HttpErrorKind::Unknown, why))
            }
        }
    }
}

impl HttpConnector for S3Transport {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
