//! No sequence of calls through a grant shows or changes anything outside it.

use keyfob_tests::Twins;

#[test]
fn nothing_through_a_grant_shows_or_changes_what_is_beside_it() {
    let seed = fastrand::u64(..);
    for round in 0..12 {
        let seed = seed.wrapping_add(round);
        // Shown when it fails.
        eprintln(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut twins = Twins::new(&mut rng);
        for _ in 0..250 {
            twins.step(&mut rng);
        }
        twins.compare_events();
    }
}

#[allow(clippy::print_stderr, reason = "shown when the test fails")]
fn eprintln(seed: u64) {
    eprintln!("seed {seed}");
}
