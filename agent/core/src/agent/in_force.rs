//! The policy in force, kept in two places so that losing one of them does not let an older policy
//! back in: the home's document and, sealed, the store. The newer one counts.

use candour_wire::Sensitive;

use super::{Agent, State, readable, value};
use crate::error::AgentError;
use crate::policy::SignedPolicy;
use crate::ports::Document;

impl Agent {
    /// Takes the newer of the document and the store's copy, and brings the other one up to it.
    /// While the key cannot be used the document alone counts. A copy that cannot be written is
    /// tried again the next time.
    pub(super) fn settle_policy(&self, state: &mut State) {
        if let Err(error) = self.try_settle_policy(state) {
            tracing::warn!(
                code = error.code().as_str(),
                "one of the two copies of the policy could not be written"
            );
        }
    }

    fn try_settle_policy(&self, state: &mut State) -> Result<(), AgentError> {
        let Some(kept) = readable(state.outbox.value(value::POLICY))? else {
            return Ok(());
        };
        // Almost always they are the same bytes, which need not be verified and read once more.
        if let (Some(kept), Some(in_force)) = (&kept, &state.policy)
            // EXPOSE: a policy holds nothing personal; the copies are compared.
            && kept.expose() == in_force.bundle().as_bytes()
        {
            return Ok(());
        }
        let kept = kept.and_then(|bundle| {
            // EXPOSE: a policy holds nothing personal; it is read into the type of policies.
            let bundle = String::from_utf8(bundle.expose().clone()).ok()?;
            SignedPolicy::restore(bundle, &self.config.policy_key, &self.config.department).ok()
        });
        let version = |signed: &SignedPolicy| signed.policy().version;
        match (kept, &state.policy) {
            (None, None) => {}
            (Some(kept), in_force) if in_force.as_ref().map(version) < Some(version(&kept)) => {
                tracing::warn!(
                    version = version(&kept),
                    "the stored policy is lost or older than the one that was in force, which stays"
                );
                let document = kept.bundle().as_bytes().to_vec();
                state.policy = Some(kept);
                self.platform.home.write(Document::Policy, &document)?;
            }
            (kept, Some(in_force)) if kept.as_ref().map(version) < Some(version(in_force)) => {
                let bundle = Sensitive::new(in_force.bundle().as_bytes().to_vec());
                readable(state.outbox.value_put(value::POLICY, bundle))?;
            }
            _ => {}
        }
        Ok(())
    }
}
