// Generated from proto/schema.json by `npm run generate`. Do not edit.

/** The active session's name. */
export interface ActiveSessionKey {
  /** The name, or null when no session is active. */
  sessionKey: SessionKey | null;
}

/** The session that `SetActiveSession` made the active one. */
export interface ActiveSessionSet {
  /** The session. */
  sessionKey: SessionKey;
}

/** There is no grant any more. */
export interface AllGrantsRevoked {
  /** The names of those that there were. */
  names: GrantName[];
}

/** What `ClearAllSessions` removed. */
export interface AllSessionsCleared {
  /** How many sessions there were. */
  clearedSessions: number;
  /** How many key pairs went with them: those that they named, but for kept ones. */
  deletedKeyPairs: number;
}

/** The key pair that the vault has now. */
export interface ApiKeyPairCreated {
  /** Whether the vault did not have it before. */
  created: boolean;
  /** Whether it is kept. */
  kept: boolean;
  /** What people call it; absent: nothing. */
  label?: Label | null;
  /** Its name. */
  publicKey: PublicKey;
}

/** The key pair that `DeleteApiKeyPair` deleted. */
export interface ApiKeyPairDeleted {
  /** Whether there was one. False only with `DeleteApiKeyPair.ifExists`. */
  deleted: boolean;
  /** Its name. */
  publicKey: PublicKey;
}

/** A key pair and the sessions that name it. */
export interface ApiKeyPairEntry {
  /** When it came into the vault, in seconds since the Unix epoch. */
  createdAt: number;
  /** Whether it is kept: it stays until it is deleted by name. */
  kept: boolean;
  /** What people call it; absent: nothing. */
  label?: Label | null;
  /** Its name. */
  publicKey: PublicKey;
  /** How many sessions name it, listed or not. */
  sessionCount: number;
  /** The sessions that name it, the soonest to expire first, at most 100 of them. Empty: no session names it. */
  sessionKeys: SessionKey[];
}

/** A page of key pairs. */
export interface ApiKeyPairPage {
  /**
   * The key pairs in the order of their names. There may be fewer than asked for: a page also
   * ends where its line would become too long.
   */
  keyPairs: ApiKeyPairEntry[];
  /** The `after` of the next page; null when this is the last. */
  next: PublicKey | null;
}

/** Who asked: the kernel's credentials of the connection. */
export interface By {
  /** The grant that they asked through; absent: the vault's own socket. */
  grant?: GrantName | null;
  /** The process; absent where the kernel does not tell (macOS). */
  pid?: number | null;
  /** The user. */
  uid: number;
}

/** Clears every session. */
export interface ClearAllSessions {
  /** Whether it is no fault that there is no session. */
  ifExists?: boolean | undefined;
}

/** Clears a session; by default the active one. */
export interface ClearSession {
  /** Whether it is no fault that there is no such session. */
  ifExists?: boolean | undefined;
  /** The key pair that the session has to name: otherwise somebody has replaced it, and it stays. */
  ifPublicKey?: PublicKey | undefined;
  /** The session; absent: the active one. */
  sessionKey?: SessionKey | undefined;
}

/** Deletes the unused key pairs that are old enough and are not kept. */
export interface ClearUnusedKeyPairs {
  /**
   * The age from which on they are deleted, in seconds; absent: 900, so that those of logins in
   * flight stay.
   */
  minAgeSeconds?: number | undefined;
}

/** How many there are of what. */
export interface Counts {
  /** Connections open now. */
  connections?: number | null;
  /** Flushes to the disk that made them durable. Mutations that wait together share one. */
  flushes?: number | null;
  /** Key pairs that a session names, but for kept ones. */
  keyPairsInUse: number;
  /** Key pairs that are kept, whether or not a session names them. */
  keyPairsKept: number;
  /** Key pairs that no session names and that are not kept. */
  keyPairsUnused: number;
  /** Mutations that took effect since the daemon started. */
  mutations?: number | null;
  /** Sessions in the vault. */
  sessions: number;
  /** What the vault takes on the disk, in bytes, what was cleared and is not yet tidied up included. */
  storeBytes?: number | null;
}

/** Creates a key pair inside the vault, or takes one in. */
export interface CreateApiKeyPair {
  /** A key pair that exists elsewhere; absent: a fresh one is created. */
  externalKeyPair?: ExternalKeyPair | undefined;
  /**
   * Whether it is kept: it stays until it is deleted by name, though no session names it, and whatever becomes of the
   * sessions that do. One that is kept already stays so.
   */
  keep?: boolean | undefined;
  /** What people call it; absent: one that the vault has keeps its label. */
  label?: Label | undefined;
}

/** Gives a part of the vault for a while. */
export interface CreateGrant {
  /** How many calls a second it answers; absent: as many as any other user's. */
  callsPerSecond?: number | undefined;
  /** What may be done. */
  may: Permissions;
  /** What it is called; absent: the daemon finds a name. */
  name?: GrantName | undefined;
  /** After how many seconds it ends, at most 30 days; absent: after a day. */
  seconds?: number | undefined;
  /** With which sessions, 1 to 100; absent: with all, those to come included. */
  sessionKeys?: readonly SessionKey[] | undefined;
  /** The path of its socket, absolute, in a directory that is there; absent: beside the vault's own. */
  socket?: string | undefined;
  /** The number of the user who may use it, besides the vault's own user and root; absent: nobody. */
  uid?: number | undefined;
  /** Whether it ends with the connection that it was made on: for the time that a program runs. */
  untilDisconnect?: boolean | undefined;
  /**
   * After how many uses it ends; absent: it does not. A use is a granted call that succeeded and was more than to list
   * names.
   */
  uses?: number | undefined;
}

/** The state of the daemon. Behind a grant's socket what would tell of the rest of the vault is absent. */
export interface DaemonStatus {
  /** The active session, or null. */
  activeSessionKey: SessionKey | null;
  /** How many there are of what. */
  counts: Counts;
  /** Its release. */
  daemonVersion: string;
  /** The grant that the connection is behind; absent: the socket is the vault's own. */
  grant?: GrantTerms | null;
  /** Whether it can store. */
  health?: Health | null;
  /** What it accepts. */
  limits: Limits;
  /** Whether the vault is locked, and where its wrapping key comes from. */
  lock: LockStatus;
  /** How far its memory is out of reach. */
  memory?: MemoryStatus | null;
  /** Where it keeps things. */
  paths?: Paths | null;
  /** Its process. */
  pid?: number | null;
  /** The protocol that it speaks, see `PROTOCOL_VERSION`. */
  protocolVersion: number;
  /** Who started it. */
  startedBy?: StartedBy | null;
  /** What the vault is kept on. */
  storage?: StorageStatus | null;
  /** How long it has been running, in seconds. */
  uptimeSeconds?: number | null;
}

/** Deletes a key pair that no session names. */
export interface DeleteApiKeyPair {
  /** Whether it is no fault that there is no such key pair. */
  ifExists?: boolean | undefined;
  /** The key pair. */
  publicKey: PublicKey;
}

/** Reads what is known of a session without its token; by default of the active one. */
export interface DescribeSession {
  /** The session; absent: the active one. */
  sessionKey?: SessionKey | undefined;
}

/** A session was stored, in place of another if there was one of that name. */
export interface SessionStoredEvent {
  type: "sessionStored";
  /** When it expires, in seconds since the Unix epoch. */
  expiry: number;
  /** Its key pair. */
  publicKey: PublicKey;
  /** The session. */
  sessionKey: SessionKey;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A session is gone. */
export interface SessionClearedEvent {
  type: "sessionCleared";
  /** Why it is gone. */
  reason: RemovalReason;
  /** The session. */
  sessionKey: SessionKey;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A key pair came into the vault; or it was there, and is kept from now on, or no longer, or has another label. */
export interface KeyPairCreatedEvent {
  type: "keyPairCreated";
  /** Whether it is kept. */
  kept: boolean;
  /** What people call it; absent: nothing. */
  label?: Label | null;
  /** The key pair. */
  publicKey: PublicKey;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A key pair is gone. */
export interface KeyPairDeletedEvent {
  type: "keyPairDeleted";
  /** The key pair. */
  publicKey: PublicKey;
  /** Why it is gone. */
  reason: RemovalReason;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** Another session is active now, or none. */
export interface ActiveSessionChangedEvent {
  type: "activeSessionChanged";
  /** The one that was active before, or null. */
  previousSessionKey: SessionKey | null;
  /** The active session, or null. */
  sessionKey: SessionKey | null;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A session expires in 60 seconds or less. */
export interface SessionExpiringEvent {
  type: "sessionExpiring";
  /** When it expires, in seconds since the Unix epoch. */
  expiry: number;
  /** The session. */
  sessionKey: SessionKey;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** The vault was locked. */
export interface VaultLockedEvent {
  type: "vaultLocked";
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** The vault was unlocked. */
export interface VaultUnlockedEvent {
  type: "vaultUnlocked";
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** The vault has another root key. */
export interface VaultRekeyedEvent {
  type: "vaultRekeyed";
  /** Where its wrapping key comes from now. */
  keySource: KeySource;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A part of the vault was given to somebody. */
export interface GrantCreatedEvent {
  type: "grantCreated";
  /** What was given. */
  grant: GrantTerms;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** A grant has ended: its socket and the connections to it are gone. */
export interface GrantEndedEvent {
  type: "grantEnded";
  /** The grant. */
  name: GrantName;
  /** Why it has ended. */
  reason: GrantEnd;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/** Calls through a grant were refused, because it does not give that much. Told at most once a second. */
export interface GrantRefusedEvent {
  type: "grantRefused";
  /** Its fault. */
  code: string;
  /** How many there were since the last of these events. */
  count: number;
  /** The method of the last of them. */
  method: string;
  /** The grant. */
  name: GrantName;
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/**
 * Events up to this sequence number were not delivered, because the subscriber was too slow or
 * a single change would have made too many: read the vault again.
 */
export interface ResyncEvent {
  type: "resync";
  /** Who asked for it; absent when nobody did (expiry). */
  by?: By | null;
  /** Counts the daemon's events from 1, without gaps, anew each time the daemon starts. */
  sequence: number;
}

/**
 * One change of the vault, as every subscriber sees it: after it is durable, in commit order.
 *
 * Ignore types that you do not know: a newer daemon may have more.
 */
export type VaultEvent =
  | SessionStoredEvent
  | SessionClearedEvent
  | KeyPairCreatedEvent
  | KeyPairDeletedEvent
  | ActiveSessionChangedEvent
  | SessionExpiringEvent
  | VaultLockedEvent
  | VaultUnlockedEvent
  | VaultRekeyedEvent
  | GrantCreatedEvent
  | GrantEndedEvent
  | GrantRefusedEvent
  | ResyncEvent;

/** The type of an event, for those who want only some. */
export type EventType =
  | "sessionStored"
  | "sessionCleared"
  | "keyPairCreated"
  | "keyPairDeleted"
  | "activeSessionChanged"
  | "sessionExpiring"
  | "vaultLocked"
  | "vaultUnlocked"
  | "vaultRekeyed"
  | "grantCreated"
  | "grantEnded"
  | "grantRefused";

/** A key pair that was created outside the vault. */
export interface ExternalKeyPair {
  /** The private scalar: 64 hex characters (32 bytes, big-endian). */
  privateKey: Secret;
  /** The compressed public key. */
  publicKey: PublicKey;
}

/**
 * The error object of a JSON-RPC response.
 *
 * It never holds a secret, and never text of the request other than the name of a session or of a
 * key pair.
 */
export interface Fault {
  /** The number that goes with the code, see `Code.number`. */
  code: number;
  /** What programs read. */
  data: FaultData;
  /** What happened and what to do next, for people. Never parse it. */
  message: string;
}

/** The part of a fault that programs read. */
export interface FaultData {
  /** What kind of fault it is: the contract. */
  code: string;
  /** When the session expired, in seconds since the Unix epoch. */
  expiry?: number | null;
  /** The parameter at fault, or the claim of the session token. */
  field?: string | null;
  /** What this connection may do. */
  granted?: Granted | null;
  /** What there is as much of as may be: `keyPairs`, `sessions`, `bytes`, `callsPerSecond`, `uses` or `grants`. */
  limit?: string | null;
  /** The method concerned, when its parameters are at fault. */
  method?: string | null;
  /** The key pair concerned. */
  publicKey?: PublicKey | null;
  /** How long to wait before the same call may succeed, in seconds. */
  retryAfterSeconds?: number | null;
  /** The session concerned. */
  sessionKey?: SessionKey | null;
}

/** Reads the name of the active session. */
export type GetActiveSessionKey = Record<string, never>;

/** Reads a page of sessions. */
export interface GetAllSessions {
  /** The `next` of the page before; absent: from the beginning. */
  after?: SessionKey | undefined;
  /** The most entries of the page, 1 to 1000; absent: 1000. */
  limit?: Limit | undefined;
}

/** Reads a session; by default the active one. */
export interface GetSession {
  /** The session; absent: the active one. */
  sessionKey?: SessionKey | undefined;
}

/** The grant is made, and its socket accepts connections. */
export interface GrantCreated {
  /** When it ends at the latest, in seconds since the Unix epoch. */
  expiresAt: number;
  /** What it is called. */
  name: GrantName;
  /** The path of its socket. */
  socket: string;
}

/** Why a grant has ended. */
export type GrantEnd =
  /** Its time is over. */
  | "expired"
  /** `revokeGrant` or `revokeAllGrants`. */
  | "revoked"
  /** It was used as often as it may be. */
  | "usedUp"
  /** The connection that it was made on is closed, and it was made for that long. */
  | "disconnected"
  /** The last of its sessions is gone, and it may store none. */
  | "sessionsGone";

/** A grant in a `GrantList`, with what became of it so far. */
export interface GrantEntry {
  /** Connections that are open now. */
  connections: number;
  /** When it was made, in seconds since the Unix epoch. */
  createdAt: number;
  /** What it gives. */
  grant: GrantTerms;
  /** When it was last used, in seconds since the Unix epoch, and by whom; absent: never. */
  lastUse?: GrantUse | null;
  /** How many calls were refused. */
  refused: number;
  /** The path of its socket. */
  socket: string;
  /** How often it was used. */
  used: number;
}

/** The grants. */
export interface GrantList {
  /** In the order of their names. */
  grants: GrantEntry[];
}

/**
 * The name of a grant: 1 to 32 lower-case letters, digits and hyphens, no hyphen first. It is part
 * of a file's name.
 */
export type GrantName = string;

/** The grant is no more. */
export interface GrantRevoked {
  /** What it was called. */
  name: GrantName;
  /** Whether there was one; false only with `ifExists`. */
  revoked: boolean;
}

/** What a grant gives, as its users may know it too. */
export interface GrantTerms {
  /** How many calls a second it answers. */
  callsPerSecond: number;
  /** When it ends at the latest, in seconds since the Unix epoch. */
  expiresAt: number;
  /** What may be done. */
  may: Permissions;
  /** What it is called. */
  name: GrantName;
  /** With which sessions; absent: with all. */
  sessionKeys?: SessionKey[] | null;
  /** The user who may use it, besides the vault's own user and root; absent: nobody. */
  uid?: number | null;
  /** Whether it ends with the connection that it was made on. */
  untilDisconnect?: boolean;
  /** How many uses are left; absent: as many as you like. */
  usesLeft?: number | null;
}

/** The last use of a grant. */
export interface GrantUse {
  /** When, in seconds since the Unix epoch. */
  at: number;
  /** What was called. */
  method: string;
  /** The process; absent where the kernel does not tell (macOS). */
  pid?: number | null;
  /** The program's file, where the system tells. */
  program?: string | null;
  /** The user. */
  uid: number;
}

/** What a connection may do that may not do everything. */
export interface Granted {
  /** What may be done. */
  may: Permissions;
  /** With which sessions; absent: with all. */
  sessionKeys?: SessionKey[] | null;
}

/** Whether the daemon can store. */
export type Health =
  /** All is well. */
  | "ok"
  /**
   * The file system has too little room to store anything. Reads, signatures and clearing go on, and storing does as
   * soon as there is room.
   */
  | "storageFull"
  /**
   * A write or a flush failed. Reads, signatures and clearing go on; nothing is stored until the daemon is restarted
   * on a healthy disk.
   */
  | "storageFailed";

/** Where the wrapping key comes from, under which the vault's root key is kept. */
export type KeySource =
  /** A file in the data directory that only the vault's user can read. The vault unlocks itself. */
  | "keyFile"
  /** A passphrase, by way of Argon2id. The vault is locked until somebody gives it. */
  | "passphrase"
  /** The platform's keyring. The vault unlocks itself while that is open. */
  | "keyring"
  /** A credential that systemd passes to the daemon. The vault unlocks itself. */
  | "credential";

/**
 * What people call a key pair: any non-empty UTF-8 string of at most `MAX_LABEL_BYTES`. It identifies nothing: two key
 * pairs may have the same.
 */
export type Label = string;

/** The most entries of a page: 1 to 1000. */
export type Limit = number;

/** What the daemon accepts. */
export interface Limits {
  /** The most connections at once. */
  connections: number;
  /** The longest line, in bytes. */
  lineBytes: number;
  /** The longest time a line may take from its first byte to its last, in seconds. */
  lineSeconds: number;
  /** The longest session key, in bytes. */
  sessionKeyBytes: number;
  /** The longest session token, in bytes. */
  sessionTokenBytes: number;
}

/** Reads a page of key pairs. */
export interface ListApiKeyPairs {
  /** The `next` of the page before; absent: from the beginning. */
  after?: PublicKey | undefined;
  /** The most entries of the page, 1 to 1000; absent: 1000. */
  limit?: Limit | undefined;
}

/** Reads the grants, in the order of their names. There are never more than 100. */
export type ListGrants = Record<string, never>;

/** Reads a page of what is known of the sessions without their tokens. */
export interface ListSessions {
  /** The `next` of the page before; absent: from the beginning. */
  after?: SessionKey | undefined;
  /** The most entries of the page, 1 to 1000; absent: 1000. */
  limit?: Limit | undefined;
}

/** Locks the vault: its keys leave the daemon's memory. */
export type Lock = Record<string, never>;

/** What the vault keeps of a `SetLockAfter`. */
export interface LockAfterSet {
  /** The time in seconds, or null: never. */
  lockAfterSeconds: number | null;
}

/** The state of the vault's lock. */
export interface LockStatus {
  /** Where the wrapping key comes from; absent behind a grant's socket. */
  keySource?: KeySource | null;
  /** Whether that was said to the daemon when it was started, in place of what is set in the vault. */
  lockAfterOverridden?: boolean;
  /** After how many seconds without use the vault locks itself; absent: never. */
  lockAfterSeconds?: number | null;
  /** Whether the vault is locked: it tells names and clears, and neither signs nor shows a token. */
  locked: boolean;
  /** How far a `Rekey` that is under way has come; absent: there is none. */
  rekeying?: Rekeying | null;
}

/** What the system lets the daemon do to keep its memory to itself. */
export interface MemoryStatus {
  /** Whether other processes of the user, and core dumps, may show it. */
  dumpable: boolean;
  /** Whether some of it may be written to swap space. */
  swappable: boolean;
}

/** Where the daemon keeps things. */
export interface Paths {
  /** The data directory. */
  dataDir: string;
  /** The socket. */
  socket: string;
}

/** The bytes that a caller wants signed: a request body, any bytes at all. */
export type Payload = string;

/** One thing that may be done with the sessions of a grant. */
export type Permission =
  /** Make the header that authenticates a request (`stamp`). */
  | "stamp"
  /** Sign bytes (`sign`). A stamp is a signature of bytes, too: neither gives more power than the other. */
  | "sign"
  /** Read sessions with their tokens (`getSession`, `getAllSessions`). */
  | "read"
  /**
   * Store a login or a refresh under the granted names (`storeSession`), with the key pairs that this needs
   * (`createApiKeyPair`, `deleteApiKeyPair`, `clearUnusedKeyPairs`), and make a session the active one there
   * (`setActiveSession`).
   */
  | "store"
  /** Clear sessions with their key pairs (`clearSession`, `clearAllSessions`). */
  | "clear"
  /** Be told what happens to the sessions (`subscribe`). */
  | "watch";

/** Some permissions, at least one; on the wire an array. */
export type Permissions = readonly Permission[];

/**
 * The compressed form of a P-256 public key, which is also the name of its key pair: 33 bytes,
 * written as 66 lower-case hex characters that begin with `02` or `03`. Upper case is read too.
 */
export type PublicKey = string;

/** Gives the vault a new root key, and says where its wrapping key comes from. */
export interface Rekey {
  /**
   * The passphrase that the vault has now, where it has one, and only then. A vault that is locked and empty needs
   * none.
   */
  currentPassphrase?: Secret | undefined;
  /** Where the wrapping key comes from afterwards. */
  keySource: KeySource;
  /** The new passphrase, with `passphrase` and only then; at least 8 characters and at most 1 KiB. */
  passphrase?: Secret | undefined;
}

/** How far a `Rekey` has come. */
export interface Rekeying {
  /** Records whose slots are filled anew. */
  done: number;
  /** All of them. */
  total: number;
}

/** Why a session or a key pair is gone. A key pair goes for the reasons of the session that it goes with, too. */
export type RemovalReason =
  /** `clearSession` named it, or it was the active one. */
  | "cleared"
  /** `clearAllSessions`. */
  | "allCleared"
  /** Its `expiry` passed. */
  | "expired"
  /** `storeSession` put another session in its place. */
  | "replaced"
  /** `deleteApiKeyPair` named the key pair. */
  | "deleted"
  /** `clearUnusedKeyPairs`: no session named the key pair, and it was old enough. */
  | "pruned";

/** Ends all grants at once. */
export type RevokeAllGrants = Record<string, never>;

/** Ends a grant at once: its socket goes, and so do the connections to it. */
export interface RevokeGrant {
  /** Whether it is no fault where there is no such grant. */
  ifExists?: boolean | undefined;
  /** What it is called. */
  name: GrantName;
}

/** A string that is a secret: a session token, a private key in hex. */
export type Secret = string;

/**
 * What a login returned: a session token and the fields that the vault read from it.
 *
 * The shape is that of the `Session` of Turnkey's SDK (`@turnkey/sdk-types`), so that an app can
 * pass it on. Optional fields are absent when the token does not have them, never null.
 */
export interface Session {
  /**
   * How long the session had to live when it was stored: whole seconds, rounded up, as a decimal
   * string (the SDK's type).
   */
  expirationSeconds: string;
  /**
   * The claim `exp`: whole seconds since the Unix epoch. From this instant on the session is
   * never served and its key pair never signs.
   */
  expiry: number;
  /** The claim `organization_id`. */
  organizationId: string;
  /** The claim `public_key`: the API key pair that signs for this session. */
  publicKey: PublicKey;
  /** The claim `scope`. */
  scope?: string | null;
  /** The claim `session_profile_id`. */
  sessionProfileId?: string | null;
  /** The claim `session_type`, such as `SESSION_TYPE_READ_WRITE`. */
  sessionType: string;
  /** The session token (JWT) as it was stored. */
  token: Secret;
  /** The claim `user_id`. */
  userId: string;
}

/** What `ClearSession` removed. */
export interface SessionCleared {
  /** Whether there was one. False only with `ClearSession.ifExists`. */
  cleared: boolean;
  /**
   * The key pair that went with it; null when another session still names it, when it is kept, or when the vault
   * never had it.
   */
  deletedPublicKey: PublicKey | null;
  /** The session that is gone, or that there was none of; null where none was named and none was active. */
  sessionKey: SessionKey | null;
  /** Whether it was the active session. If so, none is active now. */
  wasActive: boolean;
}

/** What `DescribeSession` found. */
export interface SessionDescribed {
  /** What is known of it; null when there is no such session. */
  session: SessionSummary | null;
}

/** A session with its name. */
export interface SessionEntry {
  /** Whether the vault has the key pair that the session names. */
  hasKeyPair: boolean;
  /** The session. */
  session: Session;
  /** The session's name. */
  sessionKey: SessionKey;
}

/** What `GetSession` found: both null when there is no such session. */
export interface SessionFound {
  /** Whether the vault has the key pair that the session names. */
  hasKeyPair: boolean;
  /** The session, or null. */
  session: Session | null;
  /** The session's name, or null. */
  sessionKey: SessionKey | null;
}

/** The name of a session: any non-empty UTF-8 string of at most `MAX_SESSION_KEY_BYTES`. */
export type SessionKey = string;

/** A page of what is known of the sessions without their tokens. */
export interface SessionList {
  /** The active session, or null. */
  activeSessionKey: SessionKey | null;
  /** The `after` of the next page; null when this is the last. */
  next: SessionKey | null;
  /** The sessions in the order of their names (as bytes of UTF-8). */
  sessions: SessionSummary[];
}

/** A page of sessions. */
export interface SessionPage {
  /** The active session, or null. */
  activeSessionKey: SessionKey | null;
  /** The `after` of the next page; null when this is the last. */
  next: SessionKey | null;
  /**
   * The sessions in the order of their names (as bytes of UTF-8). There may be fewer than asked
   * for: a page also ends where its line would become too long.
   */
  sessions: SessionEntry[];
}

/** What `StoreSession` stored. */
export interface SessionStored {
  /** Whether it is the active session. */
  active: boolean;
  /** Whether the vault has the key pair that the session names. Without it nothing can be signed for the session. */
  hasKeyPair: boolean;
  /** The key pair of the session whose place it took; null where there was none of that name. */
  replacedPublicKey: PublicKey | null;
  /** The session. */
  session: Session;
  /** The session's name. */
  sessionKey: SessionKey;
}

/** What is known of a session without its token. */
export interface SessionSummary {
  /** Whether it is the active session. */
  active: boolean;
  /** When it expires, in seconds since the Unix epoch. */
  expiry: number;
  /** Whether the vault has the key pair that the session names. */
  hasKeyPair: boolean;
  /** The key pair that signs for it. */
  publicKey: PublicKey;
  /** The session's name. */
  sessionKey: SessionKey;
}

/** Makes a session the active one. */
export interface SetActiveSession {
  /** The session. */
  sessionKey: SessionKey;
}

/** Says after how long without use the vault locks itself. The vault keeps it. */
export interface SetLockAfter {
  /** The time in seconds, at least 1; absent: never. */
  lockAfterSeconds?: number | undefined;
}

/** Stops the daemon. */
export interface Shutdown {
  /**
   * Start the program that is installed now in place of this one, on the same socket. Connections that are made
   * meanwhile wait for it.
   */
  restart?: boolean | undefined;
}

/** The daemon is draining: it accepts no new connection and exits when the open ones are served. */
export type ShutdownBegun = Record<string, unknown>;

/** Signs bytes. */
export interface Sign {
  /** How to write the signature; absent: `der`. */
  format?: SignatureFormat | undefined;
  /** What to sign: any bytes, in base64. */
  payload: Payload;
  /** The key pair to sign with; absent: that of the active session. */
  signer?: Signer | undefined;
}

/** How a signature is written. */
export type SignatureFormat =
  /** ASN.1 DER, at most 72 bytes. */
  | "der"
  /** `r` and `s`, 32 bytes each, big-endian. */
  | "raw";

/** A signature. */
export interface Signed {
  /** The key pair that signed. */
  publicKey: PublicKey;
  /** The session that it signed for; null where a key pair was named. */
  sessionKey: SessionKey | null;
  /** The signature in lower-case hex. */
  signature: string;
}

/** Which key pair signs. */
export type Signer =
  /** That of this session. On the wire: `{"sessionKey":…}`. */
  | {
    sessionKey: SessionKey;
  }
  /** This one. On the wire: `{"publicKey":…}`. */
  | {
    publicKey: PublicKey;
  };

/** Makes the header that authenticates a request. */
export interface Stamp {
  /** The body of the request, in base64. */
  payload: Payload;
  /** The key pair to sign with; absent: that of the active session. */
  signer?: Signer | undefined;
}

/** A header for a request to Turnkey's API. */
export interface Stamped {
  /** The key pair that signed. */
  publicKey: PublicKey;
  /** The session that it signed for; null where a key pair was named. */
  sessionKey: SessionKey | null;
  /** The header's name: `X-Stamp`. */
  stampHeaderName: string;
  /**
   * The header's value: base64url without padding of
   * `{"publicKey":…,"scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":…}`, the signature being
   * DER in hex.
   */
  stampHeaderValue: string;
}

/** Who started a daemon. */
export type StartedBy =
  /** systemd, by a unit. */
  | "systemd"
  /** launchd, by a property list. */
  | "launchd"
  /** A client that found none, with `--background`. */
  | "client"
  /** A person or a script that ran `keyfobd`. */
  | "command";

/** Reads the state of the daemon. */
export type Status = Record<string, never>;

/** What the vault is kept on. */
export interface StorageStatus {
  /** Why nothing can be stored, for people; absent: all is well. */
  fault?: string | null;
  /** The kind of the file system, such as `xfs`. */
  fileSystem: string;
  /** The room that is left there, in bytes; absent where the system does not say. */
  freeBytes?: number | null;
  /**
   * Whether what is overwritten there is gone at once, because the same blocks are used again. False on a file system
   * that writes elsewhere: there the old bytes stay until the blocks are used for something else. Absent where that
   * is not known.
   */
  overwritesInPlace?: boolean | null;
}

/** Stores a session. */
export interface StoreSession {
  /** Whether it becomes the active session; absent: true. One that is the active one stays so. */
  activate?: boolean | undefined;
  /** Whether a kept key pair that it names is kept no longer, and goes with the session. */
  adoptKeyPair?: boolean | undefined;
  /** What has to be there under this name: otherwise somebody else has stored or cleared it, and nothing is stored. */
  ifPublicKey?: PublicKey | null | undefined;
  /** The session's name; absent: `DEFAULT_SESSION_KEY`. */
  sessionKey?: SessionKey | undefined;
  /** The session token (JWT), at most 6 KiB. Its signature is not verified. */
  sessionToken: Secret;
  /** Whether it is stored though the vault does not have the key pair that it names. */
  withoutKeyPair?: boolean | undefined;
}

/** Asks for events on this connection, in place of those that it was asked for before. */
export interface Subscribe {
  /**
   * The sessions whose events are wanted, at most 100; absent: all. It leaves out what
   * happens to other sessions, and to key pairs; what happens to the vault as a whole concerns everybody.
   */
  sessionKeys?: readonly SessionKey[] | undefined;
  /** The types of event that are wanted; absent: all. `Resync` comes in any case. */
  types?: readonly EventType[] | undefined;
}

/** From now on `Event`s come on this connection, in between replies. */
export interface Subscribed {
  /**
   * The sequence number of the last event before the subscription; the next one is the first to
   * come.
   */
  sequence: number;
}

/** Unlocks the vault. */
export interface Unlock {
  /** The passphrase, when that is where the wrapping key comes from, see `LockStatus.keySource`; at most 1 KiB. */
  passphrase?: Secret | undefined;
}

/** What `ClearUnusedKeyPairs` deleted. */
export interface UnusedKeyPairsCleared {
  /** The key pairs that are gone, at most 1000 of them. */
  deletedPublicKeys: PublicKey[];
  /** Whether there are more to delete: call again. */
  more: boolean;
}

/** The vault is locked. */
export interface VaultLocked {
  /** Whether it was locked before. */
  wasLocked: boolean;
}

/** The vault has a new root key. */
export interface VaultRekeyed {
  /** Where the wrapping key comes from now. */
  keySource: KeySource;
  /** How many sessions and key pairs are sealed under the new root key. */
  records: number;
}

/** The vault is unlocked. */
export interface VaultUnlocked {
  /** Whether it was locked before. */
  wasLocked: boolean;
}

/** Each method of the protocol with its params and its reply. */
export interface Methods {
  /**
   * Removes every session, every key pair that a session names, and the active pointer:
   * one atomic, durable step, however many there are. Unused key pairs stay, for another
   * app's login may be in flight; so do kept ones.
   *
   * Faults: `NO_SESSION_FOUND` when there is no session.
   */
  clearAllSessions: { params: ClearAllSessions; reply: AllSessionsCleared };
  /**
   * Removes a session, its key pair unless another session names it too or it is kept, and the active
   * pointer if it names this session: one atomic, durable step.
   *
   * Faults: `NOT_FOUND`; `NO_SESSION_FOUND` when no session is named and none is active; `CONFLICT`.
   */
  clearSession: { params: ClearSession; reply: SessionCleared };
  /**
   * Deletes unused key pairs from a certain age on, but for kept ones.
   *
   * Faults: none.
   */
  clearUnusedKeyPairs: { params: ClearUnusedKeyPairs; reply: UnusedKeyPairsCleared };
  /**
   * Creates a key pair inside the vault, or takes one in. Taking in one that the vault
   * has changes nothing but whether it is kept, and its label.
   *
   * Faults: `INVALID_KEY_PAIR`, `VAULT_LOCKED`.
   */
  createApiKeyPair: { params: CreateApiKeyPair; reply: ApiKeyPairCreated };
  /**
   * Gives a part of the vault for a while, through a socket of its own. It ends with its time, its uses, the
   * last of its sessions, the connection that it was made on if it says so, or the daemon.
   *
   * Faults: `NOT_FOUND` when a session is named that is not there and that may not be stored;
   * `GRANT_EXISTS`; `SOCKET_UNAVAILABLE`; `LIMIT_REACHED`; `ACCESS_DENIED`.
   */
  createGrant: { params: CreateGrant; reply: GrantCreated };
  /**
   * Deletes a key pair that no session names, kept or not.
   *
   * Faults: `KEY_PAIR_NOT_FOUND`, `KEY_PAIR_IN_USE`.
   */
  deleteApiKeyPair: { params: DeleteApiKeyPair; reply: ApiKeyPairDeleted };
  /**
   * Reads what is known of a session without its token, by default of the active one. Answered by a
   * locked vault too.
   *
   * Faults: `SESSION_EXPIRED`. Where there is no session, `session` is null.
   */
  describeSession: { params: DescribeSession; reply: SessionDescribed };
  /**
   * Reads the name of the active session.
   *
   * Faults: none; where none is active, the name is null.
   */
  getActiveSessionKey: { params: GetActiveSessionKey; reply: ActiveSessionKey };
  /**
   * Reads the sessions in the order of their names, a page at a time.
   *
   * Faults: `VAULT_LOCKED`.
   */
  getAllSessions: { params: GetAllSessions; reply: SessionPage };
  /**
   * Reads a session, by default the active one.
   *
   * Faults: `SESSION_EXPIRED`, `VAULT_LOCKED`. Where there is no session, `session` is null.
   */
  getSession: { params: GetSession; reply: SessionFound };
  /**
   * Reads the key pairs in the order of their names, a page at a time.
   *
   * Faults: none.
   */
  listApiKeyPairs: { params: ListApiKeyPairs; reply: ApiKeyPairPage };
  /**
   * Reads the grants: who holds what, until when, how often it was used, and by whom last.
   *
   * Faults: `ACCESS_DENIED`.
   */
  listGrants: { params: ListGrants; reply: GrantList };
  /**
   * Reads the names of the sessions with what is known of them without their tokens, a page at a
   * time. Answered by a locked vault too.
   *
   * Faults: none.
   */
  listSessions: { params: ListSessions; reply: SessionList };
  /**
   * Locks the vault: its keys leave the daemon's memory. It still tells names and clears.
   *
   * Faults: none.
   */
  lock: { params: Lock; reply: VaultLocked };
  /**
   * Gives the vault a new root key, wrapped under a key from the source that is named: one atomic,
   * durable step. What was wrapped under the old one is overwritten. A vault that has a passphrase
   * needs it for this, though it is unlocked.
   *
   * Faults: `VAULT_LOCKED`, `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`; `ACCESS_DENIED` to
   * a user that is not the vault's own.
   */
  rekey: { params: Rekey; reply: VaultRekeyed };
  /**
   * Ends all grants at once.
   *
   * Faults: `ACCESS_DENIED`.
   */
  revokeAllGrants: { params: RevokeAllGrants; reply: AllGrantsRevoked };
  /**
   * Ends a grant at once.
   *
   * Faults: `GRANT_NOT_FOUND`, `ACCESS_DENIED`.
   */
  revokeGrant: { params: RevokeGrant; reply: GrantRevoked };
  /**
   * Makes a session the active one.
   *
   * Faults: `NOT_FOUND`, `SESSION_EXPIRED`.
   */
  setActiveSession: { params: SetActiveSession; reply: ActiveSessionSet };
  /**
   * Says after how long without use the vault locks itself. The vault keeps it; a daemon that was told
   * otherwise when it was started does that.
   *
   * Faults: `ACCESS_DENIED` to a user that is not the vault's own.
   */
  setLockAfter: { params: SetLockAfter; reply: LockAfterSet };
  /**
   * Stops the daemon: it answers, finishes what it was asked before, and exits; or gives way to the program
   * that is installed now.
   *
   * Faults: `ACCESS_DENIED`.
   */
  shutdown: { params: Shutdown; reply: ShutdownBegun };
  /**
   * Signs bytes with a key pair of the vault, by default the active session's: ECDSA on
   * P-256 over SHA-256 of the payload.
   *
   * Faults: `NOT_FOUND`; `KEY_PAIR_NOT_FOUND`; `NO_SESSION_FOUND` when nothing is named and no session is
   * active; `SESSION_EXPIRED`; `VAULT_LOCKED`.
   */
  sign: { params: Sign; reply: Signed };
  /**
   * Makes the header that authenticates a request to Turnkey's API.
   *
   * Faults: as for `sign`.
   */
  stamp: { params: Stamp; reply: Stamped };
  /**
   * Reads the state of the daemon; behind a grant's socket only what concerns the grant.
   *
   * Faults: none.
   */
  status: { params: Status; reply: DaemonStatus };
  /**
   * Stores a session under its name, makes it the active one unless the call says otherwise, and deletes the
   * key pair of the session that it replaces unless that is still in use or kept: one atomic, durable step.
   *
   * Faults: `INVALID_TOKEN`, `SESSION_EXPIRED`, `KEY_PAIR_NOT_FOUND`, `CONFLICT`, `VAULT_LOCKED`.
   */
  storeSession: { params: StoreSession; reply: SessionStored };
  /**
   * Asks for the vault's events on this connection, from the next one on: all of them, or those of some
   * types or sessions.
   *
   * Faults: none.
   */
  subscribe: { params: Subscribe; reply: Subscribed };
  /**
   * Unlocks the vault.
   *
   * Faults: `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`.
   */
  unlock: { params: Unlock; reply: VaultUnlocked };
}

/** Why the daemon refused a call. A newer daemon may have more codes. */
export type FaultCode =
  /** That is not for this user, or not part of this grant: `data.granted` says what is. Or the daemon does not serve the user at all, and closes the connection. */
  | "ACCESS_DENIED"
  /** Another session is there than the caller expected: somebody stored or cleared it meanwhile. Nothing was changed. `data.publicKey` names the key pair of the one that is there, if there is one. */
  | "CONFLICT"
  /** There is a grant of that name. */
  | "GRANT_EXISTS"
  /** There is no such grant. */
  | "GRANT_NOT_FOUND"
  /** The daemon failed in a way that it should not; its log says more. */
  | "INTERNAL_ERROR"
  /** The key is not on the curve, or its halves do not match. */
  | "INVALID_KEY_PAIR"
  /** A parameter is missing, unknown, or not of its form; `data.method` and, unless it is unknown, `data.field` name it. */
  | "INVALID_PARAMS"
  /** The line is JSON but not a JSON-RPC 2.0 request. */
  | "INVALID_REQUEST"
  /** The session token cannot be read, or lacks a claim; `data.field` names the claim at fault. */
  | "INVALID_TOKEN"
  /** A session names the key pair: clear the session first. */
  | "KEY_PAIR_IN_USE"
  /** The vault does not have that key pair. */
  | "KEY_PAIR_NOT_FOUND"
  /** The key file, keyring or credential that the wrapping key comes from cannot be read, or is not the vault's; or the vault's root key is not that of its records. */
  | "KEY_UNAVAILABLE"
  /** A user, a grant or the vault has as much of something as it may; `data.limit` says of what. */
  | "LIMIT_REACHED"
  /** A line was begun and not ended in time; the connection is closed. */
  | "LINE_TIMEOUT"
  /** The protocol has no such method. */
  | "METHOD_NOT_FOUND"
  /** There is no such session. */
  | "NOT_FOUND"
  /** The daemon could not start, and the message says why. Somebody else, such as systemd, listens on its socket: the next connection is another try. */
  | "NOT_STARTED"
  /** No session is active, or there is none at all. */
  | "NO_SESSION_FOUND"
  /** The line is not one JSON text in UTF-8, or it is over 4 MiB. */
  | "PARSE_ERROR"
  /** The session, or the session token, has expired: log in again. `data.expiry` says when. */
  | "SESSION_EXPIRED"
  /** The daemon is shutting down; the call had no effect. */
  | "SHUTTING_DOWN"
  /** The socket of a grant cannot be made at that path; the message says why. */
  | "SOCKET_UNAVAILABLE"
  /** The disk is full, and nothing was changed; or it failed, and nothing more is stored until the daemon is restarted. Reads and removals go on. The message says what is known of the call. */
  | "STORAGE_ERROR"
  /** The daemon serves as many connections as it may; close one. */
  | "TOO_MANY_CONNECTIONS"
  /** A wrong passphrase was given just before; `data.retryAfterSeconds` says when to try again. */
  | "UNLOCK_DELAYED"
  /** The vault is locked: unlock it first. */
  | "VAULT_LOCKED"
  /** The passphrase is not the vault's. */
  | "WRONG_PASSPHRASE"
  | (string & {});
