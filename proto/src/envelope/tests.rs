use super::*;

fn refusal(line: &[u8]) -> (Option<String>, Code, String) {
    let Refused { id, fault } = Envelope::parse(line).unwrap_err();
    (id.map(|id| id.as_json().to_owned()), fault.data.code, fault.message)
}

#[test]
fn a_calls_line_is_written_into_memory_that_does_not_grow() {
    let call = crate::Sign::new("x".repeat(10_000).into());
    for id in [1, u64::MAX] {
        let (line, mut same) = (call_line(id, &call), Vec::new());
        write_call(&mut same, id, &call);
        assert_eq!(line, same);
        assert!(line.capacity() < line.len() + 60, "{} for {}", line.capacity(), line.len());
        let frame = line.len() - serde_json::to_string(&call).unwrap().len();
        assert!(frame <= "sign".len() + 80, "{frame}");
    }
}

#[test]
fn an_id_is_echoed_to_the_letter() {
    for id in ["1", "-1.50e3", "\"a\\u0041\"", "null"] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"status"}}"#);
        assert_eq!(Envelope::parse(line.as_bytes()).unwrap().id.unwrap().as_json(), id);
    }
}

#[test]
fn a_request_without_an_id_wants_no_answer() {
    let envelope = Envelope::parse(br#"{"jsonrpc":"2.0","method":"status","params":{}}"#).unwrap();
    assert!(envelope.id.is_none());
    assert_eq!(envelope.params.unwrap().get(), "{}");
}

#[test]
fn lines_that_are_no_json_are_parse_errors_and_not_repeated() {
    for line in [&b"s3cret"[..], b"{\"s3cret\":", b"\xff\xfes3cret", b"{} s3cret", br#"{"a":"\ud800"#] {
        let (id, code, message) = refusal(line);
        assert_eq!((id, code), (None, Code::ParseError));
        assert!(!message.contains("s3cret"));
    }
}

#[test]
fn json_that_is_no_request_is_an_invalid_request_with_its_id() {
    let cases: [(&[u8], Option<&str>); 10] = [
        (b"7", None),
        (br#"["2.0",1,"status",{}]"#, None),
        (b"{}", None),
        (br#"{"jsonrpc":"2.0","id":1}"#, Some("1")),
        (br#"{"jsonrpc":"1.0","id":2,"method":"status"}"#, Some("2")),
        (br#"{"id":3,"method":"status"}"#, Some("3")),
        (br#"{"jsonrpc":"2.0","id":4,"method":5}"#, Some("4")),
        (br#"{"jsonrpc":"2.0","id":[6],"method":"status"}"#, None),
        (br#"{"jsonrpc":"2.0","id":7,"method":"status","extra":1}"#, Some("7")),
        (br#"{"jsonrpc":"2.0","id":true,"method":"status"}"#, None),
    ];
    for (line, expected) in cases {
        let (id, code, _) = refusal(line);
        assert_eq!((id.as_deref(), code), (expected, Code::InvalidRequest), "{}", line.escape_ascii());
    }
}

#[test]
fn a_batch_is_told_to_pipeline() {
    let (_, code, message) = refusal(br#"[{"jsonrpc":"2.0","id":1,"method":"status"}]"#);
    assert_eq!(code, Code::InvalidRequest);
    assert!(message.contains("pipelin"));
}

#[test]
fn a_long_id_is_refused() {
    let line = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"status"}}"#, "x".repeat(MAX_ID_BYTES - 1));
    assert_eq!(refusal(line.as_bytes()).1, Code::InvalidRequest);
}
