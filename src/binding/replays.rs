//! Dead letters for JavaScript: their replay and their dismissal.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::engine::Engine;
use super::types::ReplaySelection;

#[napi]
impl Engine {
    /// Replays the selected dead letters: failed calls that no replay has delivered and that were not
    /// dismissed. Each call is taken once, in the original order, as a new delivery of the same
    /// execution, linked by `replayOf`. Resolves when the new deliveries are as durable as
    /// `complete()` makes them. `skipped` has the selected deliveries that cannot be replayed, with
    /// the reason. Without `limit`, replays everything that the filter finds.
    ///
    /// `dryRun: true` returns the plan instead, and `{ plan: plan.id }` replays the calls of a plan and
    /// no others. After `signal` is aborted, no more calls are handed over: the rest stay dead letters.
    /// Calls that do not fit into `maxPendingBytes` wait. The event `replay` has the progress.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when nothing is selected, an id is malformed or a plan is
    /// not known any more,
    /// `ERR_SEND_JOURNAL_FULL`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(
        catch_unwind,
        ts_generic_types = "Options extends ReplayOptions",
        ts_args_type = "selection: ReplaySelection, options?: Options",
        ts_return_type = "Promise<Options extends { dryRun: true } ? ReplayPlan : ReplayResult>"
    )]
    pub fn replay<'env>(
        &self,
        env: &'env Env,
        selection: ReplaySelection,
        dry_run: bool,
        ticket: u32,
        cancelled: bool,
    ) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        let request = selection.into_request("engine.replay()");
        let handle = Arc::clone(&self.handle);
        self.ask(env, move |engine| {
            // Nothing is listed that is refused, or that only plans.
            let run = (!dry_run && open.is_ok() && request.is_ok()).then(|| engine.begin_replay());
            if let Some(run) = &run {
                handle.add_replay(ticket, run);
                if cancelled {
                    run.cancel();
                }
            }
            async move {
                open?;
                let selection = engine
                    .selection_of(request?)
                    .map_err(|error| error.within("engine.replay()"))?;
                let text = match run {
                    None => serde_json::to_string(&engine.plan_replay(&selection).await?),
                    Some(run) => serde_json::to_string(&engine.replay(&selection, &run).await?),
                };
                Ok(text.unwrap_or_default())
            }
        })
    }

    /// Cancels the replay with this ticket.
    #[napi(js_name = "_cancelReplay", catch_unwind, skip_typescript)]
    pub fn cancel_replay(&self, ticket: u32) {
        self.handle.cancel(ticket);
    }

    /// Dismisses the selected dead letters: they stay in the log as failed, do not count as failed
    /// calls of their execution, and no filter selects them for a replay. Returns their number.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn dismiss<'env>(
        &self,
        env: &'env Env,
        selection: ReplaySelection,
    ) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        let request = selection.into_request("engine.dismiss()");
        self.ask(env, async move |engine| {
            open?;
            let selection =
                engine.selection_of(request?).map_err(|error| error.within("engine.dismiss()"))?;
            let dismissed = engine.dismiss(&selection).await?;
            Ok(u32::try_from(dismissed).unwrap_or(u32::MAX))
        })
    }
}
