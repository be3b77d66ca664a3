//! Enrolment, the first and the next.

use super::*;
use crate::identity::testing::EstServer;
use crate::ports::Connector;

/// Leads to the department for enrolment. As soon as it is asked for the way to its other address
/// it locks the phone, so that nothing can be stored.
struct LocksAfterEnrolment(Arc<EstServer>, Arc<MemoryKeys>);

impl Connector for LocksAfterEnrolment {
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        if endpoint.client.is_some() {
            self.1.set_locked(true);
            return NoNetwork.connect(endpoint);
        }
        Ok(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_enrolled_though_its_first_sync_fails_on_the_phone_itself() {
    let mut phone = Phone::new();
    let server = Arc::new(EstServer::new());
    phone.config.ca_pins = vec![server.authority.pin()];
    let agent = phone.agent_with(LocksAfterEnrolment(server, phone.keys.clone()));
    let enrolment = agent.enrol(Sensitive::from("token")).await.unwrap();
    assert_eq!(enrolment.policy, None);
    assert_eq!(agent.sync().await.unwrap_err().code(), Code::KeyUnavailable);
    let handset = phone.agent().status().unwrap().handset;
    assert_eq!(handset, Some(enrolment.handset));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_certificate_has_expired_can_enrol_again_without_losing_what_waits() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let id = agent
        .declare(agent.preview(&draft()).unwrap(), None)
        .unwrap();
    let enrol = || agent.enrol(Sensitive::from("token"));
    assert_eq!(enrol().await.unwrap_err().code(), Code::AlreadyEnrolled);
    phone.pass_hours(31 * 24);
    // The test has no network, so this is as far as it gets.
    assert_eq!(enrol().await.unwrap_err().code(), Code::Unreachable);
    assert_eq!(agent.sent().unwrap()[0].id, id);
}
