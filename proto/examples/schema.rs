//! Prints the JSON Schema of the protocol:
//! `cargo run -p keyfob-proto --features schema --example schema > proto/schema.json`

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let schema = serde_json::to_string_pretty(&keyfob_proto::schema::protocol())?;
    writeln!(io::stdout(), "{schema}")
}
