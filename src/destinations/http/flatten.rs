//! An object as the list of name and value pairs that a query or a form is made of.
//!
//! The rules are those of axios 1.x: `a: [1, 2]` is `a[]=1&a[]=2`; an array that holds objects or
//! arrays is numbered, `a[0][b]=1`; anything nested is `a[b][c]=1`; a name that ends in `{}` takes
//! JSON text and one that ends in `[]` is always a list; `null` is left out. Names of leaves are
//! trimmed, names on the way to them are not.

use std::borrow::Cow;

use super::json::{Node, NodeKind};
use crate::delivery::Failure;

/// The sink of the pairs. A failure ends the walk: names repeat their path, so the output can be
/// far larger than the input, and every sink has a bound.
pub(super) type Append<'s> = dyn FnMut(&str, &str) -> Result<(), Failure> + 's;

/// Appends every pair of `root`, an object or an array, in order.
pub(super) fn flatten(root: &Node<'_>, append: &mut Append<'_>) -> Result<(), Failure> {
    each(root, &mut |key, node| outermost(key, node, append))
}

fn outermost(key: &str, node: &Node<'_>, append: &mut Append<'_>) -> Result<(), Failure> {
    let name = trim(key);
    match &node.kind {
        NodeKind::Null => Ok(()),
        NodeKind::Array(_) | NodeKind::Object(_) if name.ends_with("{}") => append(name, node.raw),
        NodeKind::Array(items) if name.ends_with("[]") || !items.iter().any(Node::is_container) => {
            list(name, items, append)
        }
        NodeKind::Array(_) | NodeKind::Object(_) => {
            nested(&mut without_brackets(key).to_owned(), node, append)
        }
        NodeKind::Literal | NodeKind::Text(_) => append(name, &node.to_text()),
    }
}

fn list(name: &str, items: &[Node<'_>], append: &mut Append<'_>) -> Result<(), Failure> {
    let name = format!("{}[]", without_brackets(name));
    items
        .iter()
        .filter(|item| !matches!(item.kind, NodeKind::Null))
        .try_for_each(|item| append(&name, &item.to_text()))
}

fn nested(path: &mut String, node: &Node<'_>, append: &mut Append<'_>) -> Result<(), Failure> {
    each(node, &mut |key, child| {
        if matches!(child.kind, NodeKind::Null) {
            return Ok(());
        }
        let length = path.len();
        let key = if child.is_container() { key } else { trim(key) };
        path.extend(["[", without_brackets(key), "]"]);
        let appended = if child.is_container() {
            nested(path, child, append)
        } else {
            append(path, &child.to_text())
        };
        path.truncate(length);
        appended
    })
}

fn each(
    node: &Node<'_>,
    visit: &mut dyn FnMut(&str, &Node<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match &node.kind {
        NodeKind::Object(fields) => fields.iter().try_for_each(|(key, child)| visit(key, child)),
        NodeKind::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, child)| visit(&Cow::from(index.to_string()), child)),
        NodeKind::Null | NodeKind::Literal | NodeKind::Text(_) => Ok(()),
    }
}

fn without_brackets(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

/// Trims like `String.prototype.trim`, whose white space differs from Rust's in two characters.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<String> {
        let mut pairs = Vec::new();
        let node = Node::parse(text).unwrap();
        flatten(&node, &mut |name, value| {
            pairs.push(format!("{name}={value}"));
            Ok(())
        })
        .unwrap();
        pairs
    }

    #[test]
    fn names_follow_the_rules() {
        for (text, expected) in [
            (r#"{"a":1,"b":"x","c":null,"d":false}"#, vec!["a=1", "b=x", "d=false"]),
            (r#"{"a":[1,null,"2"],"b[]":[3]}"#, vec!["a[]=1", "a[]=2", "b[]=3"]),
            (r#"{"a":[{"b":1},2,[3]]}"#, vec!["a[0][b]=1", "a[1]=2", "a[2][0]=3"]),
            (r#"{"a":{"b":[1,2],"c":{}}}"#, vec!["a[b][0]=1", "a[b][1]=2"]),
            (
                r#"{"a{}":{"b":[1]},"c[]":[{"d":1},[1,null]]}"#,
                vec![r#"a{}={"b":[1]}"#, "c[]=[object Object]", "c[]=1,"],
            ),
            (r#"{" a ":" x ","\ufeffb[] ":{" c[] ":1}}"#, vec!["a= x ", "\u{feff}b[] [c]=1"]),
            (r#"["x",{"y":1}]"#, vec!["0=x", "1[y]=1"]),
        ] {
            assert_eq!(pairs(text), expected, "{text}");
        }
    }
}
