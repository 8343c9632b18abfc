//! The executions of a JavaScript thread, by the numbers that its JavaScript knows them by.
//!
//! A number costs a tenth of what an instance of a native class costs to make, to call and to
//! collect, and an execution is as short as its step.

use std::cell::RefCell;
use std::sync::Arc;

use napi::Env;

use crate::engine::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::recording::StepId;

thread_local! {
    static EXECUTIONS: RefCell<Executions> = const { RefCell::new(Executions::new()) };
}

struct Executions {
    places: Vec<Option<Held>>,
    free: Vec<u32>,
    /// Whether they are let go of when JavaScript's environment ends.
    watched: bool,
}

/// An execution for as long as JavaScript holds it.
struct Held(Arc<Execution>);

impl Drop for Held {
    /// JavaScript's execution is gone, and with it whoever could read a body.
    fn drop(&mut self) {
        self.0.give_up_bodies();
    }
}

impl Executions {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), watched: false }
    }

    fn add(&mut self, execution: Held) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(execution);
            return place;
        }
        self.places.push(Some(execution));
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }
}

/// Holds an execution until JavaScript forgets the number.
pub(super) fn hold(env: Env, execution: Arc<Execution>) -> napi::Result<u32> {
    let (number, watched) = EXECUTIONS.with_borrow_mut(|executions| {
        let number = executions.add(Held(execution));
        (number, std::mem::replace(&mut executions.watched, true))
    });
    if !watched {
        env.add_env_cleanup_hook((), |()| forget_all())?;
    }
    Ok(number)
}

/// JavaScript's executions were collected. What is left of them may be large, such as the log of all
/// their calls: it is dropped in the background.
pub(super) fn forget(numbers: &[u32]) {
    let collected: Vec<_> = EXECUTIONS.with_borrow_mut(|executions| {
        let take = |number: &u32| {
            let execution = executions.places.get_mut(*number as usize)?.take();
            executions.free.push(*number);
            execution
        };
        numbers.iter().filter_map(take).collect()
    });
    if let Some(first) = collected.first() {
        first.0.engine().runtime().clone().spawn(async move { drop(collected) });
    }
}

fn forget_all() {
    drop(EXECUTIONS.replace(Executions::new()));
}

/// Does something with the execution of this number.
pub(super) fn with<T>(number: u32, action: impl FnOnce(&Arc<Execution>) -> Result<T>) -> Result<T> {
    EXECUTIONS.with_borrow(|executions| {
        let held = executions.places.get(number as usize).and_then(Option::as_ref);
        let unknown = || Error::new(ErrorKind::InvalidArgument, "there is no such execution");
        action(&held.ok_or_else(unknown)?.0)
    })
}

const STEPS_PER_EXECUTION: f64 = 1_048_576.0;

/// What JavaScript names a step by: the execution's number and the step's place in it.
pub(super) fn number_of(execution: u32, step: StepId) -> f64 {
    f64::from(execution) * STEPS_PER_EXECUTION + f64::from(step.place())
}

/// The parts of a step's name.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both parts were whole numbers of 32 bits"
)]
pub(super) fn parts(step: f64) -> (u32, StepId) {
    let execution = (step / STEPS_PER_EXECUTION).floor();
    (execution as u32, StepId::at((step - execution * STEPS_PER_EXECUTION) as u32))
}
