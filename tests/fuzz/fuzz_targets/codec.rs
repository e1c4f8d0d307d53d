//! The line buffer.
#![no_main]

use keyfob_tests::properties::lines_are_cut_the_same_however_they_arrive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| lines_are_cut_the_same_however_they_arrive(input));
