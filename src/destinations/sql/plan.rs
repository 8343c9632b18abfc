//! The changes that a table needs before it can take a batch. Pure.

use std::collections::BTreeMap;

use super::names::Naming;
use super::rows::{RowSet, admit};
use super::types::{Fields, Type};
use crate::delivery::Failure;

/// From what a table is to what it has to be.
#[derive(Debug)]
pub(super) struct Plan {
    /// The table as it is; `None`: there is none yet.
    before: Option<Fields>,
    /// The table as it has to be, every column named.
    pub after: Fields,
    /// The rows that it cannot take, by their places in the batch, and why.
    pub refused: BTreeMap<u32, Failure>,
}

/// One thing to be done to a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// A column that is new.
    Add {
        /// Its name.
        name: &'a str,
        /// Its type.
        of: &'a Type,
    },
    /// A column whose values become another type.
    Convert {
        /// Its name.
        name: &'a str,
        /// The old type.
        from: &'a Type,
        /// The new type.
        to: &'a Type,
    },
}

impl Plan {
    /// Returns the plan for a batch with these rows, in a warehouse with tables of so many columns.
    pub(super) fn new(
        before: Option<Fields>,
        rows: &RowSet,
        naming: Naming,
        max_columns: usize,
    ) -> Self {
        let mut after = before.clone().unwrap_or_default();
        let mut refused = BTreeMap::new();
        if after.columns_with(&rows.fields) <= max_columns {
            after.absorb(rows.fields.clone());
        } else {
            for (place, row) in (0..).zip(rows.texts()) {
                if !after.hold(row, 0)
                    && let Err(failure) = admit(&mut after, row, max_columns)
                {
                    refused.insert(place, failure);
                }
            }
        }
        naming.name_all(&mut after);
        Self { before, after, refused }
    }

    /// Returns whether a column is to change its type.
    pub(super) fn converts(&self) -> bool {
        self.changes().any(|change| matches!(change, Change::Convert { .. }))
    }

    /// Leaves the types of all columns as they are: rows that do not fit fail when they are added.
    pub(super) fn keep_types(&mut self) {
        for (key, known) in self.before.iter().flat_map(|fields| &fields.0) {
            if let Some(field) = self.after.0.get_mut(key) {
                field.of = known.of.clone();
            }
        }
    }

    /// Returns the rows that the table can take, with their places in the batch.
    pub(super) fn taken<'a>(&'a self, rows: &'a RowSet) -> impl Iterator<Item = (u32, &'a str)> {
        (0..).zip(rows.texts()).filter(|(place, _)| !self.refused.contains_key(place))
    }

    /// Returns whether the table is new.
    pub(super) const fn creates(&self) -> bool {
        self.before.is_none()
    }

    /// Returns the changes of an existing table.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.after.0.iter().filter_map(|(key, field)| {
            let name = &*field.name;
            let before = self.before.as_ref().and_then(|fields| fields.0.get(key));
            match before {
                None => Some(Change::Add { name, of: &field.of }),
                Some(known) if known.of == field.of => None,
                Some(known) => Some(Change::Convert { name, from: &known.of, to: &field.of }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::MAX_COLUMNS;
    use super::*;

    const NAMING: Naming =
        Naming { max_bytes: 63, taken: &[], reserved: &[], last: char::MAX, nested: true };

    fn table(row: &str) -> Fields {
        let mut fields = Fields::of(row, 0);
        NAMING.name_all(&mut fields);
        fields
    }

    fn set(rows: &[&str]) -> RowSet {
        let mut set = RowSet::default();
        for row in rows {
            set.add((*row).to_owned().into()).unwrap();
        }
        set
    }

    fn plan(before: &str, row: &str) -> Plan {
        Plan::new(Some(table(before)), &set(&[row]), NAMING, MAX_COLUMNS)
    }

    #[test]
    fn a_table_gets_the_columns_that_it_lacks_and_wider_ones() {
        let plan = plan(r#"{"ts":1,"b":true,"n":null}"#, r#"{"ts":"now","c":[],"n":1}"#);
        let changes: Vec<_> = plan.changes().collect();
        assert_eq!(
            changes,
            [
                Change::Convert { name: "ts", from: &Type::Double, to: &Type::Varchar },
                Change::Convert { name: "n", from: &Type::Null, to: &Type::Double },
                Change::Add { name: "c", of: &Type::List(Box::new(Type::Null)) },
            ]
        );
        assert!(!plan.creates());
    }

    #[test]
    fn types_that_are_kept_need_no_change() {
        let mut plan = plan(r#"{"a":1,"b":{"c":1}}"#, r#"{"a":"x","b":5,"d":1}"#);
        assert_eq!(plan.changes().count(), 3);
        plan.keep_types();
        let changes: Vec<_> = plan.changes().collect();
        assert_eq!(changes, [Change::Add { name: "d", of: &Type::Double }]);
    }

    #[test]
    fn a_table_that_holds_everything_stays_as_it_is() {
        assert_eq!(plan(r#"{"a":"x","b":{"c":1}}"#, r#"{"b":{},"a":5}"#).changes().count(), 0);
    }

    #[test]
    fn rows_that_would_make_a_table_too_wide_are_refused_one_by_one() {
        let wide: Vec<_> = (0..MAX_COLUMNS - 1).map(|n| format!(r#""c{n}":1"#)).collect();
        let before = table(&format!("{{{}}}", wide.join(",")));
        let rows = ["{\"c1\":2}", "{\"x\":1,\"y\":1}", "{\"z\":1}", "{\"c2\":\"x\"}", "{\"x\":1}"];
        let set = set(&rows);
        let plan = Plan::new(Some(before), &set, NAMING, MAX_COLUMNS);
        assert_eq!(plan.refused.keys().copied().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(plan.changes().count(), 2);
    }
}
