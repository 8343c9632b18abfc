//! Dead letters that are forwarded to another destination (`onFailed`).
//!
//! **Invariant:** a failed delivery is forwarded once. In a durable journal its end and the note that
//! it is to be forwarded are one write, and so are the forwarded call and the removal of the note: a
//! crash leaves either the note or the call, and of two nodes one removes it.
//! **Invariant:** what the destination itself, its webhooks or an alert could not deliver is not
//! forwarded: there are no loops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use super::alerts::Alerts;
use super::intake::commit_call;
use super::lanes::Lanes;
use super::shared::SharedParts;
use crate::delivery::Kind;
use crate::destinations::{FollowUpCall, forward};
use crate::error::{ErrorKind, Result};
use crate::execution::{DeliveryQuery, ExecutionInfo, ExecutionLog, delivery_json};
use crate::journal::Record;

/// The step of forwarded calls in the log.
const STEP: &str = "onFailed";
/// Dead letters that are forwarded side by side, so that the journal writes them together.
const AT_ONCE: usize = 64;
/// The pause after the journal refused a forwarded call.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// A dead letter that is to be forwarded.
#[derive(Debug)]
enum DeadLetter {
    /// The delivery at a place of its execution.
    Settled(Arc<ExecutionLog>, usize),
    /// A delivery of an earlier process.
    Stored(Uuid),
}

/// The way to the destination of dead letters.
#[derive(Debug)]
pub(super) struct Forwards {
    target: Kind,
    sender: UnboundedSender<DeadLetter>,
}

impl Forwards {
    /// Returns the way to a destination, and the receiver for [`begin_forwarding`].
    pub(super) fn new(target: Kind) -> (Self, DeadLetterReceiver) {
        let (sender, receiver) = unbounded_channel();
        (Self { target, sender }, DeadLetterReceiver(receiver))
    }

    /// Returns `true` if a record is forwarded when it fails.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let is_alert = Alerts::is_own(&record.execution.info);
        let is_own_webhook = self.target == Kind::Emit && record.payload.webhook().is_some();
        record.kind != self.target && !is_own_webhook && !is_alert
    }
}

/// The other end of [`Forwards`].
#[derive(Debug)]
pub(super) struct DeadLetterReceiver(UnboundedReceiver<DeadLetter>);

impl SharedParts {
    /// Returns `true` if the record is forwarded now that it failed.
    pub(super) fn is_forwarded(&self, record: &Record) -> bool {
        let takes = self.forwards.as_ref().is_some_and(|forwards| forwards.takes(record));
        takes && !self.stage.is_cut_off()
    }

    /// Forwards a record that failed. It counts as work until it is committed.
    pub(super) fn forward_record(&self, record: &Record) {
        self.forward(DeadLetter::Settled(Arc::clone(&record.execution), record.place));
    }

    /// Forwards a delivery that an earlier process, or another node, settled as failed.
    pub(super) fn forward_stored(&self, id: Uuid) {
        self.forward(DeadLetter::Stored(id));
    }

    fn forward(&self, dead: DeadLetter) {
        let Some(forwards) = &self.forwards else { return };
        self.pending.begin(1);
        if forwards.sender.send(dead).is_err() {
            self.end(1);
        }
    }

    /// Returns the delivery as JSON; `None`: the log does not have it any more.
    async fn dead_letter(
        &self,
        dead: DeadLetter,
    ) -> Result<Option<(Arc<ExecutionInfo>, String, Uuid)>> {
        let render = |kind, payload: &_| self.destinations.of(kind).describe(payload);
        let text = |info: &ExecutionInfo, entry: &_| delivery_json(info, entry, &render);
        Ok(match dead {
            DeadLetter::Settled(execution, place) => {
                let state = execution.state();
                let found = state.entries.get(place);
                let info = &execution.info;
                found.map(|entry| (Arc::clone(info), text(info, entry), entry.id))
            }
            DeadLetter::Stored(id) => {
                let ids = Some([id].into_iter().collect());
                let query = DeliveryQuery { ids, limit: Some(1), ..DeliveryQuery::default() };
                let found = self.journal.deliveries(&query, &[]).await?;
                found.first().map(|(info, entry)| (Arc::clone(info), text(info, entry), entry.id))
            }
        })
    }
}

/// Begins to forward, first what an earlier process left. Blocks.
///
/// # Errors
/// `Journal`.
pub(super) fn begin_forwarding(
    lanes: &Arc<Lanes>,
    receiver: Option<DeadLetterReceiver>,
) -> Result<()> {
    let shared = &lanes.shared;
    let Some(DeadLetterReceiver(receiver)) = receiver.filter(|_| shared.config.deliver) else {
        return Ok(());
    };
    for id in shared.journal.unforwarded()? {
        shared.forward_stored(id);
    }
    shared.tasks.runtime.spawn(forward_all(Arc::downgrade(lanes), receiver));
    Ok(())
}

/// Forwards dead letters until the engine is gone.
async fn forward_all(lanes: Weak<Lanes>, mut receiver: UnboundedReceiver<DeadLetter>) {
    let mut part = Vec::new();
    while receiver.recv_many(&mut part, AT_ONCE).await > 0 {
        let Some(lanes) = lanes.upgrade() else { return };
        let runtime = &lanes.shared.tasks.runtime;
        let forwarded =
            part.drain(..).map(|dead| runtime.spawn(forward_one(Arc::clone(&lanes), dead)));
        for forwarded in forwarded.collect::<Vec<_>>() {
            // A panic was reported by the panic itself.
            let _ = forwarded.await;
        }
    }
}

async fn forward_one(lanes: Arc<Lanes>, dead: DeadLetter) {
    if let Ok(Some((info, text, id))) = lanes.shared.dead_letter(dead).await {
        commit_forwarded(&lanes, &info, &text, id).await;
    }
    lanes.shared.end(1);
}

/// Commits the forwarded call, however long that takes. The engine's end leaves it to the journal.
async fn commit_forwarded(lanes: &Arc<Lanes>, info: &Arc<ExecutionInfo>, text: &str, id: Uuid) {
    let shared = &lanes.shared;
    let Some(forwards) = &shared.forwards else { return };
    let Some(payload) = forward::forwarded(forwards.target, text) else { return };
    loop {
        let call = FollowUpCall {
            workflow_id: info.workflow_id.to_string(),
            step: STEP.to_owned(),
            kind: forwards.target,
            payload: payload.clone(),
        };
        let Err(error) = commit_call(lanes, call, info, Some(id)).await else { return };
        if shared.stage.has_ended() {
            return;
        }
        if error.kind() != ErrorKind::JournalFull {
            shared.observers.events.journal_trouble(&error.to_string());
        }
        tokio::select! {
            // Memory may be free before that, or not at all while deliveries are paused.
            () = tokio::time::sleep(PAUSE_AFTER_TROUBLE) => {}
            () = shared.stage.ended() => return,
        }
    }
}
