#![no_main]

use candour_import::Format;
use candour_import_fuzz::{single, sms_in_parts};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if single(bytes, Format::Sms) {
        sms_in_parts(bytes);
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
