//! The SQL of DuckDB. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use super::super::names::Naming;
use super::super::plan::{Change, Plan};
use super::super::types::{Field, Fields, Type};
use crate::time::Timestamp;

/// The column with a row's time of arrival, which the views leave out.
const ARRIVED: &str = "_arrived_at";

/// Changes to a table past which it is made anew.
const MANY: usize = 32;

/// The names of columns in DuckDB.
pub(super) const NAMING: Naming = Naming {
    max_bytes: 200,
    taken: &[ARRIVED, "rowid"],
    reserved: &[],
    last: char::MAX,
    nested: true,
};

/// Returns the statements that apply a plan to a table.
pub(super) fn changes(table: &str, plan: &Plan) -> Vec<String> {
    let (data, view) = (data(table), quoted(table));
    let mut all = match plan.changes().count() {
        _ if plan.creates() => vec![creation(&data, plan)],
        0..=MANY => plan.changes().map(|change| alteration(&data, &change)).collect(),
        _ => rebuilding(table, plan),
    };
    if !all.is_empty() && !plan.after.0.is_empty() {
        // The view is the table as its users know it.
        all.insert(0, format!("DROP VIEW IF EXISTS {view}"));
        let columns: Vec<_> = plan.after.0.values().map(|field| quoted(&field.name)).collect();
        all.push(format!("CREATE VIEW {view} AS SELECT {} FROM {data}", columns.join(", ")));
    }
    all
}

fn creation(data: &str, plan: &Plan) -> String {
    let mut columns: Vec<_> = plan.after.0.values().map(column).collect();
    columns.push(format!("{} TIMESTAMP NOT NULL", quoted(ARRIVED)));
    format!("CREATE TABLE {data} ({})", columns.join(", "))
}

fn alteration(data: &str, change: &Change<'_>) -> String {
    match change {
        Change::Add { name, of } => {
            format!("ALTER TABLE {data} ADD COLUMN {} {}", quoted(name), column_type(of))
        }
        Change::Convert { name, from, to } => {
            let (name, of) = (quoted(name), column_type(to));
            let value = converted(&name, from, to, 0);
            format!("ALTER TABLE {data} ALTER COLUMN {name} SET DATA TYPE {of} USING {value}")
        }
    }
}

/// Returns the statements that put another table in the place of one. `ALTER TABLE` does one thing
/// at a time, and each time costs as much as there are columns.
fn rebuilding(table: &str, plan: &Plan) -> Vec<String> {
    // No table can be called so.
    let (data, new) = (data(table), data("_new"));
    let changed: HashMap<&str, String> = plan
        .changes()
        .map(|change| match change {
            Change::Add { name, of } => (name, format!("CAST(NULL AS {})", column_type(of))),
            Change::Convert { name, from, to } => (name, converted(&quoted(name), from, to, 0)),
        })
        .collect();
    let value =
        |field: &Field| changed.get(&*field.name).cloned().unwrap_or_else(|| quoted(&field.name));
    let mut values: Vec<_> = plan.after.0.values().map(value).collect();
    values.push(quoted(ARRIVED));
    vec![
        creation(&new, plan),
        format!("INSERT INTO {new} SELECT {} FROM {data}", values.join(", ")),
        format!("DROP TABLE {data}"),
        format!("ALTER TABLE {new} RENAME TO {}", quoted(table)),
    ]
}

/// Returns the statement that adds rows, of which `$1` has the lines.
pub(super) fn insert(table: &str, plan: &Plan, batch: &Fields, arrived: Timestamp) -> String {
    let columns: Vec<&Field> =
        plan.after.0.iter().filter(|(key, _)| batch.0.contains_key(*key)).map(|(_, f)| f).collect();
    let mut names: Vec<_> = columns.iter().map(|field| quoted(&field.name)).collect();
    names.push(quoted(ARRIVED));
    let structure: Vec<_> = columns
        .iter()
        .map(|field| format!("{}:{}", json(&field.name), structure(&field.of)))
        .collect();
    let (values, row) = if columns.is_empty() {
        ("", "NULL".to_owned())
    } else {
        let structure = literal(&format!("{{{}}}", structure.join(",")));
        ("row.*, ", format!("from_json(line, {structure})"))
    };
    let (data, arrived) = (data(table), time(arrived));
    format!(
        "INSERT INTO {data} ({}) SELECT {values}{arrived} FROM (SELECT {row} AS row FROM (SELECT \
         unnest(string_split(decode($1), chr(10))) AS line) WHERE line <> '')",
        names.join(", ")
    )
}

/// Returns the statements that write down that a batch is loaded, and what its table is if that is
/// new.
pub(super) fn records(table: &str, batch: &str, plan: &Plan, now: Timestamp) -> Vec<String> {
    let shape = serde_json::to_string(&plan.after).unwrap_or_default();
    let (table, batch, shape, now) = (literal(table), literal(batch), literal(&shape), time(now));
    let mut all = vec![format!("INSERT INTO dollar_send.batches VALUES ({batch}, {table}, {now})")];
    if plan.creates() || plan.changes().next().is_some() {
        all.push(format!("INSERT OR REPLACE INTO dollar_send.tables VALUES ({table}, {shape})"));
    }
    all
}

/// Returns the statements that write a new table as Parquet, and remove it.
pub(super) fn exports(table: &str, plan: &Plan, file: &Path) -> Vec<String> {
    let (data, view) = (data(table), quoted(table));
    let file = literal(&file.to_string_lossy());
    // There is no Parquet without a column.
    let is_empty = plan.after.0.is_empty();
    let rows =
        if is_empty { format!("SELECT NULL AS _ FROM {data}") } else { format!("FROM {view}") };
    let mut all = vec![format!("COPY ({rows}) TO {file} (FORMAT parquet, COMPRESSION zstd)")];
    if !is_empty {
        all.push(format!("DROP VIEW {view}"));
    }
    all.push(format!("DROP TABLE {data}"));
    all
}

fn data(table: &str) -> String {
    format!("data.{}", quoted(table))
}

fn column(field: &Field) -> String {
    format!("{} {}", quoted(&field.name), column_type(&field.of))
}

fn column_type(of: &Type) -> String {
    match of {
        Type::Null | Type::Varchar => "VARCHAR".to_owned(),
        Type::Boolean => "BOOLEAN".to_owned(),
        Type::Double => "DOUBLE".to_owned(),
        Type::Date => "DATE".to_owned(),
        Type::Timestamp => "TIMESTAMP".to_owned(),
        Type::List(element) => format!("{}[]", column_type(element)),
        // There is no object without a field: it is kept as its text until it has one.
        Type::Struct(fields) if fields.0.is_empty() => "VARCHAR".to_owned(),
        Type::Struct(fields) => {
            let all: Vec<_> = fields.0.values().map(column).collect();
            format!("STRUCT({})", all.join(", "))
        }
    }
}

/// Returns the structure that `from_json` converts a value to.
fn structure(of: &Type) -> String {
    match of {
        Type::List(element) => format!("[{}]", structure(element)),
        Type::Struct(fields) if !fields.0.is_empty() => {
            let each = |field: &Field| format!("{}:{}", json(&field.name), structure(&field.of));
            let all: Vec<_> = fields.0.values().map(each).collect();
            format!("{{{}}}", all.join(","))
        }
        plain => json(&column_type(plain)),
    }
}

/// Returns a stored value as another type. `depth` keeps the parameters of lambdas apart.
fn converted(value: &str, from: &Type, to: &Type, depth: usize) -> String {
    match (from, to) {
        (from, to) if from == to => value.to_owned(),
        (Type::Null, to) => format!("CAST(NULL AS {})", column_type(to)),
        (Type::List(from), Type::List(to)) => {
            let item = format!("x{depth}");
            let inner = converted(&item, from, to, depth + 1);
            format!("list_transform({value}, lambda {item}: {inner})")
        }
        (Type::Struct(from), Type::Struct(to)) => {
            let each = |(key, field)| {
                let (known, field): (_, &Field) = (from.0.get::<Box<str>>(key), field);
                let inner = known.map_or_else(
                    || format!("CAST(NULL AS {})", column_type(&field.of)),
                    |known| {
                        let part = part(value, &known.name);
                        converted(&part, &known.of, &field.of, depth + 1)
                    },
                );
                format!("{} := {inner}", quoted(&field.name))
            };
            let all: Vec<_> = to.0.iter().map(each).collect();
            format!("CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({}) END", all.join(", "))
        }
        (from, _) => text(value, from, depth),
    }
}

/// Returns a stored value as the text that it would be if it came now.
fn text(value: &str, of: &Type, depth: usize) -> String {
    match of {
        Type::Null => "CAST(NULL AS VARCHAR)".to_owned(),
        Type::Varchar => value.to_owned(),
        Type::Boolean | Type::Date | Type::Timestamp => format!("CAST({value} AS VARCHAR)"),
        Type::Double => number_text(value),
        Type::Struct(fields) if fields.0.is_empty() => value.to_owned(),
        Type::List(_) | Type::Struct(_) => {
            let json = json_text(value, of, depth);
            format!("CASE WHEN {value} IS NULL THEN NULL ELSE {json} END")
        }
    }
}

/// Returns a stored number as JavaScript writes it (`String(number)`). DuckDB has the same digits,
/// but an exponent of two digits below 1e-4 and from 1e16 on, and `.0` behind whole numbers.
fn number_text(value: &str) -> String {
    let (text, size) = (format!("CAST({value} AS VARCHAR)"), format!("abs({value})"));
    let part = |place| format!("split_part({text}, 'e', {place})");
    let digits = format!("replace({}, '.', '')", part(1));
    let exponent = format!("TRY_CAST({} AS INTEGER)", part(2));
    let sign = format!("CASE WHEN {value} < 0 THEN '-' ELSE '' END");
    format!(
        "CASE WHEN {value} = 0 THEN '0' \
         WHEN {size} >= 1e21 OR {size} < 1e-6 THEN regexp_replace({text}, 'e([+-])0+', 'e\\1') \
         WHEN {size} >= 1e16 THEN {sign} || rpad(ltrim({digits}, '-'), {exponent} + 1, '0') \
         WHEN {size} < 1e-4 THEN {sign} || '0.' || repeat('0', -{exponent} - 1) || ltrim({digits}, '-') \
         ELSE regexp_replace({text}, '\\.0$', '') END"
    )
}

/// Returns a stored value as JSON text, which is `null` for none.
fn json_text(value: &str, of: &Type, depth: usize) -> String {
    match of {
        Type::Null => literal("null"),
        Type::Boolean | Type::Double => format!("coalesce({}, 'null')", text(value, of, depth)),
        Type::Varchar | Type::Date | Type::Timestamp => {
            format!("coalesce(CAST(to_json({value}) AS VARCHAR), 'null')")
        }
        Type::List(element) => {
            let item = format!("x{depth}");
            let inner = json_text(&item, element, depth + 1);
            format!(
                "CASE WHEN {value} IS NULL THEN 'null' ELSE '[' || \
                 array_to_string(list_transform({value}, lambda {item}: {inner}), ',') || ']' END"
            )
        }
        Type::Struct(fields) if fields.0.is_empty() => format!("coalesce({value}, 'null')"),
        Type::Struct(fields) => {
            let mut all = Vec::with_capacity(fields.0.len());
            for (key, field) in &fields.0 {
                let comma = if all.is_empty() { "" } else { "," };
                let key = literal(&format!("{comma}{}:", json(key)));
                let inner = json_text(&part(value, &field.name), &field.of, depth + 1);
                all.push(format!("{key} || {inner}"));
            }
            let all = all.join(" || ");
            format!("CASE WHEN {value} IS NULL THEN 'null' ELSE '{{' || {all} || '}}' END")
        }
    }
}

fn part(value: &str, name: &str) -> String {
    format!("struct_extract({value}, {})", literal(name))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn time(at: Timestamp) -> String {
    let mut text = String::new();
    // Into a text nothing fails.
    let _ = write!(text, "make_timestamp({})", at.as_millis().saturating_mul(1000));
    text
}
