//! `replace(text, from, to)`: every `from`; an empty one is nowhere.

use crate::udf::{Form, Function, Type, check_text};

pub(super) const FUNCTION: Function = Function::new(
    "replace",
    "Replaces every occurrence of a text by another.",
    &[Form::new(&[Type::Text, Type::Text, Type::Text], Type::Text, |call| {
        let (texts, from, to) = (call.text(0), call.text(1), call.text(2));
        call.map_text(|row| {
            let text = texts.value(row);
            Ok(Some(match from.value(row) {
                "" => text.to_string(),
                from => {
                    let found = text.matches(from).count();
                    check_text(
                        (text.len() - found * from.len()).saturating_add(found.saturating_mul(to.value(row).len())),
                    )?;
                    text.replace(from, to.value(row))
                }
            }))
        })
    })],
);
