//! The standard library, with the locks and atomics of Shuttle, which decides the order of their steps.

pub use ::std::*;

/// Those that Shuttle has, and `Arc`s and cells of the standard library.
pub mod sync {
    pub use ::std::sync::{LazyLock, OnceLock};
    pub use shuttle::sync::*;
}

/// The threads of Shuttle.
pub mod thread {
    pub use shuttle::thread::*;
}
