//! Everything that ends a command early, and the one place that decides how it is told.

use std::io::ErrorKind;
use std::path::PathBuf;

use candour_core::AgentError;
use candour_core::chat::PickError;
use candour_core::config::ConfigError;
use candour_core::declaration::Violations;
use candour_import::ImportError;
use candour_wire::Code;
use serde_json::{Value, json};

use crate::args::flag_of;
use crate::demo::DemoError;
use crate::exit::Exit;
use crate::selection::SelectionError;
use crate::text;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Agent(AgentError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Pick(#[from] PickError),
    #[error(transparent)]
    Violations(#[from] Violations),
    /// A declaration is not complete; what there is was kept as a draft.
    #[error("{violations}; what you entered is kept as draft {draft}")]
    Incomplete {
        violations: Violations,
        draft: candour_wire::RecordId,
    },
    #[error("{path}: {problems}", path = .path.display())]
    Config {
        path: PathBuf,
        problems: ConfigError,
    },
    #[error("{path} is not valid TOML: {problem}", path = .path.display())]
    ConfigSyntax { path: PathBuf, problem: String },
    #[error("there is no configuration at {}", .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" or "))]
    ConfigMissing(Vec<PathBuf>),
    #[error("{path} cannot be read: {source}", path = .path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} cannot be written: {source}", path = .path.display())]
    FileWrite {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotConfirmed(&'static str),
    /// The command did its work and found this.
    #[error("{detail}")]
    Found { code: Code, detail: String },
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Violations(violations) => Self::Violations(violations),
            other => Self::Agent(other),
        }
    }
}

impl Failure {
    /// The stable code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Agent(error) => error.code(),
            // The disk's doing, and nothing is wrong with the export.
            Self::Import(ImportError::Damaged(source))
                if matches!(
                    source.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::NotFound
                ) =>
            {
                Code::AttachmentUnreadable
            }
            Self::Import(error) => error.code(),
            Self::Selection(_) | Self::Pick(PickError::TooMany(_)) => Code::SelectionInvalid,
            Self::Pick(PickError::Zone(_)) => Code::UsageInvalid,
            Self::Violations(violations) | Self::Incomplete { violations, .. } => violations.code(),
            Self::Config { .. } | Self::ConfigSyntax { .. } | Self::ConfigMissing(_) => {
                Code::ConfigInvalid
            }
            Self::File { .. } => Code::AttachmentUnreadable,
            Self::FileWrite { .. } | Self::Output(_) => Code::StoreFailed,
            Self::Usage(_) => Code::UsageInvalid,
            Self::NotConfirmed(_) => Code::NotConfirmed,
            Self::Found { code, .. } => *code,
            Self::Demo(error) => error.code(),
        }
    }

    /// What to do next.
    pub(crate) fn advice(&self) -> &str {
        match self {
            Self::Agent(error) => error.advice(),
            Self::ConfigMissing(_) => {
                "Put the configuration that the device team gave you there, or name it with --config."
            }
            Self::Output(_) => "Check where the output goes.",
            Self::FileWrite { .. } => {
                "Check that the folder exists, that you may write there and that there is room."
            }
            Self::Demo(error) => error.advice(),
            other => other.code().advice(),
        }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        Exit::of(self.code())
    }

    /// Whether the reader of the output has gone away (`candour sent | head`): no fault at all.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// What was wrong in this case, with its causes. Never content.
    fn detail(&self) -> String {
        let mut detail = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let told = error.to_string();
            // Some errors of other libraries repeat their cause.
            if !detail.ends_with(&told) {
                detail.push_str(": ");
                detail.push_str(&told);
            }
            cause = error.source();
        }
        detail
    }

    /// Lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let code = self.code();
        let violations = &self.violations().0;
        let told = |title: &str, detail: Option<&String>, advice: &str| {
            let detail = detail
                .map(|detail| format!(" ({})", text::line(detail)))
                .unwrap_or_default();
            format!("{title}{detail}. {advice}")
        };
        let mut lines = match violations.as_slice() {
            [] => {
                let mut lines = vec![format!(
                    "error[{code}]: {}",
                    told(code.title(), None, self.advice())
                )];
                lines.extend(
                    self.detail()
                        .lines()
                        .map(|detail| format!("  {}", text::line(detail))),
                );
                lines
            }
            [only] => {
                let sentence = told(code.title(), only.detail.as_ref(), self.advice());
                vec![
                    format!("error[{code}]: {sentence}"),
                    format!("  {}", flag_of(only.field)),
                ]
            }
            several => {
                let number = several.len();
                let mut lines = vec![format!(
                    "error[{code}]: {number} things are missing or against the rules."
                )];
                lines.extend(several.iter().map(|violation| {
                    let code = violation.code;
                    let sentence = told(code.title(), violation.detail.as_ref(), code.advice());
                    format!("  {} [{code}]: {sentence}", flag_of(violation.field))
                }));
                lines
            }
        };
        if let Self::Incomplete { draft, .. } = self {
            lines.push(format!(
                "  What you entered is kept: candour drafts declare {draft}"
            ));
        }
        lines
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> Value {
        let code = self.code();
        let fields: Vec<Value> = self
            .violations()
            .0
            .iter()
            .map(|v| json!({ "field": v.field, "code": v.code, "title": v.code.title(), "advice": v.code.advice(), "detail": v.detail }))
            .collect();
        let mut error = json!({
            "code": code,
            "title": code.title(),
            "advice": self.advice(),
            "detail": self.detail(),
            "exit": self.exit() as u8,
        });
        if let (Some(object), false) = (error.as_object_mut(), fields.is_empty()) {
            object.insert("fields".to_owned(), Value::Array(fields));
        }
        if let (Some(object), Self::Incomplete { draft, .. }) = (error.as_object_mut(), self) {
            object.insert("draft".to_owned(), json!(draft));
        }
        json!({ "error": error })
    }

    fn violations(&self) -> &Violations {
        static NONE: Violations = Violations(Vec::new());
        match self {
            Self::Violations(violations) | Self::Incomplete { violations, .. } => violations,
            _ => &NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use candour_core::declaration::Violation;

    use super::*;

    #[test]
    fn an_error_for_programs_has_code_title_advice_and_detail() {
        let json = Failure::Usage("give a file".into()).to_json();
        assert_eq!(json["error"]["code"], "usage_invalid");
        assert_eq!(json["error"]["title"], Code::UsageInvalid.title());
        assert_eq!(json["error"]["advice"], Code::UsageInvalid.advice());
        assert_eq!(json["error"]["detail"], "give a file");
        assert_eq!(json["error"]["exit"], 2);
        assert!(json["error"].get("fields").is_none());
    }

    #[test]
    fn every_field_of_an_incomplete_declaration_is_named_with_its_flag() {
        let violation = |field, code| Violation {
            field,
            code,
            detail: None,
        };
        let failure = Failure::Violations(Violations(vec![
            violation("channel", Code::FieldMissing),
            violation("exceptional_circumstances", Code::ExceptionRequired),
        ]));
        let lines = failure.lines();
        assert!(
            lines[0].starts_with("error[field_missing]: "),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains("--channel"), "{}", lines[1]);
        assert!(lines[2].contains("--exception"), "{}", lines[2]);
        assert_eq!(
            failure.to_json()["error"]["fields"][1]["field"],
            "exceptional_circumstances"
        );
    }

    #[test]
    fn the_causes_of_an_error_are_told_once() {
        let cause = std::io::Error::other("the disk is gone");
        let failure = Failure::Agent(AgentError::AttachmentUnreadable(cause));
        assert_eq!(
            failure.lines()[1],
            "  the file cannot be read: the disk is gone"
        );
        let cause = std::io::Error::other("no such file");
        let failure = Failure::File {
            path: "a.txt".into(),
            source: cause,
        };
        assert_eq!(failure.lines()[1], "  a.txt cannot be read: no such file");
    }

    #[test]
    fn a_file_that_may_not_be_read_is_not_called_damaged() {
        let code = |kind: ErrorKind| Failure::Import(ImportError::Damaged(kind.into())).code();
        assert_eq!(
            code(ErrorKind::PermissionDenied),
            Code::AttachmentUnreadable
        );
        assert_eq!(code(ErrorKind::UnexpectedEof), Code::ImportDamaged);
    }

    #[test]
    fn a_detail_cannot_drive_the_terminal() {
        let lines = Failure::Usage("bad\u{1b}[2J".into()).lines();
        assert_eq!(lines[1], "  bad\\u{1b}[2J");
    }
}
