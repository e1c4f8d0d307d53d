use data_encoding::BASE64URL_NOPAD;

use super::*;

const KEY: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";

fn payload(exp: &str) -> String {
    format!(r#"{{"exp":{exp},"public_key":"{KEY}","session_type":"T","user_id":"u","organization_id":"o"}}"#)
}

fn read(payload: &str) -> Result<Session, String> {
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes()));
    read_token(Secret::new(token)).map(|(session, _)| session).map_err(|wrong| wrong.message)
}

/// The claim that the fault names.
fn field(payload: &str) -> Option<String> {
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes()));
    Login::read(StoreSession::new(Secret::new(token))).unwrap_err().data.field
}

#[test]
fn the_fault_names_the_claim() {
    let good = payload("4102444800");
    for claim in ["exp", "public_key", "session_type", "user_id", "organization_id"] {
        assert_eq!(field(&good.replace(&format!("\"{claim}\""), "\"x\"")).as_deref(), Some(claim));
    }
    for exp in ["0", "\"s3cret\"", "4102444800000", "1e30", "-1"] {
        assert_eq!(field(&payload(exp)).as_deref(), Some("exp"), "{exp}");
    }
    for claim in ["scope", "session_profile_id"] {
        assert_eq!(field(&good.replace('}', &format!(",\"{claim}\":7}}"))).as_deref(), Some(claim));
    }
    assert_eq!(field(&good.replace(KEY, &KEY.replace("03", "05"))).as_deref(), Some("public_key"));
    assert_eq!(field("7"), None);
}

#[test]
fn a_public_key_in_upper_case_is_read() {
    let session = read(&payload("4102444800").replace(KEY, &KEY.to_uppercase())).unwrap();
    assert_eq!(session.public_key.to_string(), KEY);
}

#[test]
fn each_missing_or_wrong_claim_is_named() {
    let good = payload("4102444800");
    assert!(read(&good).is_ok());
    for claim in ["exp", "public_key", "session_type", "user_id", "organization_id"] {
        let message = read(&good.replace(&format!("\"{claim}\""), "\"x\"")).unwrap_err();
        assert!(message.contains(&format!("lacks the claim `{claim}`")), "{message}");
    }
    for (claim, value) in [("session_type", "\"T\""), ("user_id", "\"u\""), ("organization_id", "\"o\"")] {
        for (wrong, part) in
            [("\"\"", "lacks"), ("null", "lacks"), ("7", "not a string"), ("\"\\ud800\"", "not a string")]
        {
            let payload = good.replace(&format!("\"{claim}\":{value}"), &format!("\"{claim}\":{wrong}"));
            let message = read(&payload).unwrap_err();
            assert!(message.contains(part) && message.contains(claim), "{message}");
        }
    }
}

#[test]
fn the_expiry_is_in_whole_seconds_however_it_is_written() {
    for exp in ["4102444800", "4102444800.0", "4.1024448e9", "41024448E2", "4102444800.000"] {
        assert_eq!(read(&payload(exp)).unwrap().expiry, 4_102_444_800, "{exp}");
    }
    for exp in ["1", "1e10", "253402300799"] {
        assert!(read(&payload(exp)).is_ok(), "{exp}");
    }
    for (exp, what) in [
        ("0", "whole seconds"),
        ("-0", "whole seconds"),
        ("-1", "whole seconds"),
        ("1.5", "whole seconds"),
        ("4102444800.5", "whole seconds"),
        ("\"4102444800\"", "whole seconds"),
        ("true", "whole seconds"),
        ("[]", "whole seconds"),
        ("1e20", "whole seconds"),
        ("253402300800", "after the year 9999"),
        ("1795565679000", "milliseconds"),
        ("1.795565679e12", "milliseconds"),
        ("1795565679000000", "microseconds"),
        ("18446744073709551615", "after the year 9999"),
        ("null", "lacks"),
    ] {
        let message = read(&payload(exp)).unwrap_err();
        assert!(message.contains("`exp`") && message.contains(what), "{exp}: {message}");
    }
}

#[test]
fn a_new_token_that_looks_expired_is_blamed_on_the_clock() {
    let refused = |claims: &str, now: u64| {
        let payload = payload("1800000900").replace("\"session_type\"", &format!("{claims}\"session_type\""));
        let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes()));
        let login = Login::read(StoreSession::new(Secret::new(token))).unwrap();
        login.session_at(Timestamp::from_secs(now)).unwrap_err().message
    };
    let issued = "\"iat\":1800000000,";
    let message = refused(issued, 1_800_001_200);
    assert!(message.contains("the clock of this machine is wrong") && message.contains("2027-01-15 08:20:00 UTC"));
    assert!(!refused(issued, 1_800_001_800).contains("wrong"));
    assert!(refused("", 1_800_001_799).contains("wrong"));
    assert!(refused("\"iat\":\"x\",", 1_800_001_799).contains("wrong"), "an `iat` that is none does not matter");
    assert!(refused("\"iat\":1799990000,", 1_800_005_000).contains("wrong"), "one that lives long");
}

#[test]
fn the_public_key_must_be_on_the_curve() {
    let off_curve = format!("02{}07", "0".repeat(62));
    let message = read(&payload("4102444800").replace(KEY, &off_curve)).unwrap_err();
    assert!(message.contains("`public_key`"), "{message}");
}

#[test]
fn optional_claims_are_absent_when_null_or_empty() {
    let with = |more: &str| read(&payload("4102444800").replace('}', more)).unwrap();
    assert_eq!(with(r#","scope":null,"session_profile_id":""}"#).scope, None);
    assert_eq!(with(r#","scope":"café"}"#).scope.as_deref(), Some("café"));
    assert!(read(&payload("4102444800").replace('}', r#","scope":7}"#)).unwrap_err().contains("`scope`"));
}

#[test]
fn tokens_that_are_no_jwt_are_refused_and_not_repeated() {
    let long = format!("e30.{}.s3cret", "A".repeat(MAX_TOKEN_BYTES));
    for (token, part) in [
        ("s3cret", "three parts"),
        ("e30.s3cret", "three parts"),
        ("e30.e30.c2ln.s3cret", "three parts"),
        ("s3cret..c2ln", "header"),
        (".e30.c2ln", "header"),
        ("!!!.e30.s3cret", "header is not base64url"),
        ("bnVsbA.e30.s3cret", "header is not a JSON object"),
        ("e30.s3cret%.c2ln", "not base64url"),
        ("e30.AAAA.s3cret", "not a JSON object"),
        ("e30..c2ln", "not a JSON object"),
        ("e30.bnVsbA.s3cret", "not a JSON object"),
        ("e30.W10.s3cret", "not a JSON object"),
        ("e30.e30.", "signature"),
        ("e30.e30.s3cret%%", "signature"),
        ("e30.e30.c2ln,", "signature"),
        ("\"e30.e30.s3cret\"", "header"),
        ("{\"session\":\"e30.e30.s3cret\"}", "header"),
        ("session=e30.e30.s3cret", "header"),
        ("e30.e30.s3cret\n", "no JWT has"),
        (" e30.e30.s3cret", "no JWT has"),
        ("\u{feff}e30.e30.s3cret", "no JWT has"),
        (&*long, "over 6144 bytes"),
    ] {
        let message = read_token(Secret::new(token)).unwrap_err().message;
        assert!(message.contains(part) && !message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_token_of_6_kib_passes() {
    let token = format!("e30.{}.", BASE64URL_NOPAD.encode(payload("4102444800").as_bytes()));
    let filled = format!("{token}{}", "s".repeat((MAX_TOKEN_BYTES - token.len()) / 4 * 4));
    let filled = filled.replacen("e30.", &format!("e30{}.", "=".repeat(MAX_TOKEN_BYTES - filled.len())), 1);
    assert!(read_token(Secret::new(filled.clone())).is_ok());
    assert!(read_token(Secret::new(filled + "s")).is_err());
}

#[test]
fn the_seconds_left_are_rounded_up() {
    let login = |exp: &str| {
        let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload(exp).as_bytes()));
        Login::read(StoreSession::new(Secret::new(token))).unwrap()
    };
    let (clock, hand) = crate::clock::Clock::manual(Timestamp::from_secs(1000));
    assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
    hand.advance(std::time::Duration::from_millis(1));
    assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
    let fault = login("1000").session_at(clock.now()).unwrap_err();
    assert_eq!(fault.data.code, Code::SessionExpired);
    assert_eq!(login("1001").session_at(clock.now()).unwrap().expiration_seconds, "1");
}
