//! The open buffer of an execution: what its steps called, until the completion hook fires.
//!
//! Pure memory: no I/O, nothing that waits. [`Recording::push`] is what `$send.http(...)` costs.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::destinations::{Body, Failure, Kind, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::{Entry, Request, Status};
use crate::observability::time::Timestamp;

/// One recorded call on its way into the journal.
#[derive(Debug, Clone)]
pub struct Item {
    /// The destination.
    pub kind: Kind,
    /// The step that made the call.
    pub step: Arc<str>,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// The delivery that this one repeats.
    pub replay_of: Option<Uuid>,
    /// When the call was made.
    pub recorded_at: Timestamp,
    /// The snapshot of the argument.
    pub payload: Payload,
    /// What was odd about the call.
    pub warnings: Vec<String>,
    /// Why the call cannot be delivered at all: its body could not be read.
    pub refused: Option<Box<Failure>>,
}

impl Item {
    /// The log's entry for this call.
    #[must_use]
    pub fn entry(&self, seed: u64, status: Status) -> Entry {
        Entry {
            id: delivery_id(self.recorded_at, self.index, seed),
            index: self.index,
            replay_of: self.replay_of.map(Box::new),
            step: Arc::clone(&self.step),
            kind: self.kind,
            status,
            request: Request::Recorded(self.payload.clone()),
            response: None,
            failure: None,
            replayable: None,
            warnings: self.warnings.clone().into(),
            attempts: 0,
            recorded_at: self.recorded_at,
            settled_at: None,
        }
    }
}

/// The part of the ids of an execution's calls that is the execution's own: 20 bits that grow from
/// one execution to the next, and 30 random ones.
#[must_use]
pub const fn id_seed(serial: u64, random: u64) -> u64 {
    ((serial & 0xf_ffff) << 30) | (random & 0x3fff_ffff)
}

/// The id of a call: a `UUIDv7` (RFC 9562) made of the call's time, its execution's seed and its
/// place, so that nothing is kept or drawn per call. Ids of one execution sort in call order, those
/// of one millisecond in the order of their executions (method 1 of section 6.2). Places beyond 24
/// bits only keep ids different.
#[must_use]
pub fn delivery_id(recorded_at: Timestamp, index: u32, seed: u64) -> Uuid {
    let index = u64::from(index);
    let high = (recorded_at.as_millis() << 16) | 0x7000 | ((seed >> 38) & 0xfff);
    let random = (seed ^ (index >> 24)) & 0x3fff_ffff;
    let low = (0b10 << 62) | (((seed >> 30) & 0xff) << 54) | ((index & 0xff_ffff) << 30) | random;
    Uuid::from_u64_pair(high, low)
}

/// Why a recording takes no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Completed,
    Discarded,
}

/// The calls of an execution that were not handed over yet.
#[derive(Debug)]
pub struct Recording {
    state: State,
    calls: Vec<Call>,
    steps: Vec<Arc<str>>,
    next_index: u32,
    awaited_bodies: usize,
}

/// A call as it waits in the buffer: as small as it can be, because there may be millions.
#[derive(Debug)]
struct Call {
    /// Valid UTF-8.
    text: Vec<u8>,
    recorded_at: Timestamp,
    extra: Option<Box<Extra>>,
    index: u32,
    step: StepId,
    kind: Kind,
}

/// What few calls have.
#[derive(Debug, Default)]
pub struct Extra {
    /// The body that JSON cannot hold.
    pub body: Option<Box<Body>>,
    /// What was odd about the call.
    pub warnings: Vec<String>,
    /// Why the call cannot be delivered.
    pub refused: Option<Box<Failure>>,
    /// Whether the body is still to come.
    pub arrival: BodyArrival,
}

/// A step of one recording, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId(u32);

impl StepId {
    /// The step at this place.
    #[must_use]
    pub const fn at(place: u32) -> Self {
        Self(place)
    }

    /// Its place among the steps of the recording.
    #[must_use]
    pub const fn place(self) -> u32 {
        self.0
    }
}

/// Steps that one execution may have.
const MAX_STEPS: usize = 1 << 20;

impl Default for Recording {
    fn default() -> Self {
        Self {
            state: State::Open,
            calls: Vec::new(),
            steps: Vec::new(),
            next_index: 0,
            awaited_bodies: 0,
        }
    }
}

/// A body that JavaScript can only read asynchronously (a `Blob`, a `FormData`): the recorded
/// call keeps its place, the bytes follow before the hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyArrival {
    /// All that will be sent is there.
    #[default]
    Now,
    /// [`Recording::fill`] will bring it.
    Later,
}

impl Recording {
    /// Adds a step, whose calls can then be recorded.
    pub fn step(&mut self, name: &str) -> Result<StepId> {
        self.check_open()?;
        let place = u32::try_from(self.steps.len()).ok().filter(|_| self.steps.len() < MAX_STEPS);
        let place = place.ok_or_else(|| {
            let message = format!("an execution has at most {MAX_STEPS} steps");
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        self.steps.push(name.into());
        Ok(StepId(place))
    }

    /// Adds a call, with what it has beside its text (UTF-8); the answer is its index.
    pub fn push(
        &mut self,
        kind: Kind,
        step: StepId,
        text: Vec<u8>,
        extra: Option<Box<Extra>>,
    ) -> Result<u32> {
        self.check_open()?;
        debug_assert!((step.0 as usize) < self.steps.len(), "a step of this recording");
        let index = self.next_index;
        self.next_index += 1;
        let later = extra.as_ref().is_some_and(|extra| extra.arrival == BodyArrival::Later);
        self.awaited_bodies += usize::from(later);
        self.calls.push(Call { text, recorded_at: Timestamp::recent(), extra, index, step, kind });
        Ok(index)
    }

    /// Brings the body of a call that was recorded without it. `Err`: why it cannot be had, and the
    /// call will fail for that reason. The answer is whether somebody waited for it.
    pub fn fill(&mut self, index: u32, body: std::result::Result<Bytes, Failure>) -> bool {
        let place = self.calls.binary_search_by_key(&index, |call| call.index);
        let extra = place.ok().and_then(|place| self.calls[place].extra.as_mut());
        let Some(extra) = extra.filter(|extra| extra.arrival == BodyArrival::Later) else {
            return false;
        };
        extra.arrival = BodyArrival::Now;
        self.awaited_bodies -= 1;
        match body {
            Ok(bytes) => {
                let placeholder = extra.body.take();
                let content_type = placeholder.and_then(|body| body.content_type);
                extra.body = Some(Box::new(Body { bytes, content_type, secret: None }));
            }
            Err(failure) => extra.refused = Some(Box::new(failure)),
        }
        true
    }

    /// Gives up every body that is still to come: nobody is left to bring it.
    pub fn give_up_bodies(&mut self) {
        let awaited = self.calls.iter().filter(|call| {
            call.extra.as_ref().is_some_and(|extra| extra.arrival == BodyArrival::Later)
        });
        for index in awaited.map(|call| call.index).collect::<Vec<_>>() {
            let message = "the thread that was to read the body of the call ended before it did";
            self.fill(index, Err(Failure::new(ErrorKind::InvalidArgument, message)));
        }
    }

    /// Whether every body has arrived.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.awaited_bodies == 0
    }

    /// Refuses a call after the end.
    pub fn check_open(&self) -> Result<()> {
        let how = match self.state {
            State::Open => return Ok(()),
            State::Completed => "completed",
            State::Discarded => "discarded",
        };
        Err(Error::new(
            ErrorKind::ExecutionCompleted,
            format!(
                "the execution was already {how}: nothing can be recorded, completed or flushed \
                 after that. Await what the step starts before it returns"
            ),
        ))
    }

    /// Whether calls are accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Ends the recording: no call is accepted from here on.
    pub fn complete(&mut self) -> Result<()> {
        self.check_open()?;
        self.state = State::Completed;
        Ok(())
    }

    /// Takes what is recorded so far.
    pub fn take(&mut self) -> Calls {
        Calls { calls: std::mem::take(&mut self.calls), steps: self.steps.clone() }
    }

    /// Puts calls back that were taken and could not be handed over; the recording is open again.
    pub fn restore(&mut self, items: Vec<Item>) {
        self.state = State::Open;
        let later = std::mem::take(&mut self.calls);
        self.calls = items.into_iter().map(|item| self.call(item)).chain(later).collect();
    }

    fn call(&self, item: Item) -> Call {
        let step = self.steps.iter().position(|name| *name == item.step).unwrap_or_default();
        let Payload { text, body } = item.payload;
        let plain = body.is_none() && item.warnings.is_empty() && item.refused.is_none();
        let arrival = BodyArrival::Now;
        let extra = Extra { body, warnings: item.warnings, refused: item.refused, arrival };
        Call {
            text: text.into(),
            recorded_at: item.recorded_at,
            extra: (!plain).then(|| Box::new(extra)),
            index: item.index,
            step: StepId(u32::try_from(step).unwrap_or_default()),
            kind: item.kind,
        }
    }

    /// Ends the recording for nothing.
    pub fn discard(&mut self) -> Result<Calls> {
        self.check_open()?;
        self.state = State::Discarded;
        self.awaited_bodies = 0;
        Ok(self.take())
    }

    /// Calls that are recorded and not taken yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The log's entries of the calls that wait.
    #[must_use]
    pub fn entries(&self, seed: u64) -> Vec<Entry> {
        let copies = self.calls.iter().map(|call| Call {
            text: call.text.clone(),
            extra: call.extra.as_ref().map(|extra| {
                let (body, warnings) = (extra.body.clone(), extra.warnings.clone());
                Box::new(Extra { body, warnings, ..Extra::default() })
            }),
            ..*call
        });
        copies.map(|call| item(&self.steps, call).entry(seed, Status::Recorded)).collect()
    }
}

/// Calls on their way out of a recording, still in its compact form: taking them is cheap, and
/// what follows is not the JavaScript thread's work.
#[derive(Debug)]
pub struct Calls {
    calls: Vec<Call>,
    steps: Vec<Arc<str>>,
}

impl Calls {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The calls, each complete in itself.
    pub fn into_items(self) -> impl Iterator<Item = Item> {
        let Self { calls, steps } = self;
        calls.into_iter().map(move |call| item(&steps, call))
    }
}

fn item(steps: &[Arc<str>], call: Call) -> Item {
    let Extra { body, warnings, refused, arrival: _ } =
        call.extra.map_or_else(Extra::default, |extra| *extra);
    Item {
        kind: call.kind,
        step: Arc::clone(&steps[call.step.0 as usize]),
        index: call.index,
        replay_of: None,
        recorded_at: call.recorded_at,
        payload: Payload { text: call.text.into(), body },
        warnings,
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording_of(calls: u32) -> Recording {
        let mut recording = Recording::default();
        let step = recording.step("s").unwrap();
        for index in 0..calls {
            assert_eq!(recording.push(Kind::Http, step, "{}".into(), None).unwrap(), index);
        }
        recording
    }

    const STEP: StepId = StepId(0);

    #[test]
    fn calls_keep_their_order_over_a_hand_over() {
        let mut recording = recording_of(2);
        assert_eq!(recording.take().len(), 2);
        assert_eq!(recording.push(Kind::Sse, STEP, "{}".into(), None).unwrap(), 2);
    }

    #[test]
    fn nothing_is_accepted_after_the_end() {
        for end in [|r: &mut Recording| r.complete(), |r: &mut Recording| r.discard().map(drop)] {
            let mut recording = recording_of(1);
            end(&mut recording).unwrap();
            let refused = recording.push(Kind::Http, STEP, "{}".into(), None);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ExecutionCompleted);
            assert!(recording.complete().is_err());
        }
    }

    #[test]
    fn a_body_may_come_later_or_not_at_all() {
        let mut recording = recording_of(1);
        for _ in 0..2 {
            let extra = Box::new(Extra { arrival: BodyArrival::Later, ..Extra::default() });
            recording.push(Kind::Http, STEP, "{}".into(), Some(extra)).unwrap();
        }
        assert!(!recording.is_whole());
        assert!(!recording.fill(0, Ok(Bytes::new())), "nobody waited for it");
        assert!(recording.fill(1, Ok(Bytes::from_static(b"here"))));
        assert!(!recording.fill(1, Ok(Bytes::new())), "it came already");
        recording.give_up_bodies();
        assert!(recording.is_whole());
        let items: Vec<_> = recording.take().into_items().collect();
        assert_eq!(&items[1].payload.body.as_ref().unwrap().bytes[..], b"here");
        assert!(items[2].refused.as_ref().unwrap().message.contains("ended"));
    }

    #[test]
    fn ids_are_version_7_unique_and_in_call_order() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let ids: Vec<_> = (0..10_000).map(|index| delivery_id(at, index, 42)).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted());
        let later = delivery_id(Timestamp::from_millis(1_700_000_000_001), 0, 42);
        assert!(later > ids[9_999]);
        assert_ne!(delivery_id(at, 0, 42), delivery_id(at, 1 << 24, 42));
        assert_ne!(delivery_id(at, 0, 42), delivery_id(at, 0, 43));
        for serial in [0, 1, 255, 256, 0xf_fffe] {
            let last = delivery_id(at, 9_999, id_seed(serial, u64::MAX));
            assert!(delivery_id(at, 0, id_seed(serial + 1, 0)) > last, "{serial}");
        }
    }
}
