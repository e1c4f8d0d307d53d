//! The file `keys` of a store.
#![no_main]

use keyfob_tests::properties::a_file_of_keys_is_read_or_refused;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| a_file_of_keys_is_read_or_refused(input));
