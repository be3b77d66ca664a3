//! Which name was probably meant.

use std::fmt;

/// How alike two names must be to be suggested, from 0 to 1 (Jaro and Winkler).
const ALIKE: f64 = 0.7;

/// Follows the sentence that there is no such name: `; did you mean …?` where one is much like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint(Option<String>);

impl Hint {
    /// Looks for the one of the `known` names that is most like `name`.
    #[must_use]
    pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let alike = known
            .into_iter()
            .map(|known| (strsim::jaro_winkler(name, known), known));
        let nearest = alike
            .filter(|(likeness, _)| *likeness > ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Self(nearest.map(|(_, known)| known.to_owned()))
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}
