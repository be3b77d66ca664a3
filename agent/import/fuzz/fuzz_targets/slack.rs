#![no_main]

use candour_import::Format;
use candour_import_fuzz::several;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if several(bytes, &[Format::Slack]) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
