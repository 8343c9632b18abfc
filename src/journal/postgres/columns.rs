//! The columns that the statements of this version need, and the rights to their tables: what was changed
//! by hand is found before anything is taken.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::Params;
use super::error::{changed, without_rights};
use super::schema::{get, query};
use crate::error::Result;

/// Each column, and its type as PostgreSQL writes it.
pub(super) const COLUMNS: &str = include_str!("columns.txt");

/// The columns of the tables in the schema. A later layout may have more.
pub(super) const FOUND: &str = "
    SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
        has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attname";

/// Checks the tables of the current schema.
pub(super) async fn check(client: &Client) -> Result<()> {
    let mut found: HashMap<String, (String, bool)> = HashMap::new();
    for row in &query(client, FOUND, &Params::default()).await? {
        found.insert(get(row, 0)?, (get(row, 1)?, get(row, 2)?));
    }
    for (name, expected) in COLUMNS.lines().filter_map(|line| line.split_once(' ')) {
        let Some((kind, may_change)) = found.get(name) else {
            return Err(changed(&format!("{name} is missing")));
        };
        if kind != expected {
            return Err(changed(&format!("{name} is {kind}, not {expected}")));
        }
        if !may_change {
            let table = name.split('.').next().unwrap_or(name);
            return Err(without_rights(&format!("it may not read and write the table {table}")));
        }
    }
    Ok(())
}
