//! Secrets that were typed in the wrong place: nothing of them comes back.

use keyfob_cli::Exit;
use keyfob_tests::TestDaemon;
use keyfob_tests::login::{fixture, fixture_key_pair};

use crate::keyfob;

#[test]
fn nothing_that_was_typed_as_a_secret_comes_back() {
    let daemon = TestDaemon::start();
    let socket = daemon.endpoint.path();
    let token = fixture("read-write");
    let key = fixture_key_pair()["privateKey"].as_str().unwrap().to_owned();
    let turnkey = format!("{key}:p256");
    let prefixed = format!("0x{key}");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----");
    let passphrase = "correct horse battery staple";
    let option = format!("--passphrase={passphrase}");
    let (bearer, quoted, below) = (format!("Bearer {token}"), format!("'{token}'"), format!("/dev/null/{key}"));
    let unsigned = token.rsplit_once('.').unwrap().0.to_owned();
    let encoded = keyfob_tests::login::base64(&key);
    let secrets = [&*token, &key, passphrase];
    let misuses: &[&[&str]] = &[
        &["key", "import", &key],
        &["key", "import", &turnkey],
        &["key", "import", &prefixed],
        &["key", "import", &pem],
        &["key", "import", "--public-key", &key],
        &["key", "import", "--private-key", &key],
        &["key", "new", &key],
        &["key", "rm", &key],
        &["key", "rm", &token],
        &["key", "list", &key],
        &["stamp", "--key", &key],
        &["stamp", "--session", &token],
        &["stamp", &token],
        &["sign", &key],
        &["sign", "--key", &token],
        &["store", "work", &token],
        &["store", &token],
        &["store", &token, "work"],
        &["store", "--token", &token],
        &["show", &token],
        &["show", &key],
        &["use", &token],
        &["use", &key],
        &["clear", &token],
        &["clear", &key],
        &["clear", "--all", &token],
        &["unlock", passphrase],
        &["unlock", "--passphrase", passphrase],
        &["unlock", &option],
        &["unlock", "--passphrase-fd", passphrase],
        &["lock", passphrase],
        &["vault", "rekey", "passphrase", passphrase],
        &["vault", "rekey", passphrase],
        &["vault", "set", "lock-after", passphrase],
        &["vault", passphrase],
        &["list", "--sort", &key],
        &["list", "--expiring", &key],
        &["watch", "-n", &key],
        &["completions", &key],
        &["tour", &token],
        &["--server-uid", &key, "list"],
        &["store", "--file", &token],
        &["store", "--file", &key],
        &["stamp", "--file", &key],
        &["sign", "--file", &token],
        &["store", "--env", &token],
        &["key", "import", "--env", &key],
        &["key", "import", "--env", passphrase],
        &["show", &bearer],
        &["show", &quoted],
        &["use", &unsigned],
        &["clear", &encoded],
        &["man", "--dir", &below],
        &[&key],
        &[&token],
        &[passphrase],
    ];
    for args in misuses {
        for json in [&[][..], &["--json"]] {
            let ran = keyfob(socket, "", &[args, json].concat());
            assert_ne!(ran.exit, Exit::Done, "{args:?}");
            let said = format!("{}{}", ran.out, ran.err);
            assert!(!said.contains(&encoded[..12]), "{args:?}: {said}");
            assert!(ran.err.len() > 20, "it says something: {args:?}: {said}");
            for secret in secrets {
                let part = &secret[..12];
                assert!(!said.contains(part), "{args:?}: {said}");
            }
        }
    }
    let ran = keyfob(socket, "", &["clear", "--al"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("did you mean --all?"), "{}", ran.err);
    let ran = keyfob(socket, "", &["stor"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("did you mean") && ran.err.contains("store"), "{}", ran.err);
    let ran = keyfob(socket, "", &["use"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("<KEY>"), "{}", ran.err);
    let ran = keyfob(socket, "", &["list", "--sort", "x"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("name, expiry"), "{}", ran.err);
}
