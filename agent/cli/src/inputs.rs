//! Texts that flags point to: `@FILE`, `@-`, `--text-file -`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use candour_wire::content::Text;
use candour_wire::{Code, Sensitive, limits};

use crate::failure::Failure;

/// Longest text that is read, in bytes: what one declaration can hold.
const TEXT_MAX_BYTES: u64 = limits::CONTENT_MAX_BYTES as u64;

/// Reads the texts of one command. Standard input can be read for one of them only.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    stdin_taken: bool,
}

impl Inputs {
    /// The text of a file, or of standard input for `-`.
    ///
    /// # Errors
    ///
    /// As [`Inputs::bytes`], and when it is not UTF-8.
    pub(crate) fn file(&mut self, path: &Path) -> Result<Text, Failure> {
        let text = String::from_utf8(self.bytes(path)?).map_err(|_| Failure::File {
            path: path.to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not text in UTF-8"),
        })?;
        // An editor ends a file with a line break that nobody wrote.
        Ok(Sensitive::new(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ))
    }

    /// The bytes of a file, or of standard input for `-`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is too long, or standard input was read before.
    pub(crate) fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, Failure> {
        let failed = |source| Failure::File {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        if path.as_os_str() == "-" {
            if std::mem::replace(&mut self.stdin_taken, true) {
                return Err(Failure::Usage(
                    "standard input can be read for one text only".into(),
                ));
            }
            std::io::stdin()
                .take(TEXT_MAX_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        } else {
            let file = File::open(path).map_err(failed)?;
            file.take(TEXT_MAX_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        }
        if bytes.len() as u64 > TEXT_MAX_BYTES {
            let detail = format!("{}: at most {} KiB", path.display(), TEXT_MAX_BYTES >> 10);
            return Err(Failure::Found {
                code: Code::FieldTooLong,
                detail,
            });
        }
        Ok(bytes)
    }

    /// The text of a flag: itself, or that of the file after `@`.
    ///
    /// # Errors
    ///
    /// As [`Inputs::file`].
    pub(crate) fn flag(&mut self, value: &str) -> Result<Text, Failure> {
        match value.strip_prefix('@') {
            Some(path) => self.file(Path::new(path)),
            None => Ok(value.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_gives_its_text_or_that_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reason.txt");
        std::fs::write(&path, "The minister was abroad.\n").unwrap();
        let mut inputs = Inputs::default();
        // EXPOSE: the test's own words.
        assert_eq!(inputs.flag("in words").unwrap().expose(), "in words");
        assert_eq!(
            inputs
                .flag(&format!("@{}", path.display()))
                .unwrap()
                .expose(),
            "The minister was abroad."
        );
    }

    #[test]
    fn a_text_that_is_too_long_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("long.txt");
        std::fs::write(&long, vec![b'a'; limits::CONTENT_MAX_BYTES + 1]).unwrap();
        let code = |path: &Path| {
            Inputs::default()
                .file(path)
                .expect_err("it is refused")
                .code()
        };
        assert_eq!(code(&long), Code::FieldTooLong);
        let binary = dir.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert_eq!(code(&binary), Code::AttachmentUnreadable);
        assert_eq!(
            code(&dir.path().join("missing")),
            Code::AttachmentUnreadable
        );
    }
}
