//! Signatures of webhooks, after Standard Webhooks: an HMAC-SHA-256 of the message's id, the time of
//! the attempt and the body.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};

use super::request::Prepared;
use crate::observability::time::Timestamp;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs a request that has a `webhook-id`.
pub(super) fn sign(prepared: &mut Prepared, secret: &str, at: Timestamp) {
    let id = prepared.headers.get(ID).cloned();
    let Some(id) = id.as_ref().and_then(|id| id.to_str().ok()) else { return };
    let seconds = at.as_millis() / 1000;
    let body = prepared.body.as_deref().unwrap_or_default();
    let Some(signature) = signature(secret, id, seconds, body) else { return };
    if let Ok(value) = HeaderValue::from_str(&signature) {
        prepared.headers.insert(TIMESTAMP, seconds.into());
        prepared.headers.insert(SIGNATURE, value);
    }
}

fn signature(secret: &str, id: &str, seconds: u64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut context = hmac::Context::with_key(&Key::new(HMAC_SHA256, &key));
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks specification and its libraries.
        let signature = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        assert!(signature("secret", "msg_1", 1, b"").is_none());
        assert!(signature("whsec_!", "msg_1", 1, b"").is_none());
    }
}
