//! The rate limits of a request: of its host, and of the workflow that made the call.

use std::cmp::Reverse;
use std::time::Duration;

use url::Url;

use super::target::origin_of;
use crate::delivery::{Rate, RateKey};
use crate::egress::HostPattern;
use crate::pattern;

/// The limits of an engine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates {
    per_host: Option<Rate>,
    /// Those of single hosts, of which the first match counts.
    hosts: Vec<(HostPattern, String, Rate)>,
    per_workflow: Option<Rate>,
    /// Those of single workflows, of which the first match counts.
    workflows: Vec<(String, Rate)>,
}

impl Rates {
    /// Returns the limits of each host and workflow, and of single ones. `Err`: the path of the invalid
    /// member, and the reason.
    pub fn new(
        (per_host, per_workflow): (Option<Rate>, Option<Rate>),
        mut hosts: Vec<(String, Rate)>,
        mut workflows: Vec<(String, Rate)>,
    ) -> Result<Self, String> {
        // A longer pattern says more: `api.example.com` comes before `*.example.com`.
        hosts.sort_by_key(|(host, _)| (host.starts_with('*'), Reverse(host.len())));
        workflows.sort_by_key(|(id, _)| (id.contains('*'), Reverse(pattern::weight(id))));
        let hosts = hosts.into_iter().map(|(host, rate)| {
            let pattern = HostPattern::parse(&host)
                .ok_or_else(|| format!("hosts: {host:?} is neither a host name nor an address"))?;
            Ok((pattern, host, rate))
        });
        let hosts = hosts.collect::<Result<_, String>>()?;
        Ok(Self { per_host, hosts, per_workflow, workflows })
    }

    /// Returns `true` if there is no limit.
    pub(super) const fn is_empty(&self) -> bool {
        self.per_host.is_none()
            && self.hosts.is_empty()
            && self.per_workflow.is_none()
            && self.workflows.is_empty()
    }

    /// Returns the longest period.
    pub(super) fn longest_period(&self) -> Duration {
        let hosts = self.hosts.iter().map(|(_, _, rate)| rate);
        let workflows = self.workflows.iter().map(|(_, rate)| rate);
        let all = self.per_host.iter().chain(&self.per_workflow).chain(hosts).chain(workflows);
        all.map(|rate| rate.period).max().unwrap_or_default()
    }

    /// Returns the limits that apply to a request of a workflow.
    pub(super) fn keys(&self, url: &Url, workflow_id: &str) -> Vec<RateKey> {
        let of_host = self.of_host(url).map(|(rate, option)| RateKey {
            key: format!("host {}", origin_of(url)),
            rate,
            option,
        });
        let of_workflow = self.of_workflow(workflow_id).map(|(rate, option)| RateKey {
            key: format!("workflow {workflow_id}"),
            rate,
            option,
        });
        of_host.into_iter().chain(of_workflow).collect()
    }

    fn of_host(&self, url: &Url) -> Option<(Rate, String)> {
        let host = url.host()?;
        let own = self.hosts.iter().find(|(pattern, _, _)| pattern.is_host(&host));
        match own {
            Some((_, name, rate)) => Some((*rate, format!("http.rate.hosts[{name:?}]"))),
            None => self.per_host.map(|rate| (rate, "http.rate.perHost".to_owned())),
        }
    }

    fn of_workflow(&self, id: &str) -> Option<(Rate, String)> {
        let own = self.workflows.iter().find(|(workflow, _)| pattern::matches(workflow, id));
        match own {
            Some((name, rate)) => Some((*rate, format!("http.rate.workflows[{name:?}]"))),
            None => self.per_workflow.map(|rate| (rate, "http.rate.perWorkflow".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32) -> Rate {
        Rate { count, period: Duration::from_secs(1) }
    }

    fn named(names: &[(&str, u32)]) -> Vec<(String, Rate)> {
        names.iter().map(|(name, count)| ((*name).to_owned(), rate(*count))).collect()
    }

    #[test]
    fn the_most_specific_limit_of_host_and_workflow_apply_together() {
        let hosts = named(&[("*.example.com", 2), ("api.example.com", 3)]);
        let workflows = named(&[("p_*", 4), ("p_a*", 5), ("p_abc", 6)]);
        let rates = Rates::new((Some(rate(1)), None), hosts, workflows).unwrap();
        for (url, workflow, expected) in [
            ("http://other/", "q", vec![("host http://other", 1, "http.rate.perHost")]),
            (
                "https://api.example.com/x",
                "p_abc",
                vec![
                    ("host https://api.example.com", 3, "http.rate.hosts[\"api.example.com\"]"),
                    ("workflow p_abc", 6, "http.rate.workflows[\"p_abc\"]"),
                ],
            ),
            (
                "http://b.example.com/",
                "p_abd",
                vec![
                    ("host http://b.example.com", 2, "http.rate.hosts[\"*.example.com\"]"),
                    ("workflow p_abd", 5, "http.rate.workflows[\"p_a*\"]"),
                ],
            ),
        ] {
            let keys = rates.keys(&url.parse().unwrap(), workflow);
            let found: Vec<_> = keys
                .iter()
                .map(|key| (key.key.as_str(), key.rate.count, key.option.as_str()))
                .collect();
            assert_eq!(found, expected, "{url}");
        }
        assert_eq!(rates.longest_period(), Duration::from_secs(1));
        assert!(!rates.is_empty() && Rates::default().is_empty());
        assert!(Rates::default().keys(&"http://a/".parse().unwrap(), "p").is_empty());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let refusal = Rates::new((None, None), named(&[("a b", 1)]), Vec::new()).unwrap_err();
        assert!(refusal.contains("hosts: \"a b\" is neither"), "{refusal}");
    }
}
