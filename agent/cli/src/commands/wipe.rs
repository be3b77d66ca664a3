//! `candour wipe`.

use serde_json::json;

use super::Context;
use crate::args::Wipe;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{ask, out};

pub(super) fn wipe(context: &mut Context<'_>, args: &Wipe) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let status = agent.status()?;
    let waiting = status.pending_records + status.quarantined;
    out::note(&format!(
        "Wiping destroys this machine's keys. {waiting} declarations that were not received by the department and {} drafts would be lost.",
        status.drafts
    ));
    let confirmed = args.yes
        || (out::can_ask() && ask::confirm("Wipe everything of Candour from this machine?")?);
    if !confirmed {
        return Err(Failure::NotConfirmed(
            "nothing was wiped; give --yes to wipe without being asked",
        ));
    }
    agent.wipe()?;
    context.out.line("The keys are destroyed and the agent's files are removed. Tell the device team, so that the enrolment is withdrawn.")?;
    context
        .out
        .json(&json!({ "wiped": true, "lost_records": waiting, "lost_drafts": status.drafts }))?;
    Ok(Exit::Done)
}
