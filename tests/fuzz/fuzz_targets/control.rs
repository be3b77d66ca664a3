//! Broken on purpose, behind bytes that nobody guesses: whatever does not follow the coverage does
//! not find it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| candour_fuzz::control(bytes));
