//! Names of columns and fields in a warehouse. Pure.

use std::collections::HashSet;

use super::types::{Fields, Type};

/// A warehouse's rules for names of columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    /// Bytes that a name may have.
    pub max_bytes: usize,
    /// Names that it has uses of its own for, in lower case.
    pub taken: &'static [&'static str],
    /// Characters that mean something to it.
    pub reserved: &'static [char],
    /// The last character that it supports.
    pub last: char,
    /// True if the fields of objects are names too.
    pub nested: bool,
}

/// A key that is empty.
const NAMELESS: &str = "_";

impl Naming {
    /// Gives a name to each column that has none: its key, as far as the warehouse can call it so.
    /// Names do not differ by case alone, so `Name` beside `name` becomes `Name_2`.
    pub(super) fn name_all(self, columns: &mut Fields) {
        self.name(columns, self.taken);
    }

    fn name(self, fields: &mut Fields, taken: &[&str]) {
        let mut used: HashSet<String> = taken.iter().map(|name| (*name).to_owned()).collect();
        used.extend(fields.0.values().map(|field| folded(&field.name)));
        for (key, field) in &mut fields.0 {
            if field.name.is_empty() {
                field.name = self.free_name(key, &used).into();
                used.insert(folded(&field.name));
            }
            if self.nested {
                self.name_below(&mut field.of);
            }
        }
    }

    fn name_below(self, of: &mut Type) {
        match of {
            Type::List(element) => self.name_below(element),
            Type::Struct(fields) => self.name(fields, &[]),
            _ => {}
        }
    }

    fn free_name(self, key: &str, used: &HashSet<String>) -> String {
        let fine = |c: char| !c.is_control() && c <= self.last && !self.reserved.contains(&c);
        let plain: String = key.chars().map(|c| if fine(c) { c } else { '_' }).collect();
        let plain = if plain.is_empty() { NAMELESS } else { &plain };
        let first = cut(plain, self.max_bytes).to_owned();
        if !used.contains(&folded(&first)) {
            return first;
        }
        let numbered = (2_u32..).map(|number| {
            let end = format!("_{number}");
            format!("{}{end}", cut(plain, self.max_bytes - end.len()))
        });
        numbered.into_iter().find(|name| !used.contains(&folded(name))).unwrap_or(first)
    }
}

/// Names that only differ by this are the same to a warehouse.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming =
        Naming { max_bytes: 10, taken: &["ctid"], reserved: &['.'], last: '\u{ff}', nested: true };

    fn names(rows: &[&str]) -> Vec<String> {
        let mut fields = Fields::default();
        for row in rows {
            fields.absorb(Fields::of(row, 0));
            NAMING.name_all(&mut fields);
        }
        fields.0.values().map(|field| field.name.to_string()).collect()
    }

    #[test]
    fn a_column_is_called_as_its_key_and_else_as_near_to_it_as_may_be() {
        for (rows, expected) in [
            (&[r#"{"a":1,"b c":2,"ü":3}"#][..], &["a", "b c", "ü"][..]),
            (&[r#"{"Name":1,"name":2,"NAME":3}"#], &["Name", "name_2", "NAME_3"]),
            (&[r#"{"name":1}"#, r#"{"Name":1,"name":1}"#], &["name", "Name_2"]),
            (&[r#"{"name_2":1,"name":1,"Name":1}"#], &["name_2", "name", "Name_3"]),
            (&[r#"{"":1,"_":2,"a\nb":3}"#], &["_", "__2", "a_b"]),
            (&[r#"{"CTID":1,"a.b":2}"#], &["CTID_2", "a_b"]),
            (&[r#"{"é😀":1,"é😂":2}"#], &["é_", "é__2"]),
            (
                &[r#"{"aaaaaaaaaaaa":1,"aaaaaaaaaaab":2,"äääääää":3}"#],
                &["aaaaaaaaaa", "aaaaaaaa_2", "äääää"],
            ),
            (
                &[r#"{"__proto__":1,"constructor":2,"a\"b":3}"#],
                &["__proto__", "constructo", "a\"b"],
            ),
        ] {
            assert_eq!(names(rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn fields_of_objects_have_names_too() {
        let mut fields = Fields::of(r#"{"a":[{"x":1,"X":2}]}"#, 0);
        NAMING.name_all(&mut fields);
        let Type::List(element) = &fields.0["a"].of else { panic!("no list") };
        let Type::Struct(inner) = &**element else { panic!("no struct") };
        assert_eq!(&*inner.0["X"].name, "X_2");
    }
}
