#![no_main]

use candour_import::Format;
use candour_import_fuzz::single;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if single(bytes, Format::Teams) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
