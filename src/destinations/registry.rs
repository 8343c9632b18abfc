//! The destinations of one engine, by kind.

use std::ops::Deref;
use std::sync::Arc;

use super::custom::{CustomDestination, CustomSet};
use super::emit::Emit;
use super::s3::S3;
use super::sql::Sql;
use super::{Attempt, Batching, BuiltIn, DeadLetter, Destination, FollowUpCall, Resources};
use crate::delivery::{Kind, Payload, with_built_in};
use crate::error::Result;
use crate::execution::RequestLog;
use crate::jobs::{Jobs, Thread};

macro_rules! registry {
    ($($variant:ident $name:ident,)+) => {
        /// The checked options of the destinations that are built in.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Config {
            $(
                #[doc = concat!("Those of `$send.", stringify!($name), "`.")]
                pub $name: <super::$name::$variant as BuiltIn>::Config,
            )+
        }

        /// The destinations that are built in, one of each.
        #[derive(Debug)]
        struct BuiltIns {
            $($name: super::$name::$variant,)+
        }

        impl BuiltIns {
            fn open(config: &Config, resources: &Resources) -> Result<Self> {
                Ok(Self { $($name: BuiltIn::open(&config.$name, resources)?,)+ })
            }

            fn of(&self, kind: Kind) -> Option<&dyn Destination> {
                match kind {
                    $(Kind::$variant => Some(&self.$name),)+
                    Kind::Custom(_) => None,
                }
            }
        }

        /// Returns the log entry of a pending call when no destination is configured. It has nothing
        /// that an engine's options may hide, such as bodies and headers.
        #[must_use]
        pub fn describe(kind: Kind, payload: &Payload) -> RequestLog {
            match kind {
                $(Kind::$variant => super::$name::$variant::describe_alone(payload),)+
                Kind::Custom(_) => RequestLog::recorded(payload, 0),
            }
        }

        /// Returns how a destination takes a dead letter.
        pub(super) fn dead_letter(kind: Kind) -> DeadLetter {
            match kind {
                $(Kind::$variant => super::$name::$variant::DEAD_LETTER,)+
                Kind::Custom(_) => Ok(str::to_owned),
            }
        }

        /// Returns a call of each destination that is built in.
        #[cfg(test)]
        pub(super) fn examples() -> Vec<(Kind, &'static str)> {
            vec![$((Kind::$variant, super::$name::$variant::EXAMPLE)),+]
        }
    };
}

with_built_in!(registry);

/// The destinations that an engine was opened with.
#[derive(Debug)]
pub struct DestinationRegistry {
    built_in: BuiltIns,
    custom: CustomSet,
    jobs: Arc<Jobs>,
}

/// A destination of the registry.
#[derive(Debug)]
pub enum DestinationRef<'a> {
    /// One that is built in.
    BuiltIn(&'a dyn Destination),
    /// One that is written in JavaScript.
    Custom(CustomDestination<'a>),
}

impl<'a> Deref for DestinationRef<'a> {
    type Target = dyn Destination + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::BuiltIn(destination) => *destination,
            Self::Custom(destination) => destination,
        }
    }
}

impl DestinationRegistry {
    /// Opens the destinations.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn open(config: &Config, resources: Resources) -> Result<Self> {
        let built_in = BuiltIns::open(config, &resources)?;
        let custom = CustomSet::new(Arc::clone(&resources.jobs), resources.log_body_bytes);
        Ok(Self { built_in, custom, jobs: resources.jobs })
    }

    /// Returns the destination of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> DestinationRef<'_> {
        match self.built_in.of(kind) {
            Some(destination) => DestinationRef::BuiltIn(destination),
            None => DestinationRef::Custom(self.custom.of(kind)),
        }
    }

    /// Returns the kinds that are built in, with their destinations.
    pub fn built_in(&self) -> impl Iterator<Item = (Kind, &dyn Destination)> {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.built_in.of(kind)?)))
    }

    /// Returns the key of the queue that a call waits in: calls in different queues never delay each
    /// other.
    #[must_use]
    pub fn lane(&self, kind: Kind, payload: &Payload, workflow_id: &str) -> String {
        let destination = self.of(kind);
        if destination.lane_rules().is_per_workflow {
            return format!("{} {workflow_id}", kind.name());
        }
        destination.lane(payload).unwrap_or_else(|| kind.name().to_owned())
    }

    /// Returns `true` if calls of this kind are stored together.
    #[must_use]
    pub fn is_batched(&self, kind: Kind) -> bool {
        self.of(kind).batching().and_then(Batching::limits).is_some()
    }

    /// Returns the destinations that are written in JavaScript.
    #[must_use]
    pub const fn custom(&self) -> &CustomSet {
        &self.custom
    }

    /// Returns the warehouse.
    #[must_use]
    pub const fn sql(&self) -> &Sql {
        &self.built_in.sql
    }

    /// Returns the objects.
    #[must_use]
    pub const fn s3(&self) -> &S3 {
        &self.built_in.s3
    }

    const fn emit(&self) -> &Emit {
        &self.built_in.emit
    }

    /// Completes a job with the reply of a thread.
    pub fn answer_job(&self, job: u64, answer: String) {
        self.jobs.answer(job, answer);
    }

    /// Forgets what a thread did: it is gone.
    pub fn forget_thread(&self, thread: &Arc<dyn Thread>) {
        self.custom.forget(thread);
        self.built_in.sql.forget(thread);
        self.built_in.s3.parquet().threads().detach(thread);
    }

    /// Publishes that an execution was completed with an error. Returns the calls that follow from
    /// it.
    ///
    /// # Errors
    /// `Journal`, `Closed`: the event could not be stored.
    pub async fn publish_error(
        &self,
        attempt: &Attempt<'_>,
        content: String,
    ) -> Result<Vec<FollowUpCall>> {
        self.emit().error(attempt, content).await
    }

    /// Closes connections that are kept for the next call.
    pub fn close(&self) {
        self.built_in().for_each(|(_, destination)| destination.close());
    }
}
