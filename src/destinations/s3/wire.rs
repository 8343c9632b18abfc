//! How requests of the S3 client reach the network: through the door, as everything else does.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use url::Url;

use crate::destinations::http::broken;
use crate::destinations::{Failure, Phase, Verdict};
use crate::egress::{Door, Place, Progress};
use crate::error::ErrorKind;

/// Bytes of an answer that are read: the service's answers to what is asked here are short.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What was last heard of a server.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Requests that were sent.
    pub requests: usize,
    /// Why there was no answer.
    pub broken: Option<Verdict>,
    /// The answer, if it was a refusal.
    pub refusal: Option<Refusal>,
}

/// A server's answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    pub text: String,
}

/// Who decides where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A step has a say in it (the bucket): the egress policy applies.
    Step,
    /// The operator alone, such as for credentials, which come from addresses that no step may
    /// reach.
    Operator,
}

/// The way to the network, and what came back over it. Clones are the same.
#[derive(Clone)]
pub(super) struct Wire {
    client: reqwest::Client,
    door: Door,
    asker: Asker,
    heard: Arc<Mutex<Heard>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(client: reqwest::Client, door: Door, asker: Asker) -> Self {
        Self { client, door, asker, heard: Arc::default() }
    }

    /// What was heard since the last time this was asked.
    pub(super) fn take_heard(&self) -> Heard {
        std::mem::take(&mut *self.heard())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Verdict> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| {
            let message = format!("the URL of the bucket does not parse: {error}");
            Verdict::Rejected(Failure::new(ErrorKind::InvalidUrl, message))
        })?;
        if self.asker == Asker::Step {
            self.door.admit(&url).await.map_err(|failure| match failure.kind {
                ErrorKind::Dns => Verdict::Retry { failure, after: None },
                _ => Verdict::Rejected(failure),
            })?;
        }
        self.heard().requests += 1;
        let place = Place::of(&url, &self.door);
        let broken = |error: &(dyn StdError + 'static), phase| broken(error, phase, &place);
        let body = body.collect().await.map_err(|error| broken(&error, Phase::Request))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.to_bytes().into());
        let progress = Progress::new();
        let answer = progress.scope(self.client.execute(request)).await;
        let answer = answer.map_err(|error| broken(&error.without_url(), progress.phase()))?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| broken(error.as_ref(), Phase::Body))?.to_bytes();
        self.heard().refusal = (!parts.status.is_success()).then(|| Refusal {
            status: parts.status.as_u16(),
            text: String::from_utf8_lossy(&body).into_owned(),
        });
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.send(request).await {
            Ok(response) => Ok(response),
            Err(verdict) => {
                self.heard().broken = Some(verdict);
                // Why is in what was heard; this keeps the client from trying again by itself.
                let why = std::io::Error::other("there was no answer");
                Err(HttpError::new(HttpErrorKind::Unknown, why))
            }
        }
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
