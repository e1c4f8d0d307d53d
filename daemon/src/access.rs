//! [`Access`]: what a connection may do. The rules are a table, [`needs`], and pure.

use std::sync::Arc;

use keyfob_proto::{Code, Fault, Granted, Permission, Permissions, Request};

use crate::grants::Grant;

/// What a connection may do.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Everything: the vault's own user, and root.
    Owner,
    /// The calls on sessions and key pairs, all of them: a user that the daemon was told to serve.
    Allowed,
    /// What a grant gives.
    Granted(Arc<Grant>),
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it tells names of what the caller may see anyway.
    Nothing,
    /// This permission.
    Permission(Permission),
    /// That the caller is the vault's own user, or root.
    Owner,
}

/// What a call needs.
#[must_use]
pub(crate) fn needs(request: &Request) -> Needs {
    match request {
        Request::DescribeSession(_)
        | Request::ListSessions(_)
        | Request::GetActiveSessionKey(_)
        | Request::ListApiKeyPairs(_)
        | Request::Status(_) => Needs::Nothing,
        Request::Stamp(_) => Needs::Permission(Permission::Stamp),
        Request::Sign(_) => Needs::Permission(Permission::Sign),
        Request::GetSession(_) | Request::GetAllSessions(_) => Needs::Permission(Permission::Read),
        Request::StoreSession(_)
        | Request::SetActiveSession(_)
        | Request::CreateApiKeyPair(_)
        | Request::DeleteApiKeyPair(_)
        | Request::ClearUnusedKeyPairs(_) => Needs::Permission(Permission::Store),
        Request::ClearSession(_) | Request::ClearAllSessions(_) => Needs::Permission(Permission::Clear),
        Request::Subscribe(_) => Needs::Permission(Permission::Watch),
        Request::Lock(_)
        | Request::Unlock(_)
        | Request::Rekey(_)
        | Request::SetLockAfter(_)
        | Request::CreateGrant(_)
        | Request::ListGrants(_)
        | Request::RevokeGrant(_)
        | Request::RevokeAllGrants(_)
        | Request::Shutdown(_) => Needs::Owner,
    }
}

impl Access {
    /// Refuses a call that is not for these.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`, with what is granted.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Fault> {
        match (self, needs(request)) {
            (Self::Owner, _) | (Self::Allowed, Needs::Nothing | Needs::Permission(_)) => Ok(()),
            (Self::Allowed, Needs::Owner) => Err(denied_to_others(request.method())),
            (Self::Granted(grant), needs) => within(&grant.granted(), needs, request),
        }
    }

    /// Whether it is that of the vault's own user, or root.
    #[must_use]
    pub(crate) fn is_owner(&self) -> bool {
        matches!(self, Self::Owner)
    }
}

/// Refuses a call that is not part of a grant.
fn within(granted: &Granted, needs: Needs, request: &Request) -> Result<(), Fault> {
    let denied = |what: &str| Err(Fault::new(Code::AccessDenied, what).granting(granted.clone()));
    let Granted { may, session_keys } = granted;
    match needs {
        Needs::Permission(permission) if !may.contains(permission) => {
            denied(&format!("this grant does not give `{permission}`: it gives {may}"))
        }
        Needs::Owner => denied(&format!("{} is not for those who have a grant: it gives {may}", request.method())),
        Needs::Nothing | Needs::Permission(_) => match request {
            Request::StoreSession(call) => {
                let key = call.session_key.clone().unwrap_or_default();
                if session_keys.as_ref().is_some_and(|keys| !keys.contains(&key)) {
                    return denied(&format!("this grant does not let you store a session {:?}", key.as_str()));
                }
                match (call.without_key_pair, call.adopt_key_pair) {
                    (true, _) => denied("`withoutKeyPair` is not for those who have a grant"),
                    (_, true) => denied("`adoptKeyPair` is not for those who have a grant"),
                    (false, false) => Ok(()),
                }
            }
            Request::CreateApiKeyPair(call) if call.external_key_pair.is_some() => {
                denied("to take a key pair in is not for those who have a grant: create one")
            }
            Request::CreateApiKeyPair(call) if call.keep => {
                denied("to keep a key pair is not for those who have a grant")
            }
            _ => Ok(()),
        },
    }
}

/// The fault of a user whom the daemon serves and who asks for what is its owner's.
fn denied_to_others(method: &str) -> Fault {
    let all = Permissions::new(Permission::ALL.iter().copied()).expect("there are some");
    let message =
        format!("{method} is for the vault's own user, and root; other users may use its sessions and key pairs");
    Fault::new(Code::AccessDenied, message).granting(Granted { may: all, session_keys: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of each method, with what it needs.
    const TABLE: &[(&str, &str, Option<&str>)] = &[
        ("clearSession", "{}", Some("clear")),
        ("clearAllSessions", "{}", Some("clear")),
        ("storeSession", r#"{"sessionToken":"t","sessionKey":"work"}"#, Some("store")),
        ("getSession", "{}", Some("read")),
        ("describeSession", "{}", Some("")),
        ("getAllSessions", "{}", Some("read")),
        ("listSessions", "{}", Some("")),
        ("getActiveSessionKey", "{}", Some("")),
        ("setActiveSession", r#"{"sessionKey":"work"}"#, Some("store")),
        ("createApiKeyPair", "{}", Some("store")),
        ("listApiKeyPairs", "{}", Some("")),
        (
            "deleteApiKeyPair",
            r#"{"publicKey":"03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1"}"#,
            Some("store"),
        ),
        ("clearUnusedKeyPairs", "{}", Some("store")),
        ("sign", r#"{"payload":""}"#, Some("sign")),
        ("stamp", r#"{"payload":""}"#, Some("stamp")),
        ("lock", "{}", None),
        ("unlock", "{}", None),
        ("rekey", r#"{"keySource":"keyFile"}"#, None),
        ("setLockAfter", "{}", None),
        ("createGrant", r#"{"may":["stamp"]}"#, None),
        ("listGrants", "{}", None),
        ("revokeGrant", r#"{"name":"a"}"#, None),
        ("revokeAllGrants", "{}", None),
        ("status", "{}", Some("")),
        ("shutdown", "{}", None),
        ("subscribe", "{}", Some("watch")),
    ];

    fn request(method: &str, params: &str) -> Request {
        let params = serde_json::value::RawValue::from_string(params.to_owned()).unwrap();
        Request::parse(method, Some(&params)).unwrap()
    }

    fn granted(permission: Permission) -> Granted {
        Granted { may: permission.into(), session_keys: Some(vec!["work".parse().unwrap()]) }
    }

    fn is_within(granted: &Granted, request: &Request) -> bool {
        match within(granted, needs(request), request) {
            Ok(()) => true,
            Err(fault) => {
                assert_eq!(fault.data.code, Code::AccessDenied);
                assert_eq!(fault.data.granted.as_ref(), Some(granted), "it says what is granted");
                false
            }
        }
    }

    #[test]
    fn each_method_needs_what_the_table_says_and_nothing_else_gives_it() {
        let methods: Vec<&str> = TABLE.iter().map(|(method, ..)| *method).collect();
        assert_eq!(methods, Request::METHODS);
        for (method, params, needed) in TABLE {
            let request = request(method, params);
            for permission in Permission::ALL {
                let is_given = needed.is_some_and(|needed| needed.is_empty() || needed == permission.as_str());
                assert_eq!(is_within(&granted(*permission), &request), is_given, "{method} with {permission}");
            }
            assert!(Access::Owner.check(&request).is_ok(), "{method} by the owner");
            assert_eq!(Access::Allowed.check(&request).is_ok(), needed.is_some(), "{method} by an allowed user");
        }
    }

    #[test]
    fn what_reaches_beyond_a_grant_is_refused_whatever_it_gives() {
        let all = Permissions::new(Permission::ALL.iter().copied()).unwrap();
        let granted = Granted { may: all, session_keys: Some(vec!["work".parse().unwrap()]) };
        let key = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
        let external = format!(r#"{{"externalKeyPair":{{"publicKey":"{key}","privateKey":"{}"}}}}"#, "1".repeat(64));
        for (method, params) in [
            ("storeSession", r#"{"sessionToken":"t"}"#),
            ("storeSession", r#"{"sessionToken":"t","sessionKey":"other"}"#),
            ("storeSession", r#"{"sessionToken":"t","sessionKey":"work","withoutKeyPair":true}"#),
            ("storeSession", r#"{"sessionToken":"t","sessionKey":"work","adoptKeyPair":true}"#),
            ("createApiKeyPair", r#"{"keep":true}"#),
            ("createApiKeyPair", &external),
        ] {
            assert!(!is_within(&granted, &request(method, params)), "{method} {params}");
        }
    }
}
