//! A connection whose time passes as soon as there is nothing else to do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use keyfob_proto::{By, Endpoint};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::actor::Actor;
use crate::clock::Clock;
use crate::config::{Config, LockAfter};
use crate::limits::LONG_LINES;
use crate::store::Store;

/// Serves a client that has sent `sent` and is silent from then on; answers what it got until the end.
async fn served(sent: &[u8]) -> String {
    served_when_free(sent, Duration::ZERO).await
}

/// As [`served`], while others have every place for long lines for so long.
async fn served_when_free(sent: &[u8], taken: Duration) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (store, vault) = Store::open(dir.path()).unwrap();
    let (_actor, handle, published) = Actor::new(store, vault, Clock::system());
    let endpoint = Endpoint::named(&path).unwrap();
    let data_dir = dir.path().to_owned();
    let config = Config {
        endpoint,
        data_dir,
        is_default_dir: false,
        listener: None,
        started_by: keyfob_proto::StartedBy::Command,
        allow_uids: Vec::new(),
        lock_after: LockAfter::Never,
        audit_days: 0,
        clock: Clock::system(),
    };
    let (service, _sockets) = Service::new(handle, published, &config, 1, CancellationToken::new());
    let service = Arc::new(service);
    let mut places = Vec::new();
    for _ in 0..LONG_LINES {
        places.push(service.accounts.owner().long_line().await);
    }
    tokio::spawn(async move {
        tokio::time::sleep(taken).await;
        drop(places);
    });

    let name = path.as_path().to_fs_name::<GenericFilePath>().unwrap();
    let listener = ListenerOptions::new().name(name).create_tokio().unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(sent).unwrap();
    let stream = listener.accept().await.unwrap();
    let by = By { pid: None, uid: 0, grant: None };
    let caller = Caller::new(by, Access::Owner, service.accounts.owner(), service.published().grants.clone());
    let served = serve(stream, caller, service);
    tokio::time::timeout(10 * LINE_TIMEOUT, served).await.expect("nobody is served for ever");
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test(start_paused = true)]
async fn half_a_line_and_silence_is_a_fault_and_the_end() {
    let said = served(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getActiveSessionKey\"}\n{\"half").await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("\"result\":{\"sessionKey\":null}"), "what came before is answered: {said}");
    assert!(lines[1].contains("LINE_TIMEOUT") && lines[1].contains("\"id\":null"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_long_line_waits_for_its_place_and_then_has_its_time() {
    let long = b" ".repeat(70_000);
    let said = served_when_free(&long, 3 * LINE_TIMEOUT).await;
    assert!(said.contains("LINE_TIMEOUT") && said.lines().count() == 1, "{said}");
    let whole = [&long[..], b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getActiveSessionKey\"}\n{"].concat();
    let said = served_when_free(&whole, 3 * LINE_TIMEOUT).await;
    assert!(said.lines().next().unwrap().contains("\"result\""), "its wait was not held against it: {said}");
}
