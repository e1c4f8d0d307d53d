//! Somebody who has a grant asks at random, for long.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use keyfob_tests::Twins;

/// Calls before two new vaults take the place of the two.
const CALLS: u64 = 1000;

/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Asks for so long. Each pair of vaults has a seed of its own, counted up from `seed`.
pub(crate) fn run(time: Duration, seed: u64) -> Result<(), String> {
    let begun = Instant::now();
    let (mut rounds, mut said) = (0, begun);
    while begun.elapsed() < time {
        let seed = seed.wrapping_add(rounds);
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut twins = Twins::new(&mut rng);
            for _ in 0..CALLS {
                twins.step(&mut rng);
            }
            twins.compare_events();
        }));
        asked.map_err(|_| format!("a difference, as was said above, in the round of --seed {seed}"))?;
        rounds += 1;
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "grant: {} s, {} calls", begun.elapsed().as_secs(), rounds * CALLS);
        }
    }
    let _ = writeln!(io::stdout(), "grant: {} calls through {rounds} grants, and no difference", rounds * CALLS);
    Ok(())
}
