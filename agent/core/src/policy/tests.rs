use super::*;
use crate::testing::{TestKey, policy};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct Department {
    key: TestKey,
    id: DepartmentId,
}

impl Department {
    fn new() -> Self {
        Self {
            key: TestKey::generate(),
            id: "hm-treasury".parse().unwrap(),
        }
    }

    fn accept(
        &self,
        policy: &Policy,
        in_force: Option<&SignedPolicy>,
    ) -> Result<Option<SignedPolicy>, PolicyRefusal> {
        let bundle = self.key.sign_policy(policy);
        SignedPolicy::accept(
            bundle,
            self.key.verifying(),
            &self.id,
            in_force,
            at("2026-11-22T00:00:00Z"),
        )
    }
}

#[test]
fn a_newer_policy_replaces_the_one_in_force_and_the_same_one_changes_nothing() {
    let department = Department::new();
    let first = policy(1);
    let in_force = department.accept(&first, None).unwrap().unwrap();
    assert!(
        department
            .accept(&first, Some(&in_force))
            .unwrap()
            .is_none(),
        "signed again, still the same"
    );
    let second = department
        .accept(&policy(2), Some(&in_force))
        .unwrap()
        .unwrap();
    assert_eq!(second.policy().version, 2);
    assert_ne!(second.etag(), in_force.etag());
}

#[test]
fn an_older_policy_or_another_of_the_same_version_is_a_roll_back() {
    let department = Department::new();
    let in_force = department.accept(&policy(3), None).unwrap().unwrap();
    for other in [policy(2), policy(3)] {
        let refusal = department.accept(&other, Some(&in_force)).unwrap_err();
        assert_eq!(
            refusal.code(),
            Code::PolicyRolledBack,
            "version {}",
            other.version
        );
    }
}

#[test]
fn an_expired_policy_is_refused_when_it_arrives_and_kept_when_it_is_in_force() {
    let department = Department::new();
    let mut expired = policy(1);
    expired.expires = at("2026-11-21T00:00:00Z");
    assert_eq!(
        department.accept(&expired, None).unwrap_err().code(),
        Code::PolicyExpired
    );
    let bundle = department.key.sign_policy(&expired);
    assert!(SignedPolicy::restore(bundle, department.key.verifying(), &department.id).is_ok());
}

#[test]
fn another_key_or_another_department_is_refused() {
    let department = Department::new();
    let forged = TestKey::generate().sign_policy(&policy(1));
    let refusal =
        SignedPolicy::restore(forged, department.key.verifying(), &department.id).unwrap_err();
    assert_eq!(refusal.code(), Code::PolicyInvalid);
    let mut other = policy(1);
    other.department = "home-office".parse().unwrap();
    assert_eq!(
        department.accept(&other, None).unwrap_err().code(),
        Code::PolicyInvalid
    );
}

#[test]
fn a_policy_that_lists_secret_as_a_marking_is_refused() {
    let department = Department::new();
    let mut above = policy(1);
    above.markings[1].id = "secret".into();
    assert_eq!(
        department.accept(&above, None).unwrap_err().code(),
        Code::PolicyInvalid
    );
}
