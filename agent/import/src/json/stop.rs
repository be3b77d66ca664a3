//! Why reading a whole file ended early, and what that means for its conversation.

use super::Broken;
use crate::{Caveat, ImportError};

/// Why the way through a file ended before its end.
pub(crate) enum Stop {
    /// The file is cut off or damaged; what came before is taken.
    At(Broken),
    /// The file is refused.
    For(ImportError),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::At(broken)
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::For(error)
    }
}

impl Stop {
    /// What is to be said of a file that was read to `end`.
    ///
    /// # Errors
    ///
    /// When the file is refused.
    pub(crate) fn caveat(end: Result<(), Self>) -> Result<Option<Caveat>, ImportError> {
        match end {
            Ok(()) => Ok(None),
            Err(Self::At(broken)) => Ok(Some(broken.caveat())),
            Err(Self::For(error)) => Err(error),
        }
    }
}

impl Broken {
    /// What is to be said of a file that breaks in this way.
    pub(crate) const fn caveat(self) -> Caveat {
        match self {
            Self::End => Caveat::CutOff,
            Self::Bad => Caveat::Unreadable,
        }
    }
}
