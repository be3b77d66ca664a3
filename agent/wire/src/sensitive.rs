//! A wrapper for message text and secrets.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// Holds content or a secret: no `Debug` of the value, no `Display`, wiped when dropped.
///
/// The only way to the value is [`Sensitive::expose`], and each call carries an `// EXPOSE:`
/// comment that says why the value may leave there.
///
/// It can be serialised, because sealing and the encrypted store need bytes; nothing that is
/// logged is ever built from a serialised record.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    /// Takes the value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the value. Each call site says why in an `// EXPOSE:` comment.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> std::fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<sensitive>")
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Sensitive<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T: Zeroize + Serialize> Serialize for Sensitive<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Sensitive<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use zeroize::Zeroize;

    use super::Sensitive;

    #[test]
    fn what_is_dropped_is_wiped_first() {
        struct Told(Rc<Cell<bool>>);

        impl Zeroize for Told {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }

        let wiped = Rc::new(Cell::new(false));
        drop(Sensitive::new(Told(Rc::clone(&wiped))));
        assert!(wiped.get());
        // EXPOSE: the test's own words.
        assert_eq!(Sensitive::from("as it was").expose(), "as it was");
    }

    #[test]
    fn debug_output_never_shows_the_value() {
        let secret = Sensitive::from("the Chancellor said yes");
        assert_eq!(format!("{secret:?}"), "<sensitive>");
        assert_eq!(format!("{:?}", Some(secret)), "Some(<sensitive>)");
    }
}
