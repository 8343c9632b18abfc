//! The files of the AWS command line, `~/.aws/config` and `~/.aws/credentials`. Pure.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;

/// Settings by section: the name of a profile, or `sso-session NAME`.
#[derive(Debug, Default)]
pub(super) struct Profiles(HashMap<String, HashMap<String, String>>);

/// The keys, or the way to them, of one profile.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProfileKeys<'a> {
    /// Keys, and the token of a session.
    Keys { id: &'a str, secret: &'a str, token: Option<&'a str> },
    /// A role that is taken with the keys of another profile.
    Role { arn: &'a str, source: &'a str, session: Option<&'a str>, external_id: Option<&'a str> },
    /// A session of IAM Identity Center.
    Sso { cached_as: &'a str, region: &'a str, account: &'a str, role: &'a str },
    /// Something that is not supported, by the name of its setting.
    Unsupported(&'a str),
}

impl Profiles {
    /// Reads both files; a section in the latter adds to that of the former.
    pub(super) fn parse(config: &str, credentials: &str) -> Self {
        let mut profiles = Self::default();
        profiles.add(config);
        profiles.add(credentials);
        profiles
    }

    fn add(&mut self, text: &str) {
        let mut section: Option<&mut HashMap<String, String>> = None;
        for line in text.lines() {
            // An indented line belongs to a setting that has settings of its own.
            if line.starts_with([' ', '\t']) || line.trim_start().starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) =
                line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next())
            {
                let name = name.trim();
                let name = name.strip_prefix("profile ").unwrap_or(name).trim();
                section = Some(self.0.entry(name.to_owned()).or_default());
            } else if let (Some(section), Some((name, value))) =
                (&mut section, line.split_once('='))
            {
                section.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }

    /// Returns how a profile gets its keys; `None`: it does not exist, or has no keys.
    pub(super) fn find(&self, profile: &str) -> Option<ProfileKeys<'_>> {
        let section = self.0.get(profile)?;
        let get =
            |name: &str| section.get(name).map(String::as_str).filter(|text| !text.is_empty());
        if let (Some(arn), Some(source)) = (get("role_arn"), get("source_profile"))
            // A profile that names itself has the keys itself.
            && source != profile
        {
            let (session, external_id) = (get("role_session_name"), get("external_id"));
            return Some(ProfileKeys::Role { arn, source, session, external_id });
        }
        if let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
            return Some(ProfileKeys::Keys { id, secret, token: get("aws_session_token") });
        }
        if let (Some(account), Some(role)) = (get("sso_account_id"), get("sso_role_name")) {
            let session = get("sso_session");
            let shared = session.and_then(|name| self.0.get(&format!("sso-session {name}")));
            let region = shared.unwrap_or(section).get("sso_region")?;
            let cached_as = session.or_else(|| get("sso_start_url"))?;
            return Some(ProfileKeys::Sso { cached_as, region, account, role });
        }
        ["credential_process", "credential_source", "web_identity_token_file"]
            .into_iter()
            .find(|name| section.contains_key(*name))
            .map(ProfileKeys::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# my profiles
[default]
region = eu-west-1
s3 =
  max_concurrent_requests = 20
[profile writer]
role_arn = arn:aws:iam::1:role/w
source_profile = default
external_id=x y
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.com/start
[profile sso]
sso_session = corp
sso_account_id = 123
sso_role_name = Writer
[profile old]
sso_start_url = https://old.example/start
sso_region = eu-west-1
sso_account_id = 5
sso_role_name = R
[profile process]
credential_process = /bin/x
[profile bare]
region = x
";

    #[test]
    fn each_kind_of_profile_is_found() {
        let keys = "[default]\naws_access_key_id = AKID\r\naws_secret_access_key=s=1\n; x\n\
                    [session]\naws_access_key_id=A\naws_secret_access_key=B\naws_session_token=C\n";
        let profiles = Profiles::parse(CONFIG, keys);
        let keys = |id, secret, token| Some(ProfileKeys::Keys { id, secret, token });
        assert_eq!(profiles.find("default"), keys("AKID", "s=1", None));
        assert_eq!(profiles.find("session"), keys("A", "B", Some("C")));
        let role = ProfileKeys::Role {
            arn: "arn:aws:iam::1:role/w",
            source: "default",
            session: None,
            external_id: Some("x y"),
        };
        assert_eq!(profiles.find("writer"), Some(role));
        let sso = |cached_as, region, account, role| {
            Some(ProfileKeys::Sso { cached_as, region, account, role })
        };
        assert_eq!(profiles.find("sso"), sso("corp", "us-east-1", "123", "Writer"));
        let old = sso("https://old.example/start", "eu-west-1", "5", "R");
        assert_eq!(profiles.find("old"), old);
        assert_eq!(profiles.find("process"), Some(ProfileKeys::Unsupported("credential_process")));
        assert_eq!((profiles.find("bare"), profiles.find("none")), (None, None));
    }
}
