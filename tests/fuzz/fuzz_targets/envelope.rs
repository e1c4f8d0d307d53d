//! The envelope and the parameters of every call.
#![no_main]

use keyfob_tests::properties::a_request_is_read_or_refused_without_an_echo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| a_request_is_read_or_refused_without_an_echo(input));
