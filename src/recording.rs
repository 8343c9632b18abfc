//! The open buffer of an execution: what its steps called, until the completion hook fires.
//!
//! Pure memory: no I/O, nothing that waits. [`Recording::push`] is what `$send.http(...)` costs.

use std::sync::Arc;

use bytes::Bytes;

use crate::delivery::{Body, Failure, Kind, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{CallState, DeliveryRequest, Entry, ReplayOf, Status};
use crate::id::delivery_id;
use crate::time::Timestamp;

/// One recorded call on its way into the journal.
#[derive(Debug, Clone)]
pub struct Item {
    /// The destination.
    pub kind: Kind,
    /// The step that made the call.
    pub step: Arc<str>,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// The call that this one repeats.
    pub replay: Option<Box<ReplayOf>>,
    /// The time of the call.
    pub recorded_at: Timestamp,
    /// The snapshot of the argument.
    pub payload: Payload,
    /// Warnings about the call.
    pub warnings: Vec<String>,
    /// The reason why the call cannot be delivered at all: its body could not be read.
    pub refused: Option<Box<Failure>>,
}

impl Item {
    /// The log's entry for this call.
    #[must_use]
    pub fn entry(&self, seed: u64, status: Status) -> Entry {
        Entry {
            id: delivery_id(self.recorded_at, self.index, seed),
            index: self.index,
            call_state: self.replay.as_deref().map(|replay| Box::new(CallState::of(replay))),
            step: Arc::clone(&self.step),
            kind: self.kind,
            status,
            request: DeliveryRequest::Recorded(self.payload.clone()),
            response: None,
            failure: None,
            replayable: None,
            waiting: None,
            batch: None,
            warnings: self.warnings.clone().into(),
            attempts: 0,
            attempt_log: None,
            recorded_at: self.recorded_at,
            settled_at: None,
        }
    }

    /// Returns the call as one that repeats another, made now.
    #[must_use]
    pub fn replayed(self, replay: ReplayOf) -> Self {
        let (replay, recorded_at) = (Some(Box::new(replay)), Timestamp::now());
        Self { replay, recorded_at, warnings: Vec::new(), refused: None, ..self }
    }
}

/// The state of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordingState {
    Open,
    Completed,
    Discarded,
}

/// The calls of an execution that were not handed over yet.
#[derive(Debug)]
pub struct Recording {
    state: RecordingState,
    calls: Vec<Call>,
    steps: Vec<Arc<str>>,
    next_index: u32,
    awaited_bodies: usize,
    late_calls: usize,
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

/// Optional parts that most calls do not have.
#[derive(Debug, Default)]
pub struct Extra {
    /// The body that JSON cannot hold.
    pub body: Option<Box<Body>>,
    /// Warnings about the call.
    pub warnings: Vec<String>,
    /// The reason why the call cannot be delivered.
    pub refused: Option<Box<Failure>>,
    /// The arrival of the body.
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

/// Calls after the end that the log of one execution keeps.
const MAX_LATE_CALLS: usize = 100;

/// Steps that one execution may have.
const MAX_STEPS: usize = 1 << 20;

impl Default for Recording {
    fn default() -> Self {
        Self {
            state: RecordingState::Open,
            calls: Vec::new(),
            steps: Vec::new(),
            next_index: 0,
            awaited_bodies: 0,
            late_calls: 0,
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

    /// Adds a call with its text (UTF-8) and optional parts. Returns its index.
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

    /// Returns a call that was made after the end, to be logged as discarded.
    ///
    /// # Errors
    /// The refusal of [`Recording::check_open`] when the log has enough of such calls.
    pub fn late(&mut self, kind: Kind, step: StepId, text: Vec<u8>) -> Result<Calls> {
        let Err(refusal) = self.check_open() else {
            let message = "the execution is not over";
            return Err(Error::new(ErrorKind::Internal, message));
        };
        if self.late_calls == MAX_LATE_CALLS {
            return Err(refusal);
        }
        self.late_calls += 1;
        let index = self.next_index;
        self.next_index += 1;
        let refused = Some(Box::new(Failure::new(refusal.kind(), refusal.to_string())));
        let extra = Some(Box::new(Extra { refused, ..Extra::default() }));
        let call = Call { text, recorded_at: Timestamp::recent(), extra, index, step, kind };
        Ok(Calls { calls: vec![call], steps: self.steps.clone() })
    }

    /// Sets the body of a call that was recorded without it, or fails the call with the given
    /// failure. Returns `true` if the body was missing.
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
                extra.body = Some(Box::new(Body { bytes, content_type, ..Body::default() }));
            }
            Err(failure) => extra.refused = Some(Box::new(failure)),
        }
        true
    }

    /// Fails every call whose body has not arrived, because the thread that reads it is gone.
    pub fn give_up_bodies(&mut self) {
        let awaited = self.calls.iter().filter(|call| {
            call.extra.as_ref().is_some_and(|extra| extra.arrival == BodyArrival::Later)
        });
        for index in awaited.map(|call| call.index).collect::<Vec<_>>() {
            let message = "the thread that was to read the body of the call ended before it did";
            self.fill(index, Err(Failure::new(ErrorKind::InvalidArgument, message)));
        }
    }

    /// Returns `true` if every body has arrived.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.awaited_bodies == 0
    }

    /// Refuses a call after the end.
    pub fn check_open(&self) -> Result<()> {
        let how = match self.state {
            RecordingState::Open => return Ok(()),
            RecordingState::Completed => "completed",
            RecordingState::Discarded => "discarded",
        };
        Err(Error::new(
            ErrorKind::ExecutionCompleted,
            format!(
                "the execution was already {how}: nothing can be recorded, completed or flushed \
                 after that. Await what the step starts before it returns"
            ),
        ))
    }

    /// Returns `true` if calls are accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == RecordingState::Open
    }

    /// Ends the recording: no call is accepted from here on.
    pub fn complete(&mut self) -> Result<()> {
        self.check_open()?;
        self.state = RecordingState::Completed;
        Ok(())
    }

    /// Takes what is recorded so far.
    pub fn take(&mut self) -> Calls {
        Calls { calls: std::mem::take(&mut self.calls), steps: self.steps.clone() }
    }

    /// Puts calls back that were taken and could not be handed over; the recording is open again.
    pub fn restore(&mut self, items: Vec<Item>) {
        self.state = RecordingState::Open;
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
        self.state = RecordingState::Discarded;
        self.awaited_bodies = 0;
        Ok(self.take())
    }

    /// Calls that are recorded and not taken yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns `true` if no call waits.
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
    /// Returns the number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns `true` if there are no calls.
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
        replay: None,
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
    fn a_bounded_number_of_calls_after_the_end_is_logged() {
        let mut recording = recording_of(1);
        assert!(recording.late(Kind::Http, STEP, "{}".into()).is_err(), "it is not over");
        recording.complete().unwrap();
        for index in 1..=u32::try_from(MAX_LATE_CALLS).unwrap() {
            let late = recording.late(Kind::Http, STEP, "{}".into()).unwrap();
            let item = late.into_items().next().unwrap();
            assert_eq!(item.index, index);
            assert_eq!(item.refused.unwrap().kind, ErrorKind::ExecutionCompleted);
        }
        let refused = recording.late(Kind::Http, STEP, "{}".into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ExecutionCompleted);
        assert_eq!(recording.len(), 1, "what was recorded before is untouched");
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
}
