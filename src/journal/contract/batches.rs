//! The suite of [`Batches`](crate::journal::Batches).

use super::{commit, completed, delivered, lane, sealed, status};
use crate::execution::Status;
use crate::journal::{Finished, Journal};

pub(super) async fn check<J: Journal>(open: &impl Fn() -> J) {
    records_of_a_batch_are_in_no_lane(open()).await;
}

async fn records_of_a_batch_are_in_no_lane(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "b", "a"], completed());
    journal.append(commit).await.unwrap();
    let joined: Vec<_> = std::iter::from_fn(|| journal.join(&lane("a"))).collect();
    let tenure = joined[0].1;
    let records: Vec<_> = joined.into_iter().map(|(record, _)| record).collect();
    assert_eq!(records.iter().map(|record| record.place).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(records.iter().map(status).collect::<Vec<_>>(), [Status::Batched; 2]);
    assert_eq!(journal.waiting(&lane("a")), 0);
    let sealed = sealed(&records, "b/key");
    let numbers = records.iter().map(|record| record.seq).collect();
    assert!(journal.seal(&sealed, tenure, numbers).await.unwrap());
    journal.note_batch(sealed.id, Some("upload 7")).await.unwrap();
    journal.conclude(sealed.id, "{}");
    for record in &records {
        assert!(matches!(journal.settle(record, delivered()), Finished::NotYet));
    }
    journal.forget_batch(sealed.id);
    journal.written().await;
    assert_eq!(execution.state().tally().delivered, 2);
    assert_eq!(journal.lease(&lane("b")).await.unwrap().place, 1);
}
