//! Every bound of the daemon, with its unit.

use std::time::Duration;

// Values.

/// The longest session token, in bytes. Real ones have about 500.
pub const MAX_TOKEN_BYTES: usize = 6 * 1024;

/// The most that the claims of a token may have together, in bytes: with the token itself they make
/// one record of the store. Real ones have about 100.
pub const MAX_CLAIM_BYTES: usize = 1536;

/// No record of the store is larger, in bytes: sled puts larger ones into files that it never syncs.
pub const MAX_RECORD_BYTES: usize = 8 * 1024;

/// What is sealed of a session is never longer, in bytes: the rest of a record is what can be read of it.
pub const MAX_SEALED_BYTES: usize = MAX_RECORD_BYTES - 128;

/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// The most memory that Argon2id may be told to use, in KiB. What a vault says is read from the disk.
pub const MAX_ARGON2_KIB: u32 = 1024 * 1024;

/// The most that Argon2id may be told to do: passes times KiB. A few seconds.
pub const MAX_ARGON2_WORK: u64 = 4 * 1024 * 1024;

/// The longest wait after wrong passphrases, in seconds.
pub const MAX_DELAY_SECONDS: u64 = 300;

/// The most sessions of a vault.
pub const MAX_SESSIONS: usize = 250_000;

/// The most key pairs of a vault that no session names, kept ones included.
pub const MAX_UNUSED_KEY_PAIRS: usize = 10_000;

// Connections.

/// The most connections at once, if the system allows as many files.
pub const MAX_CONNECTIONS: usize = 4096;

/// What another user, or a grant, may have of them: one in this many.
pub const SHARE_OF_A_USER: usize = 4;

/// What all of these may have of them together: one in this many.
pub const SHARE_OF_OTHERS: usize = 2;

/// Files that are not connections: the store, the log, the runtime.
pub const OTHER_FILES: u64 = 64;

/// The longest time from a line's first byte to its last.
pub const LINE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time that answers may wait for a client that reads nothing.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A line up to this length needs no place among the long ones, in bytes.
pub const SHORT_LINE_BYTES: usize = 16 * 1024;

/// So many connections of the owner may be in the middle of a line that is not short; the others wait with the rest of
/// theirs.
pub const LONG_LINES: usize = 16;

/// As [`LONG_LINES`], of another user or a grant.
pub const LONG_LINES_OF_A_USER: usize = 2;

/// As [`LONG_LINES`], of all of these together.
pub const LONG_LINES_OF_OTHERS: usize = 4;

/// Who has such a place and sends nothing for so long loses it.
pub const LONG_LINE_STALL: Duration = Duration::from_secs(5);

/// Mutations of one connection that the actor may have at once.
pub const IN_FLIGHT: usize = 256;

/// As [`IN_FLIGHT`], what their lines may take together, in bytes.
pub const IN_FLIGHT_BYTES: usize = 256 * 1024;

/// Answers of one connection that may wait for the rest of its lines to be served, in bytes.
pub const OUT_BYTES: usize = 64 * 1024;

/// As [`OUT_BYTES`], of another user or a grant.
pub const OUT_BYTES_OF_OTHERS: usize = 16 * 1024;

/// Pages that the owner's connections have not read may take together, in bytes.
pub const UNREAD_BYTES: usize = 32 * 1024 * 1024;

/// As [`UNREAD_BYTES`], of another user or a grant.
pub const UNREAD_BYTES_OF_A_USER: usize = 4 * 1024 * 1024;

/// As [`UNREAD_BYTES`], of all of these together.
pub const UNREAD_BYTES_OF_OTHERS: usize = 32 * 1024 * 1024;

/// Reads and signatures of one connection before others have their turn, which costs about as much as a read.
pub const READS_PER_TURN: usize = 8;

/// So many bytes of an answer count as a read more.
pub const BYTES_PER_READ: usize = 8 * 1024;

/// What the entries of a page may take as JSON, in bytes. The rest of the line is its frame and the
/// one entry that went over.
pub const PAGE_BYTES: usize = 256 * 1024;

/// What a page takes at most, in bytes: one entry over.
pub const WHOLE_PAGE_BYTES: usize = PAGE_BYTES + 80 * 1024;

/// How long connections may take to finish when the daemon drains.
pub const DRAIN: Duration = Duration::from_secs(5);

/// A client that says nothing for so long is not in the middle of asking, when another daemon takes the place of this one.
pub const PAUSE: Duration = Duration::from_millis(100);

/// For how long clients that go on asking are heard then.
pub const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long accepting pauses when the system has no file left for a connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The most calls a second of a user who is not the vault's own, and of a grant that says nothing else.
pub const CALLS_PER_SECOND: u32 = 2000;

/// Nothing is taken for so long from a connection that was refused because of a limit.
pub const LIMIT_PAUSE: Duration = Duration::from_millis(50);

/// The most mutations of another user, or a grant, that wait for the actor.
pub const QUEUE_OF_A_USER: usize = 64;

/// The most key pairs that another user, or a grant, created and that no session names.
pub const USER_KEY_PAIRS: usize = 100;

/// The most sessions that another user, or a grant, stored.
pub const USER_SESSIONS: usize = 1000;

/// What their tokens may take together, in bytes.
pub const USER_SESSION_BYTES: usize = 2 * 1024 * 1024;

// Grants.

/// The most grants at once.
pub const MAX_GRANTS: usize = 100;

/// How often it is told how many calls and connections were refused, if any were.
pub const TELL_REFUSALS_EVERY: Duration = Duration::from_secs(1);

// Starting.

/// How long a start waits for another daemon that is about to end, or to have started.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// How often it looks.
pub const LOCK_LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long sled may keep its own lock after it was closed.
pub const SLED_PATIENCE: Duration = Duration::from_secs(5);

/// How long a daemon may take to notice that its socket is gone, and to make it anew.
pub const SOCKET_PATIENCE: Duration = Duration::from_secs(10);

/// How often a daemon looks whether its socket is still there.
pub const SOCKET_LOOK_EVERY: Duration = Duration::from_secs(2);

/// For how long a daemon that cannot start, and was passed a socket, tells those who connect why. systemd gives up a unit
/// that is started 5 times within 10 s.
pub const FAILED_START: Duration = Duration::from_secs(3);

/// A daemon does not start where it may have fewer open files.
pub const LEAST_FILES: u64 = OTHER_FILES + 16;

// The actor.

/// The most mutations of one group.
pub const GROUP: usize = 512;

/// As [`GROUP`], of those that are not the owner's: the owner's next group waits for no more.
pub const GROUP_OF_OTHERS: usize = 4;

/// A group of others begins so long after the one before at the earliest: in between the disk is the owner's, and they come
/// together.
pub const OTHERS_EVERY: Duration = Duration::from_millis(3);

/// The most mutations of the owner that wait for the actor; whoever sends more waits.
pub const QUEUE: usize = 1024;

/// As [`QUEUE`], of all others together.
pub const QUEUE_OF_OTHERS: usize = 512;

/// The most sessions that one step announces one by one. A step that touches more says
/// [`Resync`](keyfob_proto::EventKind::Resync) instead: a subscriber would miss some anyway, and has to read again.
pub const MAX_ANNOUNCED: usize = 500;

/// So many names of sessions that have expired are remembered.
pub const MAX_EXPIRED_NAMES: usize = 1000;

/// How many events a subscriber may be behind before it misses some.
pub const EVENT_BACKLOG: usize = 4096;

/// As [`EVENT_BACKLOG`], of those who watch through a grant.
pub const GRANT_EVENT_BACKLOG: usize = 256;

/// How long the actor has to be idle before it tells sled what was removed.
pub const IDLE: Duration = Duration::from_millis(500);

/// sled is told of removals at the latest when it is owed so many names.
pub const MAX_OWED: usize = 64 * 1024;

/// A rewriting is given up when so many names have changed in the meantime.
pub const MAX_CHANGED_MEANWHILE: usize = 64 * 1024;

/// Sessions of a large old vault that are dropped from memory in one step.
pub const DROPPED_PER_STEP: usize = 200;

/// How long the removal of a large vault from memory rests after each step, so that it leaves the machine
/// to others.
pub const REMOVAL_PAUSE: Duration = Duration::from_millis(2);

// The store.

/// Names that one batch of sled writes at once when nobody waits for it.
pub const NAMES_PER_BATCH: usize = 500;

/// Slots are made so many at a time at least.
pub const SLOTS_PER_STEP: usize = 256;

/// No more slots than these are kept at hand.
pub const MAX_STOCK: usize = 1024;

/// How often bytes of `keys` are written anew when they cannot be synced.
pub const SYNC_ATTEMPTS: usize = 3;

/// With less free room than this on the file system nothing is put, in bytes: sled would fail in the middle.
pub const ROOM_TO_PUT: u64 = 4 * 1024 * 1024;

/// A database this small is never worth rewriting, in bytes.
pub const WORTH_REWRITING_BYTES: u64 = 8 * 1024 * 1024;

/// What a database may take for each record before it is rewritten, in bytes.
pub const GENEROUS_RECORD_BYTES: u64 = 2048;

/// A write that takes so long may be one that sled has forgotten.
pub const STUCK_AFTER: Duration = Duration::from_secs(1);

// The audit.

/// Entries that may wait to be written.
pub const AUDIT_BACKLOG: usize = 64 * 1024;

/// A file of the audit is put aside when it is larger, in bytes.
pub const AUDIT_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The audit is kept for no longer, in days.
pub const MAX_AUDIT_DAYS: u64 = 3650;

/// The most files of the audit, whatever their age.
pub const MAX_AUDIT_FILES: usize = 64;

// The log.

/// A log file is put aside when it is larger, in bytes; one old one is kept.
pub const LOG_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Lines that may wait to be written, in bytes.
pub const LOG_BACKLOG_BYTES: usize = 1024 * 1024;

/// How long a line waits for others that are written with it.
pub const LOG_PAUSE: Duration = Duration::from_millis(50);

/// How long the end waits for the last lines to be written.
pub const LOG_PATIENCE: Duration = Duration::from_secs(1);
