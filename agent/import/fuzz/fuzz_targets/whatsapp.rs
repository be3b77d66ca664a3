#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if candour_import_fuzz::whatsapp(bytes) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
