//! The SQL of ClickHouse. Pure.

use serde::{Deserialize, Serialize};

use super::super::names::Naming;
use super::super::plan::{Change, Plan};
use super::super::types::{Field, Fields, Type};

/// When a row arrived.
const ARRIVED: &str = "_arrived_at";
/// What its comment says: that the table was made here.
const OURS: &str = "$send.sql";

/// Blocks whose ids a table remembers. A batch is one block.
const REMEMBERED: usize = 1000;

/// What ClickHouse can call a column. A dot means something to it; a value that is nested is a text.
pub(super) const NAMING: Naming =
    Naming { max_bytes: 200, taken: &[ARRIVED], reserved: &['.'], nested: false };

/// What the comment of a column says of it.
#[derive(Serialize, Deserialize)]
struct Comment {
    key: Box<str>,
    #[serde(rename = "type")]
    of: Type,
}

/// Answers the name and the comment of each column, one array a line.
pub(super) fn look(database: &str, table: &str) -> String {
    format!(
        "SELECT name, comment FROM system.columns WHERE database = {} AND table = {} ORDER BY position \
         FORMAT JSONCompactEachRow",
        literal(database),
        literal(table)
    )
}

/// What a table is, from the answer to [`look`]: `None`: there is none.
///
/// # Errors
/// It was not made here.
pub(super) fn shape(columns: &[(String, String)]) -> Result<Option<Fields>, ()> {
    if columns.is_empty() {
        return Ok(None);
    }
    if !columns.iter().any(|(name, comment)| name == ARRIVED && comment == OURS) {
        return Err(());
    }
    let mut fields = Fields::default();
    for (name, comment) in columns {
        // A column that somebody else added says nothing.
        if let Ok(Comment { key, of }) = serde_json::from_str(comment) {
            fields.0.insert(key, Field { name: name.as_str().into(), of });
        }
    }
    Ok(Some(fields))
}

/// The statement that makes a table what a plan asks for; `None`: it is that already.
pub(super) fn change(database: &str, table: &str, plan: &Plan) -> Option<String> {
    let table = qualified(database, table);
    if plan.creates() {
        let mut columns: Vec<_> =
            plan.after.0.iter().map(|(key, field)| column(key, field)).collect();
        columns.push(format!(
            "{ARRIVED} DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT {}",
            literal(OURS)
        ));
        return Some(format!(
            "CREATE TABLE IF NOT EXISTS {table} ({}) ENGINE = MergeTree ORDER BY {ARRIVED} SETTINGS \
             non_replicated_deduplication_window = {REMEMBERED}",
            columns.join(", ")
        ));
    }
    let field = |name: &str| plan.after.0.iter().find(|(_, field)| &*field.name == name);
    let actions = plan.changes().filter_map(|change| {
        let (verb, name) = match change {
            Change::Add { name, .. } => ("ADD COLUMN IF NOT EXISTS", name),
            Change::Convert { from, to, .. } if plain(from) == plain(to) => return None,
            Change::Convert { name, .. } => ("MODIFY COLUMN", name),
        };
        field(name).map(|(key, field)| format!("{verb} {}", column(key, field)))
    });
    let actions: Vec<_> = actions.collect();
    (!actions.is_empty()).then(|| {
        let actions = actions.join(", ");
        format!("ALTER TABLE {table} {actions} SETTINGS alter_sync = 2, mutations_sync = 2")
    })
}

/// The statement that adds the rows which follow it.
pub(super) fn insert(database: &str, table: &str, columns: &[&Field], batch: &str) -> String {
    let names: Vec<_> = columns.iter().map(|field| quoted(&field.name)).collect();
    let names = if names.is_empty() { ARRIVED.to_owned() } else { names.join(", ") };
    format!(
        "INSERT INTO {} ({names}) SETTINGS insert_deduplicate = 1, insert_deduplication_token = {}, \
         async_insert = 0, input_format_parallel_parsing = 0, input_format_skip_unknown_fields = 0, \
         input_format_defaults_for_omitted_fields = 1, date_time_input_format = 'basic', \
         precise_float_parsing = 1 FORMAT JSONEachRow\n",
        qualified(database, table),
        literal(batch)
    )
}

fn column(key: &str, field: &Field) -> String {
    let comment = Comment { key: key.into(), of: plain(&field.of) };
    let comment = serde_json::to_string(&comment).unwrap_or_default();
    format!("{} {} COMMENT {}", quoted(&field.name), column_type(&field.of), literal(&comment))
}

/// The same type without what is below: that is in the text.
fn plain(of: &Type) -> Type {
    match of {
        Type::List(_) => Type::List(Box::new(Type::Null)),
        Type::Struct(_) => Type::Struct(Fields::default()),
        plain => plain.clone(),
    }
}

const fn column_type(of: &Type) -> &'static str {
    match of {
        Type::Null | Type::Varchar | Type::List(_) | Type::Struct(_) => "Nullable(String)",
        Type::Boolean => "Nullable(Bool)",
        Type::Double => "Nullable(Float64)",
        Type::Date => "Nullable(Date32)",
        Type::Timestamp => "Nullable(DateTime64(6, 'UTC'))",
    }
}

fn qualified(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::super::super::rows::RowSet;
    use super::super::super::types::MAX_COLUMNS;
    use super::*;

    fn plan(before: Option<Fields>, row: &str) -> Plan {
        let mut rows = RowSet::default();
        rows.add(row.to_owned().into()).unwrap();
        Plan::new(before, &rows, NAMING, MAX_COLUMNS)
    }

    #[test]
    fn a_table_says_itself_what_it_is() {
        let first = plan(None, r#"{"a.b":1,"it's":{"x":1},"l":[1]}"#);
        let statement = change("d", "t", &first).unwrap();
        assert!(statement.contains("`a_b` Nullable(Float64) COMMENT"), "{statement}");
        let columns = first.after.0.iter().map(|(key, field)| {
            let comment = Comment { key: key.clone(), of: plain(&field.of) };
            (field.name.to_string(), serde_json::to_string(&comment).unwrap())
        });
        let mut columns: Vec<_> = columns.collect();
        assert_eq!(shape(&columns), Err(()));
        columns.push((ARRIVED.to_owned(), OURS.to_owned()));
        let read = shape(&columns).unwrap();
        // What is below a column changes nothing.
        assert_eq!(change("d", "t", &plan(read.clone(), r#"{"it's":{"y":[]},"l":[{}]}"#)), None);
        let wider = change("d", "t", &plan(read, r#"{"a.b":"x","n":true}"#)).unwrap();
        assert!(wider.contains("MODIFY COLUMN `a_b` Nullable(String)"), "{wider}");
        assert!(wider.contains("ADD COLUMN IF NOT EXISTS `n` Nullable(Bool)"), "{wider}");
        assert_eq!(shape(&[]), Ok(None));
    }
}
