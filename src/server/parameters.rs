//! The parameters of a request: parts of the path, the query string, and JSON bodies.
//!
//! **Invariant:** an unknown name is refused. The known ones are those that are read.

use std::collections::HashSet;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::value::Error as NothingToRead;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

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

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        query_members::<T>(parts.uri.query().unwrap_or_default())?;
        let found = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        found.map(|query| Self(query.0)).map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// No parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// The parameters of a request that changes something: in the query string, as Pipedream has them,
/// or as a JSON object in the body, which wins.
pub(super) struct BodyOrQuery<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for BodyOrQuery<T> {
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

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_query(request.uri().query().unwrap_or_default(), &[], &[])?;
        let BodyOrQuery(members) = BodyOrQuery::from_request(request, state).await?;
        Ok(Self(members))
    }
}

/// Returns the members of a query string, none unknown and none given twice.
fn query_members<T: DeserializeOwned>(query: &str) -> Result<Map<String, Value>, ApiError> {
    check_query(query, names_of::<T>(), &[])?;
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    Ok(pairs.map(|(name, value)| (name.into_owned(), Value::from(value))).collect())
}

fn body_members<T: DeserializeOwned>(
    is_json: bool,
    body: &[u8],
) -> Result<Map<String, Value>, ApiError> {
    if !is_json {
        let message = "the body needs Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, ErrorKind::InvalidArgument, message));
    }
    let given: Option<Map<String, Value>> = serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("the body is no JSON object: {error}")))?;
    let given = given.unwrap_or_default();
    let known = names_of::<T>();
    match given.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ApiError::invalid(suggest::unknown("member", name, known))),
        None => Ok(given),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
}

/// Returns the names of the members that `T` reads.
fn names_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It ends with an error: there is nothing to read.
    let _ = T::deserialize(Names(&mut names));
    names
}

/// A deserializer that takes note of the names of a structure.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = NothingToRead;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NothingToRead> {
        *self.0 = fields;
        Err(NothingToRead::custom(""))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NothingToRead> {
        Err(NothingToRead::custom(""))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
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
