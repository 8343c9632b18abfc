//! Commits that the disk refuses.

use std::sync::Arc;

use tokio::runtime::Builder;

use super::super::run::rest;
use super::disk::Disk;
use crate::config::Config;
use crate::delivery::Kind;
use crate::egress::SystemLookup;
use crate::engine::{Engine, Execution, Handle, Handover, Receipt, Run};
use crate::error::Result;
use crate::journal::{DiskFault, DiskFaults, Options, set_disk_faults};
use crate::time::simulated;

fn execution(engine: &Arc<Engine>) -> Arc<Execution> {
    let run = Run {
        workflow_id: "w".to_owned(),
        execution_id: None,
        attempt: 1,
        emit_depth: 0,
        trace: None,
        trigger: None,
    };
    engine.execution(run).unwrap()
}

fn record(execution: &Execution) {
    let step = execution.step("s").unwrap();
    let text = br#"{"name":"n","summary":"s"}"#.to_vec();
    execution.record(Kind::Emit, step, text, None).unwrap();
}

async fn kept(handover: Result<Handover>) -> Result<Receipt> {
    let Handover::Committing(committing) = handover.unwrap() else { unreachable!("it is durable") };
    committing.await
}

#[test]
fn a_completion_does_not_overtake_a_flush_that_is_refused() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let disk = Disk::new();
    runtime.block_on(async {
        simulated::begin(1);
        // Only files that are opened after the first call can fail.
        set_disk_faults(None);
        let journal = Some(Options::bare(disk.path()));
        let config = Config { journal, deliver: false, ..Config::default() };
        let handle = Handle::new(Engine::open(config, Arc::new(SystemLookup::new())).unwrap());
        let execution = execution(handle.engine());
        let fault = DiskFault::Sync;
        set_disk_faults(Some(DiskFaults { fault, syncs: 0, writes: 0, count: 1 }));
        record(&execution);
        let flush = execution.flush();
        record(&execution);
        let complete = execution.complete(None);
        let (flushed, completed) = tokio::join!(kept(flush), kept(complete));
        assert!(flushed.is_err());
        let message = completed.unwrap_err().to_string();
        assert!(
            message.starts_with("the calls before these could not be handed over"),
            "{message}"
        );
        rest().await;
        assert_eq!(handle.engine().stats().open_executions, 1);
        record(&execution);
        assert_eq!(kept(execution.complete(None)).await.unwrap().recorded, 3);
        assert_eq!(handle.engine().stats().recorded, 3);
        drop(handle);
    });
    drop(runtime);
    simulated::end();
}
