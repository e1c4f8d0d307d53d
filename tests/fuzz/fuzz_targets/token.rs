//! The token parser.
#![no_main]

use keyfob_tests::properties::a_token_is_read_and_stored_or_refused_without_an_echo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| a_token_is_read_and_stored_or_refused_without_an_echo(input));
