//! What a server's refusal means for a batch.

use super::wire::{Heard, Refusal};
use crate::destinations::{Failure, Verdict};
use crate::error::ErrorKind;

/// Codes of refusals that time mends although their status says otherwise: the service's own, the
/// clock's, and those of credentials that are renewed.
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
    // A bucket that was made a moment ago, and an upload that somebody cleared away.
    "TemporaryRedirect",
    "NoSuchUpload",
];

/// The verdict on an attempt that failed with `error`, from what was heard meanwhile.
pub(super) fn verdict(heard: Heard, error: &dyn std::error::Error) -> Verdict {
    if let Some(verdict) = heard.broken {
        return verdict;
    }
    if let Some(refusal) = heard.refusal {
        return refused(&refusal);
    }
    let message = if heard.requests == 0 {
        format!("no credentials for S3 could be had: {error}")
    } else {
        format!("the answer of S3 cannot be used: {error}")
    };
    Verdict::Retry { failure: Failure::new(ErrorKind::InvalidResponse, message), after: None }
}

fn refused(refusal: &Refusal) -> Verdict {
    let Refusal { status, text } = refusal;
    let code = element(text, "Code").unwrap_or_default();
    let said = element(text, "Message").unwrap_or_default();
    let hint = match code.as_str() {
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            ". The bucket is in another region: see s3.region"
        }
        "RequestTimeTooSkewed" => ". The clock of this machine is wrong",
        "AccessDenied" => ". The keys need s3:PutObject on the objects of the bucket",
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
    let transient = *status >= 500
        || matches!(status, 408 | 425 | 429)
        || TRANSIENT_CODES.contains(&code.as_str());
    if transient { Verdict::Retry { failure, after: None } } else { Verdict::Rejected(failure) }
}

/// The text of the first element of this name in an XML answer. Enough for the flat answers that
/// are read here; anything odd in it is shown, not interpreted.
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
        refused(&Refusal { status, text })
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
        ] {
            assert_eq!(matches!(of(status, code), Verdict::Retry { .. }), transient, "{code}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_server_said_and_what_to_do() {
        let Verdict::Rejected(failure) = of(403, "AccessDenied") else { panic!("it is final") };
        let expected = "S3 answered 403 AccessDenied: a & b. The keys need s3:PutObject on the \
                        objects of the bucket";
        assert_eq!((failure.message.as_str(), failure.status), (expected, Some(403)));
        let empty = refused(&Refusal { status: 418, text: String::new() });
        assert!(matches!(empty, Verdict::Rejected(f) if f.message == "S3 answered 418"));
    }
}
