//! Parameters of statements, with their types. Unlike a prepared statement this needs no name at the
//! server, so that a pooler may be in between.

use std::borrow::Cow;

use tokio_postgres::types::{ToSql, Type};

/// The parameters of one statement.
#[derive(Default)]
pub(super) struct Params<'a>(Vec<(&'a (dyn ToSql + Sync), Type)>);

impl<'a> Params<'a> {
    /// Returns these parameters.
    pub(super) fn of(values: &[(&'a (dyn ToSql + Sync), Type)]) -> Self {
        Self(values.to_vec())
    }

    /// Returns them as the client takes them.
    pub(super) fn values(&self) -> &[(&'a (dyn ToSql + Sync), Type)] {
        &self.0
    }
}

/// Columns of rows that are written together, each an array.
#[derive(Default)]
pub(super) struct Columns(Vec<(Box<dyn ToSql + Sync + Send>, Type)>);

impl Columns {
    /// Adds a column.
    pub(super) fn add<T>(&mut self, kind: Type, values: impl IntoIterator<Item = T>) -> &mut Self
    where
        Vec<T>: ToSql + Sync + Send + 'static,
    {
        self.0.push((Box::new(values.into_iter().collect::<Vec<T>>()), kind));
        self
    }

    /// Adds a column of numbers.
    pub(super) fn numbers(&mut self, values: impl IntoIterator<Item = i64>) -> &mut Self {
        self.add(Type::INT8_ARRAY, values)
    }

    /// Adds a column of texts.
    pub(super) fn texts<'t>(
        &mut self,
        values: impl IntoIterator<Item = Option<Cow<'t, str>>>,
    ) -> &mut Self {
        let clean = |text: Cow<'_, str>| text.replace('\0', "\u{fffd}");
        self.add(Type::TEXT_ARRAY, values.into_iter().map(|text| text.map(clean)))
    }

    /// Adds one number that is no array.
    pub(super) fn number(&mut self, value: i64) -> &mut Self {
        self.0.push((Box::new(value), Type::INT8));
        self
    }

    /// Adds one text that is no array.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.0.push((Box::new(value.replace('\0', "\u{fffd}")), Type::TEXT));
        self
    }

    /// Returns them as the client takes them.
    pub(super) fn params(&self) -> Params<'_> {
        Params(
            self.0
                .iter()
                .map(|(value, kind)| {
                    let value: &(dyn ToSql + Sync) = &**value;
                    (value, kind.clone())
                })
                .collect(),
        )
    }
}

/// Converts a number or a time to the signed integers of the database; both stay far below the sign.
pub(super) const fn int(number: u64) -> i64 {
    number.cast_signed()
}
