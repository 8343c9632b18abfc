//! The names of the destinations: the methods of `$send`.

/// A destination by name. The order is the one of the documentation and of the wire between
/// JavaScript and Rust: [`Kind::from_number`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `$send.http`
    Http,
    /// `$send.email`
    Email,
    /// `$send.s3`
    S3,
    /// `$send.sql`
    Sql,
    /// `$send.sse`
    Sse,
    /// `$send.emit`
    Emit,
}

impl Kind {
    /// Every destination.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Email, Self::S3, Self::Sql, Self::Sse, Self::Emit];

    /// The method's name, as in `$send.NAME` and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Email => "email",
            Self::S3 => "s3",
            Self::Sql => "sql",
            Self::Sse => "sse",
            Self::Emit => "emit",
        }
    }

    /// The destination at this place of [`Kind::ALL`].
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The destination with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back_to_the_same_destination() {
        for (number, kind) in (0_u32..).zip(Kind::ALL) {
            assert_eq!(Kind::from_number(number), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_number(6), None);
    }
}
