//! A record says what its kind says, and nothing more.
//!
//! Readers elsewhere pass over members that they do not know. A record is kept as it was signed,
//! so what nobody reads would be kept all the same: a contact beside an app, a message's text
//! beside the box that it is sealed in (invariants I1, I2 and I5). A later version of the format
//! that says more has another version number.

use candour_wire::record::Record;
use serde_json::Value;

/// Whether the payload has only members that `record`, which was read from it, has as well. A
/// member without a value is to be left out.
pub(super) fn all_known(payload: &[u8], record: &Record) -> bool {
    // What our own agent sends is what is written again, byte for byte, and that is soon seen.
    serde_json::to_vec(record).is_ok_and(|written| written == payload) || covers(payload, record)
}

fn covers(payload: &[u8], record: &Record) -> bool {
    match (
        serde_json::from_slice(payload),
        serde_json::to_value(record),
    ) {
        (Ok(given), Ok(known)) => covered(&given, &known),
        _ => false,
    }
}

fn covered(given: &Value, known: &Value) -> bool {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given
            .iter()
            .all(|(name, value)| known.get(name).is_some_and(|known| covered(value, known))),
        (Value::Array(given), Value::Array(known)) => {
            given.len() == known.len() && given.iter().zip(known).all(|(a, b)| covered(a, b))
        }
        (Value::Object(_) | Value::Array(_), _) => false,
        _ => true,
    }
}
