//! The names of the destinations: the methods of `$send`.

use std::sync::{PoisonError, RwLock};

/// Hands the built-in destinations to a macro: the variant of [`Kind`] of each, and its name. The name
/// is also that of its module, and the variant that of its type there.
///
/// **Invariant:** it is the only list of them that is written by hand. `npm run docs` takes it from the
/// addon, and generates those of JavaScript.
macro_rules! with_built_in {
    ($macro:ident) => {
        $macro! {
            Http http,
            Email email,
            S3 s3,
            Sql sql,
            Sse sse,
            Emit emit,
        }
    };
}
pub(crate) use with_built_in;

macro_rules! kind {
    ($($variant:ident $name:ident,)+) => {
        /// A destination by name. The order is the one of the documentation and of the wire between
        /// JavaScript and Rust: [`Kind::from_number`] reads it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(
                #[doc = concat!("`$send.", stringify!($name), "`")]
                $variant,
            )+
            /// One that is written in JavaScript.
            Custom(CustomName),
        }

        impl Kind {
            /// Every destination that is built in.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$variant),+];

            /// The method's name, as in `$send.NAME` and in the log.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                    Self::Custom(name) => name.name(),
                }
            }
        }
    };
}

with_built_in!(kind);

/// The name of a destination that is written in JavaScript: its place among [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomName(u16);

/// The names of custom destinations that this process has met. They are few, and never forgotten.
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());
/// Names that there may be.
const MAX_NAMES: usize = 1000;
/// Bytes that a name may have.
const MAX_NAME: usize = 64;

impl CustomName {
    fn of(name: &str) -> Option<Self> {
        let known = |names: &[&str]| names.iter().position(|known| *known == name);
        let place = known(&NAMES.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(place) = place {
            return u16::try_from(place).ok().map(Self);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known(&names) {
            return u16::try_from(place).ok().map(Self);
        }
        if names.len() >= MAX_NAMES || !is_name(name) {
            return None;
        }
        names.push(Box::leak(name.into()));
        u16::try_from(names.len() - 1).ok().map(Self)
    }

    fn name(self) -> &'static str {
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(self.0)).copied().unwrap_or_default()
    }
}

/// A name as a method has it.
fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    first && name.len() <= MAX_NAME && name.bytes().all(fine)
}

impl Kind {
    /// The number of the destination on the wire: custom ones follow those that are built in.
    #[must_use]
    pub fn number(self) -> u32 {
        let (place, before) = match self {
            Self::Custom(CustomName(place)) => (usize::from(place), Self::ALL.len()),
            known => (Self::ALL.iter().position(|kind| *kind == known).unwrap_or_default(), 0),
        };
        u32::try_from(place + before).unwrap_or(u32::MAX)
    }

    /// The destination of this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        if let Some(kind) = Self::ALL.get(place) {
            return Some(*kind);
        }
        let place = place - Self::ALL.len();
        let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).len();
        (place < known).then(|| u16::try_from(place).ok().map(CustomName).map(Self::Custom))?
    }

    /// The destination with this name: one that is built in, or else a custom one. `None`: no
    /// destination can be called so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.or_else(|| CustomName::of(name).map(Self::Custom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back_to_the_same_destination() {
        let custom = Kind::from_name("slack").unwrap();
        assert_eq!(custom.name(), "slack");
        assert_eq!(Kind::from_name("slack"), Some(custom));
        let other = Kind::from_name("teams").unwrap();
        assert_ne!(custom.number(), other.number());
        for kind in Kind::ALL.into_iter().chain([custom, other]) {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_number(60_000), None);
    }

    #[test]
    fn javascript_has_the_list() {
        let list = Kind::ALL.map(|kind| format!("'{}'", kind.name())).join(", ");
        for text in [
            include_str!("../../js/destinations/built-in.cjs"),
            include_str!("../../inspector/src/destinations.ts"),
        ] {
            let fresh = text.contains(&format!("[{list}]"));
            assert!(fresh, "run `npm run build:debug && npm run docs`");
        }
    }

    #[test]
    fn what_is_no_name_of_a_method_is_no_destination() {
        let long = "x".repeat(65);
        for name in ["", "1a", "a b", "a.b", "ä", "_x", "__proto__", "a\0", &long] {
            assert_eq!(Kind::from_name(name), None, "{name}");
        }
    }
}
