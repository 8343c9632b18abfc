//! Options of the command `migrate`.

use serde::Deserialize;

use super::journal::{SharedJournalOptions, key};
use super::place::{Function, Place, parse};
use crate::engine::MoveOptions;
use crate::error::Result;

/// The options of a move, as the command passes them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawMoveOptions {
    from: String,
    from_key: Option<String>,
    to: SharedJournalOptions,
    key: Option<String>,
}

/// Reads the options of a move.
///
/// # Errors
/// `InvalidOption`, with the name of the option.
pub(in crate::binding) fn read_move(text: &str) -> Result<MoveOptions> {
    let options: RawMoveOptions = parse(Function::Migrate, text)?;
    let place = Place::root(Function::Migrate);
    let bytes = |name: &str, text: &str| {
        key(text).map_err(|_| {
            place.refuse(name, "must be 32 bytes, or their base64 or hexadecimal text")
        })
    };
    let Some(shared) = &options.key else {
        return Err(place.refuse("key", "is needed: the key of the fleet"));
    };
    let shards = options.to.shards.is_some();
    let (server, ca, schema, number) = options.to.read(&place)?;
    Ok(MoveOptions {
        directory: options.from.into(),
        directory_key: options
            .from_key
            .as_deref()
            .map(|text| bytes("fromKey", text))
            .transpose()?,
        server,
        ca,
        schema,
        shards: shards.then_some(number),
        key: bytes("key", shared)?,
    })
}
