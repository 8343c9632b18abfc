//! Who asks: the operator's keys, the environment's, or a role that is taken with them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, header};
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest};
use tokio::sync::Mutex;

use super::classify::element;
use super::client::client_error;
use super::config::{Address, AssumeRole, Keys, Service};
use super::wire::Wire;

/// So long before its end a session is renewed.
const AHEAD: Duration = Duration::from_secs(300);

/// The credentials of a service, which are had when they are needed.
pub(super) fn provider(
    service: &Service,
    wire: &Wire,
) -> object_store::Result<AwsCredentialProvider> {
    let region = match &service.address {
        Address::Amazon(region) => region.as_deref().unwrap_or("us-east-1"),
        Address::Endpoint { region, .. } => region,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name("none")
        .with_region(region)
        .with_http_connector(wire.clone());
    match &service.keys {
        Keys::Given { access_key_id, secret_access_key, session_token } => {
            builder =
                builder.with_access_key_id(access_key_id).with_secret_access_key(secret_access_key);
            if let Some(token) = session_token {
                builder = builder.with_token(token);
            }
        }
        Keys::Environment(variables) => {
            for (name, value) in variables {
                builder = builder.with_config(name.parse()?, value);
            }
        }
    }
    let own = Arc::clone(builder.build()?.credentials());
    let Some(role) = &service.assume_role else { return Ok(own) };
    let endpoint = role.endpoint.clone();
    Ok(Arc::new(Role {
        endpoint: endpoint.unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com")),
        region: region.to_owned(),
        asked: role.clone(),
        own,
        client: HttpClient::new(wire.clone()),
        session: Mutex::new(None),
    }))
}

/// A session of a role (AWS Security Token Service, `AssumeRole`).
#[derive(Debug)]
struct Role {
    asked: AssumeRole,
    endpoint: String,
    region: String,
    own: AwsCredentialProvider,
    client: HttpClient,
    session: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

#[async_trait]
impl CredentialProvider for Role {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut session = self.session.lock().await;
        if let Some((credential, until)) = &*session
            && SystemTime::now() + AHEAD < *until
        {
            return Ok(Arc::clone(credential));
        }
        let (credential, until) = self.take_role().await?;
        *session = Some((Arc::clone(&credential), until));
        Ok(credential)
    }
}

impl Role {
    async fn take_role(&self) -> object_store::Result<(Arc<AwsCredential>, SystemTime)> {
        let own = self.own.get_credential().await?;
        let mut request = self.request()?;
        AwsAuthorizer::new(&own, "sts", &self.region).try_authorize(&mut request, None)?;
        let answer = self.client.execute(request).await;
        let answer = answer.map_err(|error| client_error(error.to_string()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await;
        let body = body.map_err(|error| client_error(error.to_string()))?;
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            let code = element(&text, "Code").unwrap_or_default();
            let said = element(&text, "Message").unwrap_or_default();
            let status = status.as_u16();
            let arn = &self.asked.role_arn;
            let message = format!("the role {arn} was not given: {status} {code}: {said}");
            return Err(client_error(message));
        }
        let part = |name| {
            element(&text, name).ok_or_else(|| client_error(format!("the session has no {name}")))
        };
        let until = part("Expiration")?;
        let until: DateTime<Utc> = until
            .parse()
            .map_err(|error| client_error(format!("the session's end is not a time: {error}")))?;
        let credential = AwsCredential {
            key_id: part("AccessKeyId")?,
            secret_key: part("SecretAccessKey")?,
            token: Some(part("SessionToken")?),
        };
        Ok((Arc::new(credential), until.into()))
    }

    fn request(&self) -> object_store::Result<HttpRequest> {
        let AssumeRole { role_arn, session_name, external_id, .. } = &self.asked;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", role_arn)
            .append_pair("RoleSessionName", session_name);
        if let Some(id) = external_id {
            form.append_pair("ExternalId", id);
        }
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form.finish()).into())
            .map_err(|error| client_error(format!("s3.assumeRole.endpoint: {error}")))
    }
}
