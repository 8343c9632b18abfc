//! Reads the response of a service, bounded in size.

use std::error::Error as StdError;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::delivery::Failure;
use crate::error::ErrorKind;

/// The number of bytes that are read of an error response: its beginning has the reason.
const REFUSAL_BYTES: usize = 64 << 10;

/// Reads the body of a response with this status. Of an error response it returns the beginning.
///
/// # Errors
/// Those of the connection, and a boxed [`Failure`] for a success of more than `limit` bytes.
pub(super) async fn read_response<B>(
    status: StatusCode,
    body: B,
    limit: usize,
) -> Result<Bytes, Box<dyn StdError + Send + Sync>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let is_success = status.is_success();
    let limit = if is_success { limit } else { REFUSAL_BYTES };
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) if is_success => return Err(error.into()),
            Err(_) => break,
        };
        let room = limit - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            if is_success {
                let message = format!("the response has more than {} MB", limit >> 20);
                return Err(Box::new(Failure::new(ErrorKind::InvalidResponse, message)));
            }
            break;
        }
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    const MB: usize = 1 << 20;

    #[tokio::test]
    async fn a_success_is_read_whole_or_not_at_all() {
        let body = |length| Full::new(Bytes::from(vec![b'x'; length]));
        let read = read_response(StatusCode::OK, body(MB), MB).await.unwrap();
        assert_eq!(read.len(), MB);
        let error = read_response(StatusCode::OK, body(MB + 1), MB).await.unwrap_err();
        assert_eq!(error.to_string(), "the response has more than 1 MB");
    }

    #[tokio::test]
    async fn the_beginning_of_a_refusal_is_enough() {
        let body = Full::new(Bytes::from(vec![b'x'; 2 * MB]));
        let read = read_response(StatusCode::BAD_REQUEST, body, MB).await.unwrap();
        assert_eq!(read.len(), REFUSAL_BYTES);
    }
}
