//! The bodies of the fuzz targets, run over every input that is kept. `tests/fuzz/minute` of the
//! repository looks for new ones.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    reason = "it is a crate of its own elsewhere"
)]
mod targets;

use targets::TARGETS;

#[test]
fn every_importer_stands_what_fuzzing_has_come_to() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut broken = Vec::new();
    for (target, body) in TARGETS {
        let mut of_its_kind = 0;
        for entry in fs::read_dir(corpora.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            match catch_unwind(|| body(&bytes)) {
                Ok(kept) => of_its_kind += u32::from(kept),
                Err(_) => broken.push(path.display().to_string()),
            }
        }
        assert!(of_its_kind > 0, "{target} has no inputs of its kind");
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
