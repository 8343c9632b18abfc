//! Tests of the gateway: tables over the policy, and real connections on 127.0.0.1.
//!
//! Public addresses cannot be contacted from a test. Where something must connect, `127.0.0.0/8`
//! is allowed, and `127.0.0.2`, which is denied, plays the private network.

mod connections;
mod lookups;
mod phases;
mod policies;
mod proxies;
mod ranges;
mod servers;
mod spellings;
mod trust;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use url::Url;

use super::{Egress, Lookup, Options, Policy, lookup::Looking, policy_failure_in};
use crate::delivery::Failure;

/// Returns a policy from `allow` and `deny`.
fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy::new(&options(allow, deny)).unwrap()
}

fn options(allow: &[&str], deny: &[&str]) -> Options {
    Options { allow: owned(allow), deny: owned(deny), ..Options::default() }
}

fn owned(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|&entry| entry.to_owned()).collect()
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A name server that returns these results in order, and repeats the last one.
struct Answers {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| ip(text)).collect());
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Lookup for Answers {
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "no such host is known")),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().unwrap()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Returns a gateway for which 127.0.0.1 is public and 127.0.0.2 is not.
fn egress(lookup: Arc<dyn Lookup>) -> Egress {
    Egress::new(policy(&["127.0.0.0/8"], &["127.0.0.2"]), lookup)
}

/// Returns the body of a GET that a destination makes, or the failure of the gateway.
async fn get(egress: &Egress, client: &reqwest::Client, url: &Url) -> Result<String, Failure> {
    egress.check_url(url).await?;
    match client.get(url.clone()).send().await {
        Ok(response) => Ok(response.text().await.unwrap()),
        Err(error) => {
            Err(policy_failure_in(&error).unwrap_or_else(|| panic!("not ours: {error:?}")))
        }
    }
}
