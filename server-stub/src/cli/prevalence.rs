//! `prevalence`: how many handsets have an app, from what they reported.

use std::collections::BTreeMap;

use candour_wire::{AppId, DepartmentId};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CliError, Context, output};
use crate::clock::Clock as _;
use crate::config::Config;
use crate::names::Hint;
use crate::policy::{BUNDLED_CATALOGUE, Policies};
use crate::store::AppPrevalence;

#[derive(Debug, Args)]
pub(super) struct Prevalence {
    /// Which app; `all` for every app that some handset has.
    #[arg(long, default_value = "whatsapp", value_name = "APP")]
    app: String,
    /// Only handsets that sent or confirmed their list in this many days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// Only this department's.
    #[arg(long, value_name = "ID")]
    department: Option<DepartmentId>,
}

#[derive(Serialize)]
struct Line {
    department: DepartmentId,
    department_name: String,
    app: AppId,
    app_name: String,
    installed: u64,
    absent: u64,
    unknown: u64,
    reporting: u64,
    percent_least: u64,
    percent_most: u64,
    sentence: String,
}

impl Prevalence {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let config = context.config(&[])?;
        if let Some(department) = &self.department {
            context.department(&config, Some(department))?;
        }
        let policies = Policies::open(
            context.data.policy_dir(),
            context.policy_key()?.verifying_key().clone(),
        )?;
        let wanted = self.wanted(&policies)?;
        let days = SignedDuration::from_hours(24 * i64::from(self.days));
        let since = context
            .clock
            .now()
            .checked_sub(days)
            .unwrap_or(Timestamp::MIN);
        let store = context.store()?;
        let found = context.wait(store.prevalence(self.department.as_ref(), since))?;
        let reporting: BTreeMap<DepartmentId, u64> = found
            .iter()
            .map(|row| (row.department.clone(), row.reporting))
            .collect();
        let kept = found.into_iter().filter(|row| match &wanted {
            Some(app) => row.app == *app,
            None => row.installed > 0,
        });
        let lines: Vec<_> = kept.map(|row| line(&config, &policies, row)).collect();
        if context.json {
            output::json(&lines);
            return Ok(());
        }
        let say = |sentence: &str| output::text(&output::clean(sentence));
        if reporting.is_empty() {
            say(&format!(
                "No handset has reported in {}.",
                in_days(self.days)
            ));
        }
        for (department, number) in reporting {
            let mut of_department = lines.iter().filter(|line| line.department == department);
            if let Some(first) = of_department.next() {
                say(&first.sentence);
                of_department.for_each(|line| say(&line.sentence));
            } else {
                let name = config.department_name(&department);
                say(&nothing(name, wanted.as_ref(), number));
            }
        }
        Ok(())
    }

    /// The app that is asked about; `None` for all.
    fn wanted(&self, policies: &Policies) -> Result<Option<AppId>, CliError> {
        if self.app == "all" {
            return Ok(None);
        }
        let departments: Vec<_> = policies
            .departments()
            .iter()
            .filter_map(|department| policies.of(department))
            .collect();
        let mut known = departments.iter().flat_map(|policies| policies.apps());
        match self.app.parse() {
            Ok(app) if known.any(|known| *known == app) => Ok(Some(app)),
            _ => {
                let known = departments.iter().flat_map(|policies| policies.apps());
                let ids = known.map(AppId::as_str).chain(["all"]);
                let hint = Hint::nearest(&self.app.to_lowercase(), ids);
                Err(CliError::AppUnknown(self.app.clone(), hint))
            }
        }
    }
}

fn in_days(days: u16) -> String {
    match days {
        1 => "the last day".to_owned(),
        _ => format!("the last {days} days"),
    }
}

/// What there is to say where handsets have reported, and no line came of it.
fn nothing(department: &str, app: Option<&AppId>, reporting: u64) -> String {
    let handsets = if reporting == 1 {
        "handset"
    } else {
        "handsets"
    };
    match app {
        None => format!(
            "{department}: no app of the catalogue is known to be on its {reporting} reporting {handsets}"
        ),
        Some(app) => {
            format!(
                "{department}: {app} is on the list of none of its {reporting} reporting {handsets}"
            )
        }
    }
}

fn line(config: &Config, policies: &Policies, row: AppPrevalence) -> Line {
    let department_name = config.department_name(&row.department).to_owned();
    let app_name = app_name(policies, &row);
    let percent_least = percent(row.installed, row.reporting);
    let percent_most = percent(row.installed.saturating_add(row.unknown), row.reporting);
    let sentence = sentence(&department_name, &app_name, &row);
    Line {
        department: row.department,
        department_name,
        app: row.app,
        app_name,
        installed: row.installed,
        absent: row.absent,
        unknown: row.unknown,
        reporting: row.reporting,
        percent_least,
        percent_most,
        sentence,
    }
}

/// `HM Treasury: 31% of 64 reporting handsets have WhatsApp`; a range where some cannot tell.
fn sentence(department: &str, app: &str, row: &AppPrevalence) -> String {
    let least = percent(row.installed, row.reporting);
    let most = percent(row.installed.saturating_add(row.unknown), row.reporting);
    let share = if row.unknown == 0 {
        format!("{least}%")
    } else {
        format!("{least}–{most}%")
    };
    let (handsets, have) = if row.reporting == 1 {
        ("handset", "has")
    } else {
        ("handsets", "have")
    };
    let doubt = if row.unknown == 0 {
        String::new()
    } else {
        format!(" ({} cannot tell)", row.unknown)
    };
    format!(
        "{department}: {share} of {} reporting {handsets} {have} {app}{doubt}",
        row.reporting
    )
}

fn app_name(policies: &Policies, row: &AppPrevalence) -> String {
    let policies = policies.of(&row.department);
    let signed = policies
        .as_ref()
        .and_then(|policies| policies.current.policy.catalogue.as_ref());
    let mut apps = signed
        .into_iter()
        .chain([&*BUNDLED_CATALOGUE])
        .flat_map(|catalogue| &catalogue.apps);
    apps.find(|app| app.id == row.app)
        .map_or_else(|| row.app.to_string(), |app| app.name.clone())
}

/// Rounded to the nearest whole number, halves up.
fn percent(part: u64, whole: u64) -> u64 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let rounded = (part * 200 + whole).checked_div(whole * 2).unwrap_or(0);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(installed: u64, absent: u64, unknown: u64) -> AppPrevalence {
        AppPrevalence {
            department: "hm-treasury".parse().unwrap(),
            app: "whatsapp".parse().unwrap(),
            installed,
            absent,
            unknown,
            reporting: installed + absent + unknown,
        }
    }

    #[test]
    fn the_sentence_gives_a_range_where_some_handsets_cannot_tell() {
        assert_eq!(
            sentence("HM Treasury", "WhatsApp", &row(20, 44, 0)),
            "HM Treasury: 31% of 64 reporting handsets have WhatsApp"
        );
        assert_eq!(
            sentence("HM Treasury", "WhatsApp", &row(13, 69, 18)),
            "HM Treasury: 13–31% of 100 reporting handsets have WhatsApp (18 cannot tell)"
        );
        assert_eq!(
            sentence("HM Treasury", "WhatsApp", &row(1, 0, 0)),
            "HM Treasury: 100% of 1 reporting handset has WhatsApp"
        );
    }

    #[test]
    fn handsets_that_have_no_app_have_reported_all_the_same() {
        assert_eq!(
            nothing("HM Treasury", None, 1),
            "HM Treasury: no app of the catalogue is known to be on its 1 reporting handset"
        );
        assert_eq!(
            nothing("HM Treasury", Some(&"whatsapp".parse().unwrap()), 3),
            "HM Treasury: whatsapp is on the list of none of its 3 reporting handsets"
        );
    }

    #[test]
    fn shares_are_rounded_to_the_nearest_and_of_nothing_are_nothing() {
        assert_eq!(
            [
                percent(1, 200),
                percent(1, 201),
                percent(0, 0),
                percent(u64::MAX, u64::MAX)
            ],
            [1, 0, 0, 100]
        );
    }
}
