//! Content as bytes, without copies that nobody wipes.

use std::io::{self, Write};

use serde::Serialize;
use zeroize::Zeroizing;

/// JSON of `value`, in memory that is wiped when it is dropped.
///
/// A buffer that grows leaves what it held behind each time it moves, so the length is found out
/// first and the buffer made once.
///
/// # Panics
///
/// Where `value` has a map whose keys are not texts, which no type of this crate has.
pub(crate) fn to_json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).expect("counting does not fail");
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, value).expect("writing to memory does not fail");
    json
}

/// Counts what it is given, and keeps nothing.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::to_json;

    #[test]
    fn the_buffer_is_made_once_and_is_as_long_as_what_it_holds() {
        for length in [0, 1, 100, 100_000] {
            let value = ("a \"quoted\" £".repeat(length), vec![1.5; length], length);
            let json = to_json(&value);
            assert_eq!(*json, serde_json::to_vec(&value).unwrap());
            assert_eq!(json.capacity(), json.len());
        }
    }
}
