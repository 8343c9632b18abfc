//! Rows as ClickHouse reads them in its format `JSONEachRow`. Pure.

use super::super::json;
use super::super::plan::Plan;
use super::super::rows::RowSet;
use super::super::types::{Field, Fields, Type};

/// The years that a `Date32` and a `DateTime64` have.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2299;

/// Returns the columns that the rows of a batch go to.
pub(super) fn columns<'a>(table: &'a Fields, batch: &Fields) -> Vec<&'a Field> {
    let used = table.0.iter().filter(|(key, _)| batch.0.contains_key(*key));
    used.map(|(_, field)| field).collect()
}

/// Makes texts of the columns with a day that ClickHouse does not know: it would store another one.
pub(super) fn keep_days(plan: &mut Plan, rows: &RowSet) {
    let mut unknown = Vec::new();
    for (_, row) in plan.taken(rows) {
        for (key, raw) in json::members(row) {
            let year = || raw.get(1..5).and_then(|year| year.parse().ok());
            let field = plan.after.0.get(key.as_ref());
            let timed = field.is_some_and(|f| matches!(f.of, Type::Date | Type::Timestamp));
            if timed && raw.starts_with('"') && !year().is_some_and(|year| YEARS.contains(&year)) {
                unknown.push(key.into_owned());
            }
        }
    }
    for key in unknown {
        if let Some(field) = plan.after.0.get_mut(key.as_str()) {
            field.of = Type::Varchar;
        }
    }
}

/// Writes one row, given as its JSON text, with a line break.
pub(super) fn write(row: &str, table: &Fields, out: &mut String) {
    let mut comma = "{";
    for (key, raw) in json::members(row) {
        let Some(field) = table.0.get(key.as_ref()) else { continue };
        out.push_str(comma);
        out.push_str(&text(&field.name));
        out.push(':');
        match field.of {
            Type::Boolean | Type::Double | Type::Date | Type::Timestamp | Type::Null => {
                out.push_str(raw);
            }
            _ if raw.starts_with('"') || raw == "null" => out.push_str(raw),
            // Whatever else it is, its JSON text.
            _ => out.push_str(&text(raw)),
        }
        comma = ",";
    }
    out.push_str(if comma == "{" { "{}\n" } else { "}\n" });
}

fn text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::super::types::MAX_COLUMNS;
    use super::super::dialect::NAMING;
    use super::*;

    fn lines(rows: &[&str]) -> String {
        let mut set = RowSet::default();
        for row in rows {
            set.add((*row).to_owned().into()).unwrap();
        }
        let mut plan = Plan::new(None, &set, NAMING, MAX_COLUMNS);
        keep_days(&mut plan, &set);
        let mut out = String::new();
        for (_, row) in plan.taken(&set) {
            write(row, &plan.after, &mut out);
        }
        out
    }

    #[test]
    fn a_row_is_one_object_with_the_names_of_the_columns() {
        for (rows, expected) in [
            (&[r#"{"a":1.5,"b":true,"c":null}"#][..], "{\"a\":1.5,\"b\":true,\"c\":null}\n"),
            (&[r#"{"a":1}"#, r#"{"a":"x"}"#], "{\"a\":\"1\"}\n{\"a\":\"x\"}\n"),
            (&[r#"{"a":{"b":"x"}}"#], "{\"a\":\"{\\\"b\\\":\\\"x\\\"}\"}\n"),
            (&[r#"{"a.b":1,"a_b":2}"#], "{\"a_b\":1,\"a_b_2\":2}\n"),
            (&["{}"], "{}\n"),
            (&[r#"{"d":"2021-01-01"}"#], "{\"d\":\"2021-01-01\"}\n"),
        ] {
            assert_eq!(lines(rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn days_that_clickhouse_does_not_know_are_texts() {
        let mut set = RowSet::default();
        for row in [r#"{"a":"2021-01-01","b":"2021-01-01"}"#, r#"{"a":"0800-12-25"}"#] {
            set.add(row.to_owned().into()).unwrap();
        }
        let mut plan = Plan::new(None, &set, NAMING, MAX_COLUMNS);
        keep_days(&mut plan, &set);
        assert_eq!((&plan.after.0["a"].of, &plan.after.0["b"].of), (&Type::Varchar, &Type::Date));
    }
}
