//! The SQL of PostgreSQL. Pure.

use super::super::names::Naming;
use super::super::plan::{Change, Plan};
use super::super::types::{Field, Type};

/// When a row arrived.
const ARRIVED: &str = "_arrived_at";

/// What PostgreSQL can call a column. Fields below one are keys of a `jsonb`.
pub(super) const NAMING: Naming = Naming {
    max_bytes: MAX_NAME,
    taken: &[ARRIVED, "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"],
    reserved: &[],
    nested: false,
};

/// Bytes that a name may have: PostgreSQL cuts longer ones.
pub(super) const MAX_NAME: usize = 63;

/// Columns that a table may have. PostgreSQL takes 1,600, and a row of less than 8,160 bytes: so many
/// numbers fit.
pub(super) const MAX_COLUMNS: usize = 1000;

/// What every transaction begins with, so that values read as they are written here whatever the
/// server's defaults are.
pub(super) fn session(timeout_ms: u128) -> String {
    format!(
        "SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL idle_in_transaction_session_timeout \
         = {timeout_ms}; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; SET LOCAL \
         extra_float_digits = 1; SET LOCAL standard_conforming_strings = on; SET LOCAL search_path \
         = pg_catalog"
    )
}

/// Whether everything is there that batches need: the tables that say what is loaded, and the
/// schema `$1`.
pub(super) const IS_PREPARED: &str = "
    SELECT to_regclass('dollar_send.batches') IS NOT NULL
        AND EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";

const MAKE_RECORDS: &str = "
    SELECT pg_advisory_xact_lock(hashtextextended('dollar_send', 0));
    CREATE SCHEMA IF NOT EXISTS dollar_send;
    CREATE TABLE IF NOT EXISTS dollar_send.tables (
        schema_name text NOT NULL,
        table_name text NOT NULL,
        shape text NOT NULL,
        PRIMARY KEY (schema_name, table_name)
    );
    CREATE TABLE IF NOT EXISTS dollar_send.batches (
        id text PRIMARY KEY,
        schema_name text NOT NULL,
        table_name text NOT NULL,
        refused text NOT NULL,
        loaded_at timestamptz NOT NULL
    );
    CREATE INDEX IF NOT EXISTS batches_by_table
        ON dollar_send.batches (schema_name, table_name, loaded_at)";

/// Waits for whoever else loads into a table. `$1` is the schema, `$2` the table.
pub(super) const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'dollar_send', $1, $2), 0))";

/// What is there: `$1` is the schema, `$2` the table, `$3` the batch.
pub(super) const LOOK: &str = "
    SELECT
        (SELECT refused FROM dollar_send.batches WHERE id = $3) AS refused,
        (SELECT shape FROM dollar_send.tables WHERE schema_name = $1 AND table_name = $2) AS shape,
        EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND c.relname = $2) AS has_table";

/// Writes down that a batch is loaded, and which of its rows are not. `$4` is the latter.
pub(super) const RECORD_BATCH: &str = "
    INSERT INTO dollar_send.batches (schema_name, table_name, id, refused, loaded_at)
    VALUES ($1, $2, $3, $4, now())";

/// Writes down what a table is. `$3` is that.
pub(super) const RECORD_SHAPE: &str = "
    INSERT INTO dollar_send.tables (schema_name, table_name, shape) VALUES ($1, $2, $3)
    ON CONFLICT (schema_name, table_name) DO UPDATE SET shape = excluded.shape";

/// Forgets batches that nobody will try to load again.
pub(super) const FORGET_BATCHES: &str = "
    DELETE FROM dollar_send.batches
    WHERE schema_name = $1 AND table_name = $2 AND loaded_at < now() - interval '90 days'";

/// The statements that make it. One at a time does: `IF NOT EXISTS` alone lets two meet.
pub(super) fn prepare(schema: &str) -> String {
    format!("{MAKE_RECORDS}; CREATE SCHEMA IF NOT EXISTS {}", quoted(schema))
}

/// The statement that makes a table what a plan asks for; `None`: it is that already.
pub(super) fn change(schema: &str, table: &str, plan: &Plan) -> Option<String> {
    let table = qualified(schema, table);
    if plan.creates() {
        let mut columns: Vec<_> = plan.after.0.values().map(column).collect();
        columns.push(format!("{} timestamptz NOT NULL DEFAULT now()", quoted(ARRIVED)));
        return Some(format!("CREATE TABLE {table} ({})", columns.join(", ")));
    }
    let actions: Vec<_> = plan.changes().filter_map(|change| action(&change)).collect();
    (!actions.is_empty()).then(|| format!("ALTER TABLE {table} {}", actions.join(", ")))
}

fn action(change: &Change<'_>) -> Option<String> {
    match change {
        Change::Add { name, of } => {
            Some(format!("ADD COLUMN {} {}", quoted(name), column_type(of)))
        }
        Change::Convert { from, to, .. } if column_type(from) == column_type(to) => None,
        Change::Convert { name, from, to } => {
            let (name, of) = (quoted(name), column_type(to));
            let value = converted(&name, from, of);
            Some(format!("ALTER COLUMN {name} TYPE {of} USING {value}"))
        }
    }
}

/// The statement that copies rows into these columns.
pub(super) fn copy(schema: &str, table: &str, columns: &[&Field]) -> String {
    let names: Vec<_> = columns.iter().map(|field| quoted(&field.name)).collect();
    let names = if names.is_empty() { quoted(ARRIVED) } else { names.join(", ") };
    format!("COPY {} ({names}) FROM STDIN", qualified(schema, table))
}

/// A stored value as another type: as a text, or as anything if there was nothing but `NULL`.
fn converted(value: &str, from: &Type, to: &str) -> String {
    match from {
        Type::Null => format!("NULL::{to}"),
        // As JavaScript writes numbers: with an exponent from 1e21 on and below 1e-6.
        Type::Double => format!(
            "CASE WHEN {value} = 0 OR abs({value}) >= 1e-6 AND abs({value}) < 1e21 THEN \
             {value}::text::numeric::text ELSE replace({value}::text, 'e-0', 'e-') END"
        ),
        _ => format!("{value}::text"),
    }
}

fn column(field: &Field) -> String {
    format!("{} {}", quoted(&field.name), column_type(&field.of))
}

const fn column_type(of: &Type) -> &'static str {
    match of {
        Type::Null | Type::Varchar => "text",
        Type::Boolean => "boolean",
        Type::Double => "double precision",
        Type::Date => "date",
        Type::Timestamp => "timestamp",
        Type::List(_) | Type::Struct(_) => "jsonb",
    }
}

fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
