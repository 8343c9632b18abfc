//! The SQL of ClickHouse. Pure.

use serde::{Deserialize, Serialize};

use super::super::names::Naming;
use super::super::plan::{Change, Plan};
use super::super::types::{Field, Fields, Type};

/// The column with a row's time of arrival.
const ARRIVED: &str = "_arrived_at";
/// The comment that marks a table as created here.
const OURS: &str = "$send.sql";

/// Blocks whose ids a table remembers. A batch is one block.
const REMEMBERED: usize = 1000;

/// The names of columns in ClickHouse. A dot has a meaning there; a nested value is a text.
pub(super) const NAMING: Naming =
    Naming { max_bytes: 200, taken: &[ARRIVED], reserved: &['.'], last: char::MAX, nested: false };

/// The content of a column's comment.
#[derive(Serialize, Deserialize)]
struct Comment {
    key: Box<str>,
    #[serde(rename = "type")]
    of: Type,
}

/// Returns the query for the name and the comment of each column, one array a line.
pub(super) fn look(database: &str, table: &str) -> String {
    format!(
        "SELECT name, comment FROM system.columns WHERE database = {} AND table = {} ORDER BY position \
         FORMAT JSONCompactEachRow",
        literal(database),
        literal(table)
    )
}

/// Returns the shape of a table from the result of [`look`]; `None`: there is no table.
///
/// # Errors
/// It was not created here.
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
        // A column that was added by hand has no such comment.
        if let Ok(Comment { key, of }) = serde_json::from_str(comment) {
            fields.0.insert(key, Field { name: name.as_str().into(), of });
        }
    }
    Ok(Some(fields))
}

/// A table, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableRef<'a> {
    pub database: &'a str,
    pub name: &'a str,
    /// The cluster whose hosts all have it.
    pub cluster: Option<&'a str>,
}

impl TableRef<'_> {
    fn qualified(self) -> String {
        format!("{}.{}", quoted(self.database), quoted(self.name))
    }

    /// Returns the qualified name for a statement that changes the table on all hosts.
    fn everywhere(self) -> String {
        let cluster = self.cluster.map(|name| format!(" ON CLUSTER {}", quoted(name)));
        self.qualified() + &cluster.unwrap_or_default()
    }
}

/// Returns the statement that applies a plan to a table; `None`: nothing has to change.
pub(super) fn change(of: TableRef<'_>, plan: &Plan) -> Option<String> {
    let table = of.everywhere();
    if plan.creates() {
        let mut columns: Vec<_> =
            plan.after.0.iter().map(|(key, field)| column(key, field)).collect();
        columns.push(format!(
            "{ARRIVED} DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT {}",
            literal(OURS)
        ));
        let (engine, window) = match of.cluster {
            None => ("MergeTree", "non_replicated_deduplication_window"),
            Some(_) => ("ReplicatedMergeTree", "replicated_deduplication_window"),
        };
        return Some(format!(
            "CREATE TABLE IF NOT EXISTS {table} ({}) ENGINE = {engine} ORDER BY {ARRIVED} SETTINGS \
             {window} = {REMEMBERED}",
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

/// Returns the numbers that ClickHouse writes otherwise than JavaScript as texts: `1e21`, not
/// `1e+21`.
///
/// Answers whether each of these columns has one, in one row.
pub(super) fn find_large(of: TableRef<'_>, columns: &[&str]) -> String {
    let each: Vec<_> =
        columns.iter().map(|name| format!("countIf(abs({}) >= 1e21)", quoted(name))).collect();
    format!("SELECT {} FROM {} FORMAT JSONCompactEachRow", each.join(", "), of.qualified())
}

/// Returns the statement that writes them as JavaScript does, once they are texts.
pub(super) fn rewrite_large(of: TableRef<'_>, columns: &[&str]) -> String {
    let form = literal(r"^(-?[0-9.]+e)([0-9]+)$");
    let each: Vec<_> = columns
        .iter()
        .map(|name| {
            let (name, new) = (quoted(name), literal(r"\1+\2"));
            format!("UPDATE {name} = replaceRegexpOne({name}, {form}, {new}) WHERE match({name}, {form})")
        })
        .collect();
    format!("ALTER TABLE {} {} SETTINGS mutations_sync = 2", of.everywhere(), each.join(", "))
}

/// Returns the statement that adds the rows which follow it. `token` is theirs alone.
pub(super) fn insert(of: TableRef<'_>, columns: &[&Field], token: &str) -> String {
    let names: Vec<_> = columns.iter().map(|field| quoted(&field.name)).collect();
    let names = if names.is_empty() { ARRIVED.to_owned() } else { names.join(", ") };
    format!(
        "INSERT INTO {} ({names}) SETTINGS insert_deduplicate = 1, insert_deduplication_token = {}, \
         async_insert = 0, input_format_parallel_parsing = 0, input_format_skip_unknown_fields = 0, \
         input_format_defaults_for_omitted_fields = 1, date_time_input_format = 'basic', \
         precise_float_parsing = 1 FORMAT JSONEachRow\n",
        of.qualified(),
        literal(token)
    )
}

fn column(key: &str, field: &Field) -> String {
    let comment = Comment { key: key.into(), of: plain(&field.of) };
    let comment = serde_json::to_string(&comment).unwrap_or_default();
    format!("{} {} COMMENT {}", quoted(&field.name), column_type(&field.of), literal(&comment))
}

/// Returns the same type without what is below: that is in the text.
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

    const TABLE: TableRef<'_> = TableRef { database: "d", name: "t", cluster: None };

    #[test]
    fn a_table_of_a_cluster_is_on_all_its_hosts() {
        let of = TableRef { cluster: Some("my cluster"), ..TABLE };
        let created = change(of, &plan(None, r#"{"a":1}"#)).unwrap();
        let begin = "CREATE TABLE IF NOT EXISTS `d`.`t` ON CLUSTER `my cluster` (`a` ";
        assert!(created.starts_with(begin), "{created}");
        let end = "ENGINE = ReplicatedMergeTree ORDER BY _arrived_at SETTINGS \
                   replicated_deduplication_window = 1000";
        assert!(created.ends_with(end), "{created}");
        let before = plan(None, r#"{"a":1}"#).after;
        let changed = change(of, &plan(Some(before), r#"{"b":1}"#)).unwrap();
        let begin = "ALTER TABLE `d`.`t` ON CLUSTER `my cluster` ADD COLUMN";
        assert!(changed.starts_with(begin), "{changed}");
        assert!(insert(of, &[], "x").starts_with("INSERT INTO `d`.`t` ("));
    }

    #[test]
    fn a_table_says_itself_what_it_is() {
        let first = plan(None, r#"{"a.b":1,"it's":{"x":1},"l":[1]}"#);
        let statement = change(TABLE, &first).unwrap();
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
        assert_eq!(change(TABLE, &plan(read.clone(), r#"{"it's":{"y":[]},"l":[{}]}"#)), None);
        let wider = change(TABLE, &plan(read, r#"{"a.b":"x","n":true}"#)).unwrap();
        assert!(wider.contains("MODIFY COLUMN `a_b` Nullable(String)"), "{wider}");
        assert!(wider.contains("ADD COLUMN IF NOT EXISTS `n` Nullable(Bool)"), "{wider}");
        assert_eq!(shape(&[]), Ok(None));
    }
}
