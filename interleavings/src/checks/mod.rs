//! Checks that hold in every order.

mod binding;
mod jobs;
mod lanes;
mod lifecycle;
mod work;

/// Each check with its name.
pub(crate) const ALL: [(&str, fn()); 12] = [
    ("a record is served whenever it comes", lanes::records_are_served),
    ("lanes share one worker", lanes::lanes_share_a_worker),
    ("a wait for the end of all work ends", work::drain_ends),
    ("a wait for the end spares work that waits for room", work::drain_spares_what_waits),
    ("a producer that waits for memory gets it", work::memory_is_given),
    ("a flush stores a batch that waits", work::flushes_are_heard),
    ("a job has one end", jobs::jobs_end_once),
    ("no job is left in its channel", jobs::jobs_are_taken),
    ("the last handle closes its engine", lifecycle::the_last_handle_closes),
    ("a handle that comes at the end of its thread is released", binding::handles_are_released),
    ("each completion hook gets its result", binding::hooks_get_results),
    ("a warning reaches the first listener once", binding::warnings_arrive_once),
];
