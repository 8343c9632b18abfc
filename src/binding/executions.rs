//! The executions of a JavaScript thread, by number.
//!
//! A number costs a fraction of what an instance of a native class costs to make and to call, and an
//! execution is as short as its step.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{JsObjectValue, Object};
use once_cell::sync::OnceCell;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::mailbox::HandleMailbox;
use crate::engine::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::recording::StepId;

thread_local! {
    static EXECUTIONS: RefCell<ExecutionTable> = const { RefCell::new(ExecutionTable::new()) };
}

struct ExecutionTable {
    places: Vec<Option<HeldExecution>>,
    free: Vec<u32>,
}

/// An execution for as long as JavaScript holds it, and the mailbox for its completion hooks.
struct HeldExecution {
    execution: Arc<Execution>,
    mailbox: Option<Arc<HandleMailbox>>,
}

impl Drop for HeldExecution {
    /// JavaScript's execution is gone, and with it everything that could read a body.
    fn drop(&mut self) {
        self.execution.give_up_bodies();
    }
}

impl ExecutionTable {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    fn add(&mut self, execution: HeldExecution) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(execution);
            return place;
        }
        self.places.push(Some(execution));
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }
}

/// Holds an execution for as long as its object in JavaScript lives. Returns its number.
///
/// V8 runs the finalizer of an object that died young at the next minor collection, many times a
/// second, and a `FinalizationRegistry` only at a major one.
pub(super) fn track_execution(
    mut object: Object<'_>,
    execution: Arc<Execution>,
    mailbox: Option<Arc<HandleMailbox>>,
) -> Result<u32> {
    let held = HeldExecution { execution, mailbox };
    let number = EXECUTIONS.with_borrow_mut(|executions| executions.add(held));
    let watched = object.add_finalizer(number, (), |finished| release_execution(finished.value));
    watched.map(|()| number).map_err(|source| {
        release_execution(number);
        Error::new(ErrorKind::Internal, "the end of the execution cannot be watched")
            .with_source(source)
    })
}

/// Releases an execution whose object was collected. It may be large, such as the log of all its calls,
/// so it is dropped in the background.
fn release_execution(number: u32) {
    // At the end of the thread the whole table is gone already.
    let taken = EXECUTIONS.try_with(|executions| {
        let mut executions = executions.borrow_mut();
        let execution = executions.places.get_mut(number as usize)?.take();
        executions.free.push(number);
        execution
    });
    if let Ok(Some(execution)) = taken {
        // A task that is gone leaves the execution with the error, to be dropped here.
        let _ = collected(execution.execution.engine().runtime()).send(execution);
    }
}

/// Returns the queue of executions to drop.
fn collected(runtime: &Handle) -> &'static UnboundedSender<HeldExecution> {
    static COLLECTED: OnceCell<UnboundedSender<HeldExecution>> = OnceCell::new();
    COLLECTED.get_or_init(|| {
        let (collected, mut executions) = unbounded_channel();
        runtime.spawn(async move { while executions.recv().await.is_some() {} });
        collected
    })
}

/// Releases all executions of this thread, whose environment ends.
pub(super) fn release_all_executions() {
    drop(EXECUTIONS.replace(ExecutionTable::new()));
}

/// Runs `action` with the execution registered under `number`.
pub(super) fn with_execution<T>(
    number: u32,
    action: impl FnOnce(&Arc<Execution>) -> Result<T>,
) -> Result<T> {
    with_mailbox(number, |execution, _| action(execution))
}

/// Like [`with_execution`], with the mailbox for the execution's completion hooks.
pub(super) fn with_mailbox<T>(
    number: u32,
    action: impl FnOnce(&Arc<Execution>, Option<&Arc<HandleMailbox>>) -> Result<T>,
) -> Result<T> {
    EXECUTIONS.with_borrow(|executions| {
        let held = executions.places.get(number as usize).and_then(Option::as_ref);
        let unknown = || Error::new(ErrorKind::InvalidArgument, "there is no such execution");
        let held = held.ok_or_else(unknown)?;
        action(&held.execution, held.mailbox.as_ref())
    })
}

const STEPS_PER_EXECUTION: f64 = 1_048_576.0;

/// Returns the id of a step for JavaScript: the execution's number and the step's place in it.
pub(super) fn step_id(execution: u32, step: StepId) -> f64 {
    f64::from(execution) * STEPS_PER_EXECUTION + f64::from(step.place())
}

/// Splits the id of a step into the execution's number and the step's place.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both parts were whole numbers of 32 bits"
)]
pub(super) fn split_step_id(step: f64) -> (u32, StepId) {
    let execution = (step / STEPS_PER_EXECUTION).floor();
    (execution as u32, StepId::at((step - execution * STEPS_PER_EXECUTION) as u32))
}
