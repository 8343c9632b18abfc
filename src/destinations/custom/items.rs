//! The items of a batch, as a function gets them: JSON, and what is known of their ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Item;
use crate::delivery::{Failure, Kind, Payload};
use crate::destinations::{Encoded, OpenBatch, Origin};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// The items of a batch that grows.
#[derive(Debug)]
pub(super) struct Items {
    name: String,
    /// A JSON array, but for its end.
    text: Vec<u8>,
}

impl Items {
    /// Returns an empty batch, whose id is that of its first record.
    pub(super) fn new(kind: Kind, first: Uuid) -> Self {
        Self { name: format!("{}/{first}", kind.name()), text: vec![b'['] }
    }
}

impl OpenBatch for Items {
    fn encoded(&self) -> usize {
        self.text.len()
    }

    fn add(&mut self, payload: &Payload, origin: Origin<'_>) -> Result<(), Failure> {
        let item = item(payload, origin)?;
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        serde_json::to_writer(&mut self.text, &item).map_err(|_| unreadable())
    }

    fn close(mut self: Box<Self>, _: Timestamp) -> Result<Encoded, Failure> {
        self.text.push(b']');
        Ok(Encoded { name: self.name, bytes: self.text.into(), rows: None })
    }
}

/// Returns a call as a function gets it.
///
/// # Errors
/// `InvalidArgument`: it cannot be read.
pub(super) fn item<'a>(payload: &'a Payload, origin: Origin<'a>) -> Result<Item<'a>, Failure> {
    let Origin { id, call, workflow_id, recorded_at } = origin;
    let argument = serde_json::from_slice(&payload.text).map_err(|_| unreadable())?;
    Ok(Item { id, call_id: call, workflow_id, argument, recorded_at })
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}

/// The ends of items that are known already, by their places; what is noted between attempts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ends(BTreeMap<u32, Option<String>>);

impl Ends {
    /// Reads the note of an earlier attempt.
    ///
    /// # Errors
    /// `Journal`: it cannot be read, so that the items to deliver are not known.
    pub(super) fn noted(note: Option<&str>) -> Result<Self, Failure> {
        let Some(note) = note else { return Ok(Self::default()) };
        serde_json::from_str(note).map_err(|error| {
            let message = format!("the note of the batch in the journal is damaged: {error}");
            Failure::new(ErrorKind::Journal, message)
        })
    }

    pub(super) fn note(&self) -> Option<String> {
        if self.0.is_empty() { None } else { serde_json::to_string(self).ok() }
    }

    /// Takes note that the item at this place is delivered, or why it failed.
    pub(super) fn add(&mut self, place: u32, failure: Option<String>) {
        self.0.insert(place, failure);
    }

    /// Returns the items that have no end yet, with their places.
    pub(super) fn open<'a>(&self, items: &[&'a RawValue]) -> Vec<(u32, &'a RawValue)> {
        let all = (0..).zip(items.iter().copied());
        all.filter(|(place, _)| !self.0.contains_key(place)).collect()
    }

    /// Returns the outcomes in the form that the engine uses.
    pub(super) fn exceptions(self) -> BTreeMap<u32, Option<Failure>> {
        let refused = |message| Failure::new(ErrorKind::Refused, message);
        self.0.into_iter().map(|(place, failure)| (place, failure.map(refused))).collect()
    }
}
