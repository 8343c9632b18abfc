//! JavaScript options of `s3` that become headers of requests, as policies of buckets require them.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::place::Place;
use super::s3::{EncryptionOptions, S3Options};
use crate::error::Result;

/// Tags that an object may have.
const MAX_TAGS: usize = 10;
/// Characters of a tag's key and of its value.
const MAX_TAG: (usize, usize) = (128, 256);
/// The access control lists that have a name.
const ACLS: [&str; 8] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

/// Returns the headers of every request.
pub(super) fn of_requests(options: &S3Options) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(owner) = &options.expected_bucket_owner {
        if owner.len() != 12 || !owner.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(place().refuse("expectedBucketOwner", "is not the 12 digits of an account"));
        }
        set(&mut headers, "x-amz-expected-bucket-owner", "expectedBucketOwner", owner)?;
    }
    if options.requester_pays.unwrap_or_default() {
        set(&mut headers, "x-amz-request-payer", "requesterPays", "requester")?;
    }
    Ok(headers)
}

/// Returns the headers of the requests that create objects.
pub(super) fn of_objects(options: &S3Options) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(encryption) = &options.encryption {
        encrypt(&mut headers, encryption)?;
    }
    if let Some(class) = &options.storage_class {
        let fine = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if class.is_empty() || class.len() > 64 || !class.bytes().all(fine) {
            let reason = format!("{class:?} is not a class like STANDARD_IA");
            return Err(place().refuse("storageClass", reason));
        }
        set(&mut headers, "x-amz-storage-class", "storageClass", class)?;
    }
    if let Some(acl) = &options.acl {
        if !ACLS.contains(&acl.as_str()) {
            let reason = format!("{acl:?} is not one of {}", ACLS.join(", "));
            return Err(place().refuse("acl", reason));
        }
        set(&mut headers, "x-amz-acl", "acl", acl)?;
    }
    if let Some(tags) = options.tags.as_ref().filter(|tags| !tags.is_empty()) {
        let too_long = |(key, value): (&String, &String)| {
            key.is_empty() || key.chars().count() > MAX_TAG.0 || value.chars().count() > MAX_TAG.1
        };
        if tags.len() > MAX_TAGS || tags.iter().any(too_long) {
            let reason = "an object has up to 10, with keys of 1 to 128 and values of up to 256 \
                          characters";
            return Err(place().refuse("tags", reason));
        }
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(tags).finish();
        // A space as it is read everywhere.
        set(&mut headers, "x-amz-tagging", "tags", &text.replace('+', "%20"))?;
    }
    Ok(headers)
}

fn place() -> Place {
    Place::open("s3")
}

fn encrypt(headers: &mut HeaderMap, encryption: &EncryptionOptions) -> Result<()> {
    let EncryptionOptions { r#type, kms_key_id, bucket_key } = encryption;
    let place = place();
    let of = r#type.as_deref().unwrap_or(if kms_key_id.is_some() { "aws:kms" } else { "AES256" });
    let is_kms = match of {
        "AES256" => false,
        "aws:kms" | "aws:kms:dsse" => true,
        _ => {
            let reason = "is not 'AES256', 'aws:kms' or 'aws:kms:dsse'";
            return Err(place.refuse("encryption.type", format!("{of:?} {reason}")));
        }
    };
    if !is_kms && (kms_key_id.is_some() || bucket_key.is_some()) {
        return Err(place.refuse("encryption", "kmsKeyId and bucketKey are for the types of KMS"));
    }
    set(headers, "x-amz-server-side-encryption", "encryption.type", of)?;
    if let Some(key) = kms_key_id {
        let header = "x-amz-server-side-encryption-aws-kms-key-id";
        if key.is_empty() {
            return Err(place.refuse("encryption.kmsKeyId", "must not be empty"));
        }
        set(headers, header, "encryption.kmsKeyId", key)?;
    }
    if let Some(on) = bucket_key {
        let header = "x-amz-server-side-encryption-bucket-key-enabled";
        set(headers, header, "encryption.bucketKey", if *on { "true" } else { "false" })?;
    }
    Ok(())
}

fn set(headers: &mut HeaderMap, name: &'static str, option: &str, value: &str) -> Result<()> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| place().refuse(option, "has characters that no header has"))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Result<String> {
        let options: S3Options = serde_json::from_str(text).unwrap();
        let mut all = of_requests(&options)?;
        all.extend(of_objects(&options)?);
        let mut all: Vec<_> = all
            .iter()
            .map(|(name, value)| format!("{}={}", &name.as_str()[6..], value.to_str().unwrap()))
            .collect();
        all.sort();
        Ok(all.join(" "))
    }

    #[test]
    fn options_become_headers() {
        for (text, expected) in [
            ("{}", ""),
            (r#"{"encryption":{}}"#, "server-side-encryption=AES256"),
            (
                r#"{"encryption":{"kmsKeyId":"k","bucketKey":true}}"#,
                "server-side-encryption-aws-kms-key-id=k \
                 server-side-encryption-bucket-key-enabled=true server-side-encryption=aws:kms",
            ),
            (r#"{"storageClass":"STANDARD_IA"}"#, "storage-class=STANDARD_IA"),
            (r#"{"tags":{"b":"x y+&","a":"é"}}"#, "tagging=a=%C3%A9&b=x%20y%2B%26"),
            (r#"{"acl":"bucket-owner-full-control"}"#, "acl=bucket-owner-full-control"),
            (
                r#"{"expectedBucketOwner":"111122223333","requesterPays":true}"#,
                "expected-bucket-owner=111122223333 request-payer=requester",
            ),
            (r#"{"requesterPays":false,"tags":{}}"#, ""),
        ] {
            assert_eq!(headers(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_no_bucket_takes_is_refused_by_its_path() {
        let many: Vec<_> = (0..11).map(|n| format!("\"k{n}\":\"v\"")).collect();
        let many = format!(r#"{{"tags":{{{}}}}}"#, many.join(","));
        for (text, expected) in [
            (r#"{"encryption":{"type":"x"}}"#, "s3.encryption.type: \"x\" is not"),
            (r#"{"encryption":{"type":"AES256","kmsKeyId":"k"}}"#, "s3.encryption: kmsKeyId and"),
            (r#"{"encryption":{"bucketKey":true}}"#, "s3.encryption: kmsKeyId and"),
            (r#"{"encryption":{"kmsKeyId":"a\nb"}}"#, "s3.encryption.kmsKeyId: has characters"),
            (r#"{"storageClass":"cold"}"#, "s3.storageClass: \"cold\" is not"),
            (r#"{"acl":"mine"}"#, "s3.acl: \"mine\" is not one of private"),
            (r#"{"expectedBucketOwner":"1"}"#, "s3.expectedBucketOwner: is not"),
            (r#"{"tags":{"":"x"}}"#, "s3.tags: an object has up to 10"),
            (&many, "s3.tags: an object has up to 10"),
        ] {
            let message = headers(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
