//! The slots.
#![no_main]

use keyfob_tests::properties::a_slot_is_read_or_damaged;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| a_slot_is_read_or_damaged(input));
