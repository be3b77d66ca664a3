//! `token new`: one-time enrolment tokens. Only their digests are kept.

use candour_wire::{DepartmentId, Sensitive};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use super::{CliError, Context, output};
use crate::clock::Clock as _;
use crate::gateway::token_digest;
use crate::keys::KeyError;
use crate::store::NewToken;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make tokens and print them, this once.
    New(New),
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// Which department; need not be given when there is one.
    #[arg(long, value_name = "ID")]
    department: Option<DepartmentId>,
    /// What the device team calls the phone, such as an asset tag.
    #[arg(long, value_parser = parse_label)]
    label: Option<String>,
    /// How long it is valid: a number and d, h, m or s, such as 7d.
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = parse_duration)]
    valid: SignedDuration,
    /// How many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

#[derive(Serialize)]
struct Made {
    token: Sensitive<String>,
    department: DepartmentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    expires: Timestamp,
}

impl Token {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let Self::New(command) = self;
        command.run(context)
    }
}

impl New {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let config = context.config(&[])?;
        let department = context.department(&config, self.department.as_ref())?;
        let store = context.store()?;
        let created = context.clock.now();
        let expires = created
            .checked_add(self.valid)
            .map_err(|_| CliError::usage("--valid", "that is too long"))?;
        let mut made = Vec::new();
        for _ in 0..self.count {
            let token = make_token()?;
            made.push(Made {
                token,
                department: department.clone(),
                label: self.label.clone(),
                expires,
            });
        }
        context.wait(async {
            for some in made.chunks(AT_ONCE) {
                let kept = some.iter().map(|made| {
                    store.put_token(NewToken {
                        hash: token_digest(&made.token),
                        department: made.department.clone(),
                        label: made.label.clone(),
                        created,
                        expires,
                    })
                });
                // Together, so that they share a commit.
                futures_util::future::try_join_all(kept).await?;
            }
            store.close().await;
            Ok::<_, CliError>(())
        })?;
        if context.json {
            output::json(&made);
        } else {
            for made in &made {
                // EXPOSE: this is the one time that the token is shown.
                output::text(made.token.expose());
            }
        }
        Ok(())
    }
}

/// Well below what the store lets wait.
const AT_ONCE: usize = 500;

/// 160 random bits in 32 characters that are hard to confuse and safe in every file and URL.
fn make_token() -> Result<Sensitive<String>, CliError> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| KeyError::Random)?;
    let character = |byte: &u8| {
        ALPHABET
            .get(usize::from(byte & 31))
            .copied()
            .map(char::from)
    };
    Ok(Sensitive::new(
        random.iter().filter_map(character).collect(),
    ))
}

fn parse_label(text: &str) -> Result<String, String> {
    let text = text.trim();
    let most = candour_wire::limits::SHORT_TEXT_MAX_CHARS;
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(format!("1 to {most} printable characters"));
    }
    Ok(text.to_owned())
}

/// A span such as `7d`; negative ones are refused, zero makes a token that has expired.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let rule = || "a number and d, h, m or s, such as 7d".to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(rule)?;
    let number: u32 = number.parse().map_err(|_| rule())?;
    let unit_s = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(rule()),
    };
    let seconds = i64::from(number).checked_mul(unit_s).ok_or_else(rule)?;
    Ok(SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_random_and_plain() {
        let (one, other) = (make_token().unwrap(), make_token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 32);
        assert!(
            one.expose()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(
            parse_duration("7d").unwrap(),
            SignedDuration::from_hours(168)
        );
        assert_eq!(parse_duration("0s").unwrap(), SignedDuration::ZERO);
        for bad in ["", "d", "7", "-1d", "1w", "7 d", "1é", "é"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
