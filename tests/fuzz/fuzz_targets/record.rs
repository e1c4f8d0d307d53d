//! The stored records.
#![no_main]

use keyfob_tests::properties::a_record_is_read_or_refused;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| a_record_is_read_or_refused(input));
