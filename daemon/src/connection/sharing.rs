//! How a connection shares the daemon with others: turns, room for pages, and a pause for who is at a limit.

use std::io;

use keyfob_proto::Request;

use super::Connection;
use crate::limits::{BYTES_PER_READ, LIMIT_PAUSE, READS_PER_TURN, WHOLE_PAGE_BYTES};

impl Connection {
    /// Waits for its turn to work. Of those who are not the vault's own user only one works at a time, so that there is
    /// always a processor for the one who is.
    pub(super) async fn work(&mut self) {
        if self.turn.is_none() {
            self.turn = self.caller.account.turn().await;
        }
    }

    /// Waits until there is room for a page that the client may not read; gives it back when all is written.
    pub(super) async fn make_room(&mut self) -> io::Result<()> {
        self.write_out().await?;
        self.turn = None;
        tokio::select! {
            room = self.caller.account.room(WHOLE_PAGE_BYTES) => self.unread = Some(room),
            () = self.service.shutdown.cancelled() => {}
        }
        Ok(())
    }

    /// Counts what was no call as one.
    pub(super) async fn count_refused(&mut self) {
        if self.caller.account.call().is_err() {
            self.slow_down().await;
        }
    }

    /// Takes nothing more for a moment from who is at a limit: to be refused costs time, too.
    pub(super) async fn slow_down(&mut self) {
        self.turn = None;
        tokio::select! {
            () = tokio::time::sleep(LIMIT_PAUSE) => {}
            () = self.service.shutdown.cancelled() => {}
        }
    }

    /// Lets others have their turn, however much this client asks for and however quickly it comes back.
    pub(super) async fn give_way(&mut self, bytes: usize) {
        self.worked += 1 + bytes / BYTES_PER_READ;
        if self.worked >= READS_PER_TURN {
            self.worked = 0;
            self.turn = None;
            tokio::task::yield_now().await;
        }
    }
}

/// Whether it waits for the actor.
pub(super) fn is_mutation(request: &Request) -> bool {
    matches!(
        request,
        Request::ClearSession(_)
            | Request::ClearAllSessions(_)
            | Request::StoreSession(_)
            | Request::SetActiveSession(_)
            | Request::CreateApiKeyPair(_)
            | Request::DeleteApiKeyPair(_)
            | Request::ClearUnusedKeyPairs(_)
    )
}

/// Whether the answer may be long.
pub(super) fn answers_a_page(request: &Request) -> bool {
    matches!(request, Request::GetAllSessions(_) | Request::ListSessions(_) | Request::ListApiKeyPairs(_))
}
