//! The SQL of PostgreSQL. Pure.

use super::super::names::Naming;
use super::super::plan::{Change, Plan};
use super::super::types::{Field, Type};

/// The column with a row's time of arrival.
pub(super) const ARRIVED: &str = "_arrived_at";

/// The names of columns in PostgreSQL. Fields below one are keys of a `jsonb`.
pub(in crate::destinations::sql) const NAMING: Naming = Naming {
    max_bytes: MAX_NAME,
    taken: &[ARRIVED, "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"],
    reserved: &[],
    last: char::MAX,
    nested: false,
};

/// Returns how columns are named in a database with this encoding, which not every character has.
pub(super) fn naming(encoding: &str) -> Naming {
    let last = match encoding {
        // The latter takes bytes as they come.
        "UTF8" | "SQL_ASCII" => char::MAX,
        "LATIN1" => '\u{ff}',
        _ => '\u{7f}',
    };
    Naming { last, ..NAMING }
}

/// Bytes that a name may have: PostgreSQL cuts longer ones.
pub(super) const MAX_NAME: usize = 63;

/// Columns that a table may have. PostgreSQL takes 1,600, and a row of less than 8,160 bytes: so many
/// numbers fit.
pub(super) const MAX_COLUMNS: usize = 1000;

/// Milliseconds that a change of a table waits for its users. Later users wait behind it, readers
/// too.
const LOCK_TIMEOUT_MS: u32 = 1000;

/// Returns the settings of every transaction, so that values are parsed as they are written here,
/// independent of the server's defaults.
pub(super) fn session(timeout_ms: u128) -> String {
    format!(
        "SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL idle_in_transaction_session_timeout \
         = {timeout_ms}; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; SET LOCAL \
         extra_float_digits = 1; SET LOCAL standard_conforming_strings = on; SET LOCAL search_path \
         = pg_catalog; SET CONSTRAINTS ALL IMMEDIATE"
    )
}

/// Queries whether all prerequisites exist: the tables of loaded batches, and the schema `$1`.
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

/// Waits for other loads into a table. `$1` is the schema, `$2` the table.
pub(super) const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'dollar_send', $1, $2), 0))";

/// Queries the existing state: `$1` is the schema, `$2` the table, `$3` the batch. The columns are
/// read as they are now, in every version of the server.
pub(super) const LOOK: &str = "
    SELECT
        current_setting('server_encoding') AS encoding,
        (SELECT refused FROM dollar_send.batches WHERE id = $3) AS refused,
        (SELECT shape FROM dollar_send.tables WHERE schema_name = $1 AND table_name = $2) AS shape,
        EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND c.relname = $2) AS has_table,
        (SELECT json_agg(json_build_object(
                'name', a.attname,
                'type', format_type(a.atttypid, a.atttypmod),
                'is_json', coalesce(nullif(t.typbasetype, 0), t.oid)
                    IN ('json'::regtype, 'jsonb'::regtype),
                'is_generated', coalesce(to_jsonb(a) ->> 'attgenerated', '') <> ''
            ) ORDER BY a.attnum)::text
         FROM pg_attribute a
         JOIN pg_class c ON c.oid = a.attrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_type t ON t.oid = a.atttypid
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped) AS columns";

/// Writes down that a batch is loaded, and which of its rows are not. `$4` is the latter.
pub(super) const RECORD_BATCH: &str = "
    INSERT INTO dollar_send.batches (schema_name, table_name, id, refused, loaded_at)
    VALUES ($1, $2, $3, $4, now())";

/// Writes down what a table is. `$3` is that.
pub(super) const RECORD_SHAPE: &str = "
    INSERT INTO dollar_send.tables (schema_name, table_name, shape) VALUES ($1, $2, $3)
    ON CONFLICT (schema_name, table_name) DO UPDATE SET shape = excluded.shape";

/// Deletes batches that will not be retried any more.
pub(super) const FORGET_BATCHES: &str = "
    DELETE FROM dollar_send.batches
    WHERE schema_name = $1 AND table_name = $2 AND loaded_at < now() - interval '90 days'";

/// Returns the statements that make it. One at a time does: `IF NOT EXISTS` alone lets two meet.
pub(super) fn prepare(schema: &str) -> String {
    format!("{MAKE_RECORDS}; CREATE SCHEMA IF NOT EXISTS {}", quoted(schema))
}

/// Returns the statements before and after a change of a table.
pub(super) fn impatiently(statement: &str) -> String {
    format!("SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; {statement}; SET LOCAL lock_timeout = 0")
}

/// Returns the statement that applies a plan to a table; `None`: nothing has to change.
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

/// Returns the statement that copies rows into these columns.
pub(super) fn copy(schema: &str, table: &str, columns: &[&Field]) -> String {
    let names: Vec<_> = columns.iter().map(|field| quoted(&field.name)).collect();
    let names = if names.is_empty() { quoted(ARRIVED) } else { names.join(", ") };
    format!("COPY {} ({names}) FROM STDIN", qualified(schema, table))
}

/// Returns a stored value as another type: as a text, or as anything if there was nothing but
/// `NULL`.
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

pub(super) const fn column_type(of: &Type) -> &'static str {
    match of {
        Type::Null | Type::Varchar => "text",
        Type::Boolean => "boolean",
        Type::Double => "double precision",
        Type::Date => "date",
        Type::Timestamp => "timestamp",
        Type::List(_) | Type::Struct(_) => "jsonb",
    }
}

/// Returns the server's own spelling of a type.
pub(super) fn type_name(of: &str) -> &str {
    if of == "timestamp" { "timestamp without time zone" } else { of }
}

fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
