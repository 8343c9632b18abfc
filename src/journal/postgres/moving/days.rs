//! The partitions of the days of a log that is moved: they may be long past.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::Target;
use crate::error::Result;
use crate::journal::postgres::error::failed;
use crate::journal::postgres::partitions;

/// The times that a lock is waited for.
const TRIES: usize = 30;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(200);

impl Target {
    /// Makes the partitions that are not there. Rows of a day that can have none go to the table of
    /// others.
    pub(in crate::journal) async fn make_partitions(&mut self, days: &BTreeSet<u64>) -> Result<()> {
        for day in days {
            if !self.days.contains(day) && partitions::is_plausible(*day) {
                self.make_partition(*day).await?;
            }
            self.days.insert(*day);
        }
        Ok(())
    }

    async fn make_partition(&self, day: u64) -> Result<()> {
        for tried in 1.. {
            self.run(&self.begin).await?;
            let made = partitions::make_day(&self.client, day).await;
            let Err(error) = made else { return self.run("COMMIT").await };
            self.run("ROLLBACK").await?;
            match error.code() {
                // Rows of this day are among the others already.
                Some(code) if *code == SqlState::CHECK_VIOLATION => return Ok(()),
                Some(code)
                    if tried < TRIES
                        && [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]
                            .contains(code) =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return Err(failed(&error)),
            }
        }
        Ok(())
    }
}
