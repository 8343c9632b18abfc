//! The conditions of queries.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::params::{Columns, int};
use crate::execution::{DeliveryQuery, ExecutionQuery, Search};
use crate::time::Timestamp;

/// The conditions of a query and their values.
#[derive(Default)]
pub(super) struct Conditions {
    clauses: Vec<String>,
    pub(super) columns: Columns,
    count: usize,
}

impl Conditions {
    pub(super) fn of_deliveries(query: &DeliveryQuery) -> Self {
        let mut conditions = Self::default();
        if let Some(serial) = query.execution {
            conditions.number("d.execution = ", int(serial));
        }
        conditions.equal("e.workflow_id", query.workflow_id.as_deref());
        conditions.equal("e.execution_id", query.execution_id.as_deref());
        conditions.equal("d.step", query.step.as_deref());
        conditions.equal("d.destination", query.destination.as_deref());
        conditions.equal("d.status", query.status.as_deref());
        if let Some(ids) = &query.ids {
            let place = conditions.place();
            conditions.columns.add(Type::UUID_ARRAY, ids.iter().copied());
            conditions.and(&format!("d.id = ANY(${place})"));
        }
        if let Some(since) = query.settled_since {
            conditions.number("d.settled_at >= ", int(since.as_millis()));
        }
        if let Some(search) = &query.search {
            conditions.of_search(search);
        }
        conditions
    }

    fn of_search(&mut self, search: &Search) {
        for (clause, at) in [("d.id >= ", search.since), ("d.id < ", search.until)] {
            if let Some(at) = at {
                self.id(clause, first_at(at));
            }
        }
        if let Some(statuses) = search.statuses() {
            let names: Vec<_> = statuses.iter().map(|s| format!("'{}'", s.as_str())).collect();
            let names = if names.is_empty() { "NULL".to_owned() } else { names.join(", ") };
            self.clauses.push(format!("d.status IN ({names})"));
        }
    }

    pub(super) fn of_executions(query: &ExecutionQuery) -> Self {
        let mut conditions = Self::default();
        conditions.equal("e.workflow_id", query.workflow_id.as_deref());
        conditions.equal("e.execution_id", query.execution_id.as_deref());
        let search = query.search.as_deref();
        for (clause, at) in [
            ("e.started_at >= ", search.and_then(|search| search.since)),
            ("e.started_at < ", search.and_then(|search| search.until)),
        ] {
            if let Some(at) = at {
                conditions.number(clause, int(at.as_millis()));
            }
        }
        conditions
    }

    pub(super) fn place(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    pub(super) fn number(&mut self, clause: &str, value: i64) {
        let place = self.place();
        self.columns.number(value);
        self.clauses.push(format!("{clause}${place}"));
    }

    pub(super) fn id(&mut self, clause: &str, id: Uuid) {
        let place = self.place();
        self.columns.add(Type::UUID_ARRAY, [id]);
        self.clauses.push(format!("{clause}(${place}::uuid[])[1]"));
    }

    pub(super) fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let place = self.place();
            self.columns.text(value);
            self.clauses.push(format!("{column} = ${place}"));
        }
    }

    pub(super) fn and(&mut self, clause: &str) {
        self.clauses.push(clause.to_owned());
    }

    pub(super) fn text(&self) -> String {
        let all = self.clauses.join(" AND ");
        if all.is_empty() { String::new() } else { format!("WHERE {all}") }
    }
}

/// Returns the smallest id of a call that is recorded then: ids begin with the time.
pub(super) fn first_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.as_millis()) << 80)
}
