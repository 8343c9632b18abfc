//! Test calls by REST: one HTTP request, recorded and delivered as that of a step.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::parameters::JsonBody;
use super::response::{ApiError, CommonErrors, Data, Problem};
use super::state::Shared;
use crate::delivery::Kind;
use crate::engine::{Engine, Handover, Run};
use crate::error::Result;

/// The workflow and the step of test calls, and what they show as their trigger.
const WORKFLOW: &str = "try";
const STEP: &str = "call";
const TRIGGER: &str = "Inspector";
/// Headers that a test call may have.
const MAX_HEADERS: usize = 100;

/// A test call.
#[derive(Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestCall {
    /// The method.
    #[param(default = "GET")]
    method: Option<String>,
    /// The address, `http:` or `https:`. The rules of `egress` apply.
    url: String,
    /// The headers by name, 100 at most.
    #[param(value_type = Option<Object>)]
    headers: Option<Map<String, Value>>,
    /// The body: a text, or a value that is sent as JSON.
    #[param(value_type = Option<Object>)]
    data: Option<Value>,
}

/// The execution of a test call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeTestCall {
    execution_id: String,
}

/// Make a test call
///
/// Records one call of `$send.http` in an execution of the workflow `try`, which is delivered as any
/// other; `GET /v1/executions/{id}` shows the response. Only with `server.try`.
#[utoipa::path(
    post,
    path = "/v1/try",
    tag = "log",
    request_body = TestCall,
    responses(
        (status = 202, description = "The call is recorded", body = Data<MadeTestCall>),
        (status = 400, description = "A member is wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is not JSON", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn make(
    State(shared): State<Shared>,
    JsonBody(call): JsonBody<TestCall>,
) -> std::result::Result<(StatusCode, Json<Data<MadeTestCall>>), ApiError> {
    if !shared.allows_test_calls() {
        return Err(ApiError::forbidden(
            "test calls are not allowed: the operator allows them with server: { try: true }",
        ));
    }
    let text = call.checked()?;
    let execution_id = record(&shared.engine()?, text).await?;
    Ok((StatusCode::ACCEPTED, Json(Data { data: MadeTestCall { execution_id } })))
}

impl TestCall {
    /// Returns the argument of `$send.http`.
    fn checked(self) -> std::result::Result<Vec<u8>, ApiError> {
        let url = url::Url::parse(&self.url)
            .map_err(|error| ApiError::invalid(format!("url: {:?}: {error}", self.url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ApiError::invalid("url: must begin with http:// or https://"));
        }
        let method = self.method.unwrap_or_else(|| "GET".to_owned());
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(ApiError::invalid(format!("method: {method:?} is not an HTTP method")));
        }
        let headers = self.headers.unwrap_or_default();
        if headers.len() > MAX_HEADERS {
            return Err(ApiError::invalid(format!("headers: must be {MAX_HEADERS} or less")));
        }
        if let Some((name, _)) = headers.iter().find(|(_, value)| !value.is_string()) {
            return Err(ApiError::invalid(format!("headers.{name}: must be a text")));
        }
        let mut argument = json!({ "method": method, "url": self.url, "headers": headers });
        if let (Some(data), Some(members)) = (self.data, argument.as_object_mut()) {
            members.insert("data".to_owned(), data);
        }
        Ok(argument.to_string().into_bytes())
    }
}

/// Records a call in an execution of its own. Returns the id of that.
async fn record(engine: &std::sync::Arc<Engine>, text: Vec<u8>) -> Result<String> {
    let execution = engine.execution(Run {
        workflow_id: WORKFLOW.to_owned(),
        execution_id: None,
        attempt: 1,
        emit_depth: 0,
        trace: None,
        trigger: Some(TRIGGER.into()),
    })?;
    let step = execution.step(STEP)?;
    execution.record(Kind::Http, step, text, None)?;
    match execution.complete(None)? {
        Handover::Committed(_) => {}
        Handover::Committing(handed) => drop(handed.await?),
    }
    Ok(execution.log().info.execution_id.to_string())
}
