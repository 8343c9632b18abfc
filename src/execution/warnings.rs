//! Warnings of a delivery. Most deliveries have none, so the type has the size of a pointer.

use serde::{Serialize, Serializer};

/// Sentences for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(
    #[expect(clippy::box_collection, reason = "a third of the size")] Option<Box<Vec<String>>>,
);

impl Warnings {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Adds one.
    pub fn push(&mut self, warning: String) {
        self.0.get_or_insert_default().push(warning);
    }

    /// Removes the last one.
    pub fn pop(&mut self) {
        if let Some(all) = &mut self.0 {
            all.pop();
        }
    }
}

impl From<Vec<String>> for Warnings {
    fn from(warnings: Vec<String>) -> Self {
        Self(if warnings.is_empty() { None } else { Some(Box::new(warnings)) })
    }
}

impl Extend<String> for Warnings {
    fn extend<I: IntoIterator<Item = String>>(&mut self, warnings: I) {
        warnings.into_iter().for_each(|warning| self.push(warning));
    }
}

impl Serialize for Warnings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}
