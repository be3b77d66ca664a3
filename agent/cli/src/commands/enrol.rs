//! `candour enrol`.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use candour_wire::content::Text;
use candour_wire::{Code, Sensitive};

use super::{Context, block_on, when};
use crate::args::Enrol;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{ask, out};

/// The environment variable that a script may put the token into.
const TOKEN_VARIABLE: &str = "CANDOUR_TOKEN";

/// Longest token that is read from standard input, in bytes: real ones are under 100.
const TOKEN_MAX_BYTES: u64 = 4_096;

pub(super) fn enrol(context: &mut Context<'_>, args: &Enrol) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let token = token(args.token_file.as_deref())?;
    let enrolment = block_on(async { Ok(agent.enrol(token).await?) })?;
    context.out.line(format!(
        "This machine is enrolled with {} as {}.",
        enrolment.department, enrolment.handset
    ))?;
    let expires = when(enrolment.certificate_expires, agent.config());
    context.out.line(format!(
        "Its certificate is valid until {expires} and renews itself before."
    ))?;
    match enrolment.policy {
        Some(version) => context.out.line(format!(
            "Version {version} of the department's policy is in force."
        ))?,
        None => out::note("The department's policy could not be fetched yet; run `candour sync`."),
    }
    context.out.json(&enrolment)?;
    Ok(Exit::Done)
}

fn token(file: Option<&Path>) -> Result<Text, Failure> {
    let token = match (file, std::env::var(TOKEN_VARIABLE)) {
        (Some(path), _) => Inputs::default().file(path)?,
        (None, Ok(token)) => Sensitive::new(token),
        (None, Err(_)) if std::io::stdin().is_terminal() => ask::secret("Enrolment token:")?,
        (None, Err(_)) => {
            let mut token = String::new();
            std::io::stdin()
                .take(TOKEN_MAX_BYTES)
                .read_to_string(&mut token)?;
            Sensitive::new(token)
        }
    };
    // EXPOSE: only blanks are taken off.
    let token = Sensitive::new(token.expose().trim().to_owned());
    // EXPOSE: only whether there is one is looked at.
    if token.expose().is_empty() {
        return Err(Failure::Found {
            code: Code::TokenMissing,
            detail: format!("give it with --token-file, in ${TOKEN_VARIABLE} or on standard input"),
        });
    }
    Ok(token)
}
