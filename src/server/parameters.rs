//! The parameters of a request: parts of the path, the query string, and JSON bodies.
//!
//! **Invariant:** an unknown name is refused. The known ones are those that the `OpenAPI` document
//! lists, so that the two never differ.

use std::collections::HashSet;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::response::ApiError;
use crate::error::ErrorKind;
use crate::suggest;

/// The one variable part of a path.
pub(super) struct PathParam(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        found.map(|path| Self(path.0)).map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// The parameters of a query string, checked.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query_members::<T>(parts.uri.query().unwrap_or_default())?;
        let found = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        found.map(|query| Self(query.0)).map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// No parameters.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Nothing {}

/// The parameters of a request that changes something: in the query string, as Pipedream has them,
/// or as a JSON object in the body, which wins.
pub(super) struct BodyOrQuery<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequest<S> for BodyOrQuery<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut members = query_members::<T>(request.uri().query().unwrap_or_default())?;
        let is_json = is_json(request.headers());
        let body = axum::body::Bytes::from_request(request, state).await;
        let body = body.map_err(|error| {
            ApiError::new(error.status(), ErrorKind::PayloadTooLarge, error.body_text())
        })?;
        if !body.is_empty() {
            members.extend(body_members::<T>(is_json, &body)?);
        }
        serde_json::from_value(Value::Object(members))
            .map(Self)
            .map_err(|error| ApiError::invalid(error.to_string()))
    }
}

/// The members of a JSON object in the body alone: what they hold is not for logs, which have URLs.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_query(request.uri().query().unwrap_or_default(), &[], &[])?;
        let BodyOrQuery(members) = BodyOrQuery::from_request(request, state).await?;
        Ok(Self(members))
    }
}

/// Returns the members of a query string, none unknown and none given twice.
fn query_members<T: IntoParams>(query: &str) -> Result<Map<String, Value>, ApiError> {
    let names = names_of::<T>();
    let known: Vec<_> = names.iter().map(String::as_str).collect();
    check_query(query, &known, &[])?;
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    Ok(pairs.map(|(name, value)| (name.into_owned(), Value::from(value))).collect())
}

fn body_members<T: IntoParams>(is_json: bool, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if !is_json {
        let message = "the body needs Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, ErrorKind::InvalidArgument, message));
    }
    let given: Option<Map<String, Value>> = serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("the body is no JSON object: {error}")))?;
    let given = given.unwrap_or_default();
    let names = names_of::<T>();
    let known: Vec<_> = names.iter().map(String::as_str).collect();
    match given.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ApiError::invalid(suggest::unknown("member", name, &known))),
        None => Ok(given),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
}

/// Returns the names that the `OpenAPI` document has for `T`.
fn names_of<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

/// Refuses names in a query string that are not `known`, and those given twice that are not in
/// `repeatable`.
pub(super) fn check_query(
    query: &str,
    known: &[&str],
    repeatable: &[&str],
) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&&*name) {
            return Err(ApiError::invalid(suggest::unknown("parameter", &name, known)));
        }
        if !repeatable.contains(&&*name) && !seen.insert(name.clone()) {
            return Err(ApiError::invalid(format!("{name}: is given twice")));
        }
    }
    Ok(())
}
