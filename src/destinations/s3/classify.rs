//! Classification of a server's error response for a batch.

use super::credentials::{CredentialError, own_error};
use super::wire::{LastResponse, S3Error};
use crate::delivery::{Failure, Verdict};
use crate::error::ErrorKind;

/// Error codes that are transient although their status is not: codes of the service, of clock
/// skew, and of credentials that are renewed.
const TRANSIENT_CODES: [&str; 12] = [
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "OperationAborted",
    "ExpiredToken",
    "TokenRefreshRequired",
    "BadDigest",
    "IncompleteBody",
    // A bucket that was just created, and an upload that was removed by another client.
    "TemporaryRedirect",
    "NoSuchUpload",
];

/// Codes of refusals of credentials that may be replaced where they come from.
const STALE_CODES: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "InvalidToken",
    "InvalidAccessKeyId",
];

/// Returns the verdict on an attempt that failed with `error`, from its last response.
pub(super) fn verdict(last: LastResponse, error: &(dyn std::error::Error + 'static)) -> Verdict {
    if let Some(error) = own_error(error) {
        let failure = Failure::new(ErrorKind::NotConfigured, error.to_string());
        return match error {
            CredentialError::Missing(_) => Verdict::Retry { failure, after: None },
            CredentialError::Denied(_) => Verdict::Rejected(failure),
        };
    }
    if let Some(verdict) = last.failure {
        return verdict;
    }
    if let Some(refusal) = last.refusal {
        return refused(&refusal);
    }
    let message = format!("the response of S3 cannot be used: {error}");
    let failure = Failure::new(ErrorKind::InvalidResponse, message);
    // A retry of an operation that succeeded gets the same response.
    if last.succeeded {
        Verdict::Rejected(failure)
    } else {
        Verdict::Retry { failure, after: None }
    }
}

/// A reason for which another attempt at once may succeed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The bucket is in another region, which may be named.
    Region(Option<String>),
    /// The credentials have to be read again.
    Credentials,
}

/// Returns what would mend a refusal.
pub(super) fn remedy(refusal: &S3Error) -> Option<Remedy> {
    let code = element(&refusal.text, "Code").unwrap_or_default();
    if STALE_CODES.contains(&code.as_str()) {
        return Some(Remedy::Credentials);
    }
    let is_elsewhere = matches!(refusal.status, 301 | 308)
        || matches!(
            code.as_str(),
            "PermanentRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        );
    is_elsewhere.then(|| Remedy::Region(refusal.region.clone()))
}

fn refused(refusal: &S3Error) -> Verdict {
    let S3Error { status, text, .. } = refusal;
    let code = element(text, "Code").unwrap_or_default();
    let said = element(text, "Message").unwrap_or_default();
    let hint = match code.as_str() {
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            ". The bucket is in another region: see s3.region"
        }
        "RequestTimeTooSkewed" => ". The clock of this machine is wrong",
        "AccessDenied" => {
            ". The keys need s3:PutObject on the objects of the bucket. If they have it, the bucket's \
             policy may ask for s3.encryption, s3.acl, s3.tags, s3.storageClass or \
             s3.expectedBucketOwner"
        }
        "InvalidRequest" if said.contains("checksum") || said.contains("Content-MD5") => {
            ". Set s3.checksum"
        }
        "NotImplemented" => ". The service does not know something that the options of s3 ask for",
        _ => "",
    };
    let mut message = format!("S3 answered {status}");
    for (before, part) in [(" ", &code), (": ", &said)] {
        if !part.is_empty() {
            message.push_str(before);
            message.push_str(part);
        }
    }
    message.push_str(hint);
    let failure = Failure::new(ErrorKind::Status, message).with_status(*status);
    let transient = matches!(status, 500..|408| 425 | 429) && !matches!(status, 501 | 505)
        || TRANSIENT_CODES.contains(&code.as_str());
    if transient { Verdict::Retry { failure, after: None } } else { Verdict::Rejected(failure) }
}

/// Returns the text of the first element of this name in an XML response. Sufficient for the flat
/// responses that are read here; unusual content is shown, not interpreted.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(2000).collect();
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str) -> Verdict {
        let text = format!("<Error><Code>{code}</Code><Message>a &amp; b</Message></Error>");
        refused(&S3Error { status, text, region: None })
    }

    #[test]
    fn what_time_mends_is_tried_again_and_nothing_else_is() {
        for (status, code, transient) in [
            (500, "InternalError", true),
            (503, "SlowDown", true),
            (429, "", true),
            (400, "RequestTimeout", true),
            (403, "RequestTimeTooSkewed", true),
            (400, "ExpiredToken", true),
            (307, "TemporaryRedirect", true),
            (404, "NoSuchUpload", true),
            (403, "AccessDenied", false),
            (403, "InvalidAccessKeyId", false),
            (404, "NoSuchBucket", false),
            (301, "PermanentRedirect", false),
            (400, "InvalidArgument", false),
            (501, "NotImplemented", false),
            (505, "", false),
        ] {
            assert_eq!(matches!(of(status, code), Verdict::Retry { .. }), transient, "{code}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_server_said_and_what_to_do() {
        let Verdict::Rejected(failure) = of(403, "AccessDenied") else { panic!("it is final") };
        let expected = "S3 answered 403 AccessDenied: a & b. The keys need s3:PutObject on the \
                        objects of the bucket. If they have it, ";
        assert!(failure.message.starts_with(expected), "{}", failure.message);
        assert_eq!(failure.status, Some(403));
        let empty = refused(&S3Error { status: 418, text: String::new(), region: None });
        assert!(matches!(empty, Verdict::Rejected(f) if f.message == "S3 answered 418"));
    }

    #[test]
    fn a_bucket_elsewhere_and_stale_credentials_have_a_remedy() {
        let remedy = |status, code: &str, region: Option<&str>| {
            let text = format!("<Error><Code>{code}</Code></Error>");
            remedy(&S3Error { status, text, region: region.map(str::to_owned) })
        };
        let region = |name: Option<&str>| Some(Remedy::Region(name.map(str::to_owned)));
        assert_eq!(remedy(301, "", Some("eu-west-1")), region(Some("eu-west-1")));
        assert_eq!(remedy(400, "AuthorizationHeaderMalformed", None), region(None));
        assert_eq!(remedy(400, "ExpiredToken", None), Some(Remedy::Credentials));
        assert_eq!(remedy(403, "InvalidAccessKeyId", None), Some(Remedy::Credentials));
        assert_eq!(remedy(403, "AccessDenied", Some("eu-west-1")), None);
    }
}
