//! The same client for programs without async: each method runs the one of the same name of
//! [`crate::Client`] to its end.
//!
//! ```no_run
//! use keyfob::proto::GetSession;
//! use keyfob::{Access, blocking};
//!
//! # fn example() -> Result<(), keyfob::Error> {
//! let mut vault = blocking::Client::connect_or_start(&Access::from_env())?;
//! let active = vault.get_session(GetSession::default())?;
//! # Ok(())
//! # }
//! ```

#[allow(clippy::wildcard_imports, reason = "the protocol's table names every call and reply")]
use keyfob_proto::call::*;
use keyfob_proto::{Event, for_each_call};
use tokio::runtime::{Builder, Runtime};

use crate::{Access, Direction, Error};

/// A connection to the vault, see [`crate::Client`].
pub struct Client {
    client: crate::Client,
    runtime: Runtime,
}

impl Client {
    /// See [`crate::Client::connect`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn connect(access: &Access) -> Result<Self, Error> {
        let runtime = runtime()?;
        let client = runtime.block_on(crate::Client::connect(access))?;
        Ok(Self { client, runtime })
    }

    /// See [`crate::Client::connect_or_start`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn connect_or_start(access: &Access) -> Result<Self, Error> {
        let runtime = runtime()?;
        let client = runtime.block_on(crate::Client::connect_or_start(access))?;
        Ok(Self { client, runtime })
    }

    /// See [`crate::Client::observe`].
    pub fn observe(&mut self, observer: impl FnMut(Direction, &[u8]) + Send + 'static) {
        self.client.observe(observer);
    }

    /// See [`crate::Client::call`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn call<C: Call>(&mut self, call: C) -> Result<C::Reply, Error> {
        self.runtime.block_on(self.client.call(call))
    }

    /// See [`crate::Client::closed`].
    pub fn closed(self) {
        self.runtime.block_on(self.client.closed());
    }

    /// See [`crate::Client::subscribe`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn subscribe(self) -> Result<(Subscribed, Subscription), Error> {
        let (subscribed, subscription) = self.runtime.block_on(self.client.subscribe())?;
        Ok((subscribed, Subscription { subscription, runtime: self.runtime }))
    }
}

/// The vault's events as an iterator, see [`crate::Subscription`].
pub struct Subscription {
    subscription: crate::Subscription,
    runtime: Runtime,
}

impl Iterator for Subscription {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.subscription.next())
    }
}

fn runtime() -> Result<Runtime, Error> {
    let no_runtime = |error| Error::NotStarted { message: format!("the system refused a runtime: {error}") };
    Builder::new_current_thread().enable_io().build().map_err(no_runtime)
}

macro_rules! methods {
    (
        calls { $($(#[doc = $doc:literal])+ $snake:ident: $call:ident => $reply:ident = $method:literal;)+ }
        subscriptions { $($subscriptions:tt)+ }
    ) => {
        /// The calls of the protocol.
        impl Client {
            $(
                $(#[doc = $doc])+
                ///
                /// # Errors
                ///
                /// As [`Client::call`].
                pub fn $snake(&mut self, call: $call) -> Result<$reply, Error> {
                    self.call(call)
                }
            )+
        }
    };
}

for_each_call!(methods);
