//! The standard library, with the locks and atomics of Shuttle, which decides the order of their steps.

pub use ::std::*;

/// Those that Shuttle has, and a cell before whose use others may go on.
pub mod sync {
    pub use shuttle::sync::*;

    /// That of the standard library.
    #[derive(Debug, Default)]
    pub struct OnceLock<T>(::std::sync::OnceLock<T>);

    impl<T> OnceLock<T> {
        pub const fn new() -> Self {
            Self(::std::sync::OnceLock::new())
        }

        pub fn get(&self) -> Option<&T> {
            shuttle::thread::yield_now();
            self.0.get()
        }

        pub fn get_or_init(&self, value: impl FnOnce() -> T) -> &T {
            shuttle::thread::yield_now();
            self.0.get_or_init(value)
        }
    }
}

/// The threads of Shuttle.
pub mod thread {
    pub use shuttle::thread::*;
}
