//! Signatures of webhooks, after Standard Webhooks: an HMAC-SHA-256 of the message's id, the time of
//! the attempt and the body, one for each secret that is valid.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};

use super::request::Prepared;
use crate::time::Timestamp;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs a request that has a `webhook-id` with these secrets, which are separated by spaces, as the
/// signatures are.
pub(super) fn sign(prepared: &mut Prepared, secrets: &str, at: Timestamp) {
    let id = prepared.headers.get(ID).cloned();
    let Some(id) = id.as_ref().and_then(|id| id.to_str().ok()) else { return };
    let seconds = at.as_millis() / 1000;
    let body = prepared.body.as_deref().unwrap_or_default();
    let signatures = secrets.split(' ').filter_map(|secret| signature(secret, id, seconds, body));
    let signatures = signatures.collect::<Vec<_>>().join(" ");
    if signatures.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&signatures) {
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
    use crate::delivery::Payload;
    use crate::destinations::http::request::Defaults;
    use crate::destinations::http::retry::Retries;
    use crate::destinations::http::tests::prepare;
    use crate::egress::HeaderCase;

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
    fn every_secret_signs_in_its_order() {
        let text = br#"{"method":"POST","url":"http://a/","headers":{"webhook-id":"msg_1"}}"#;
        let payload = Payload::from_text(&text[..]);
        let defaults = Defaults {
            user_agent: HeaderValue::from_static("x"),
            retries: Retries::default(),
            header_case: HeaderCase::Lower,
        };
        let at = Timestamp::from_millis(1_614_265_330_000);
        let signed = |secrets: &str| {
            let mut prepared = prepare(&payload, &defaults).unwrap();
            sign(&mut prepared, secrets, at);
            let value = prepared.headers.get(SIGNATURE)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (new, old) =
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let (of_new, of_old) = (signed(new).unwrap(), signed(old).unwrap());
        assert_ne!(of_new, of_old);
        assert_eq!(signed(&format!("{new} {old}")), Some(format!("{of_new} {of_old}")));
        assert_eq!(signed(""), None);
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        assert!(signature("secret", "msg_1", 1, b"").is_none());
        assert!(signature("whsec_!", "msg_1", 1, b"").is_none());
    }
}
