// Generated from proto/schema.json by `npm run generate`. Do not edit.

import type { CallOptions } from "../call.js";
import { toBase64, type Bytes } from "../payload.js";
import type {
  ActiveSessionKey,
  ActiveSessionSet,
  AllGrantsRevoked,
  AllSessionsCleared,
  ApiKeyPairCreated,
  ApiKeyPairDeleted,
  ApiKeyPairPage,
  ClearAllSessions,
  ClearSession,
  ClearUnusedKeyPairs,
  CreateApiKeyPair,
  CreateGrant,
  DaemonStatus,
  DeleteApiKeyPair,
  DescribeSession,
  GetActiveSessionKey,
  GetAllSessions,
  GetSession,
  GrantCreated,
  GrantList,
  GrantRevoked,
  ListApiKeyPairs,
  ListGrants,
  ListSessions,
  Lock,
  LockAfterSet,
  Methods,
  Rekey,
  RevokeAllGrants,
  RevokeGrant,
  SessionCleared,
  SessionDescribed,
  SessionFound,
  SessionList,
  SessionPage,
  SessionStored,
  SetActiveSession,
  SetLockAfter,
  Shutdown,
  ShutdownBegun,
  Sign,
  Signed,
  Signer,
  Stamped,
  Status,
  StoreSession,
  Unlock,
  UnusedKeyPairsCleared,
  VaultLocked,
  VaultRekeyed,
  VaultUnlocked,
} from "./protocol.js";

/** The methods that a client may call. Events come by way of `Client.events` instead. */
export type Method = Exclude<keyof Methods, "subscribe">;

/** The parameters of a call: they may be left out where each of them may be. */
export type Params<M extends Method> = Record<string, never> extends Methods[M]["params"]
  ? [params?: Methods[M]["params"], options?: CallOptions]
  : [params: Methods[M]["params"], options?: CallOptions];

/** The calls of the protocol. */
export abstract class Calls {
  /** Makes a call and waits for its reply. */
  abstract call<M extends Method>(method: M, ...params: Params<M>): Promise<Methods[M]["reply"]>;

  /**
   * Removes every session, every key pair that a session names, and the active pointer:
   * one atomic, durable step, however many there are. Unused key pairs stay, for another
   * app's login may be in flight; so do kept ones.
   *
   * Faults: `NO_SESSION_FOUND` when there is no session.
   */
  clearAllSessions(params?: ClearAllSessions, options?: CallOptions): Promise<AllSessionsCleared> {
    return this.call("clearAllSessions", params, options);
  }

  /**
   * Removes a session, its key pair unless another session names it too or it is kept, and the active
   * pointer if it names this session: one atomic, durable step.
   *
   * Faults: `NOT_FOUND`; `NO_SESSION_FOUND` when no session is named and none is active; `CONFLICT`.
   */
  clearSession(params?: ClearSession, options?: CallOptions): Promise<SessionCleared> {
    return this.call("clearSession", params, options);
  }

  /**
   * Deletes unused key pairs from a certain age on, but for kept ones.
   *
   * Faults: none.
   */
  clearUnusedKeyPairs(params?: ClearUnusedKeyPairs, options?: CallOptions): Promise<UnusedKeyPairsCleared> {
    return this.call("clearUnusedKeyPairs", params, options);
  }

  /**
   * Creates a key pair inside the vault, or takes one in. Taking in one that the vault
   * has changes nothing but whether it is kept, and its label.
   *
   * Faults: `INVALID_KEY_PAIR`, `VAULT_LOCKED`.
   */
  createApiKeyPair(params?: CreateApiKeyPair, options?: CallOptions): Promise<ApiKeyPairCreated> {
    return this.call("createApiKeyPair", params, options);
  }

  /**
   * Gives a part of the vault for a while, through a socket of its own. It ends with its time, its uses, the
   * last of its sessions, the connection that it was made on if it says so, or the daemon.
   *
   * Faults: `NOT_FOUND` when a session is named that is not there and that may not be stored;
   * `GRANT_EXISTS`; `SOCKET_UNAVAILABLE`; `LIMIT_REACHED`; `ACCESS_DENIED`.
   */
  createGrant(params: CreateGrant, options?: CallOptions): Promise<GrantCreated> {
    return this.call("createGrant", params, options);
  }

  /**
   * Deletes a key pair that no session names, kept or not.
   *
   * Faults: `KEY_PAIR_NOT_FOUND`, `KEY_PAIR_IN_USE`.
   */
  deleteApiKeyPair(params: DeleteApiKeyPair, options?: CallOptions): Promise<ApiKeyPairDeleted> {
    return this.call("deleteApiKeyPair", params, options);
  }

  /**
   * Reads what is known of a session without its token, by default of the active one. Answered by a
   * locked vault too.
   *
   * Faults: `SESSION_EXPIRED`. Where there is no session, `session` is null.
   */
  describeSession(params?: DescribeSession, options?: CallOptions): Promise<SessionDescribed> {
    return this.call("describeSession", params, options);
  }

  /**
   * Reads the name of the active session.
   *
   * Faults: none; where none is active, the name is null.
   */
  getActiveSessionKey(params?: GetActiveSessionKey, options?: CallOptions): Promise<ActiveSessionKey> {
    return this.call("getActiveSessionKey", params, options);
  }

  /**
   * Reads the sessions in the order of their names, a page at a time.
   *
   * Faults: `VAULT_LOCKED`.
   */
  getAllSessions(params?: GetAllSessions, options?: CallOptions): Promise<SessionPage> {
    return this.call("getAllSessions", params, options);
  }

  /**
   * Reads a session, by default the active one.
   *
   * Faults: `SESSION_EXPIRED`, `VAULT_LOCKED`. Where there is no session, `session` is null.
   */
  getSession(params?: GetSession, options?: CallOptions): Promise<SessionFound> {
    return this.call("getSession", params, options);
  }

  /**
   * Reads the key pairs in the order of their names, a page at a time.
   *
   * Faults: none.
   */
  listApiKeyPairs(params?: ListApiKeyPairs, options?: CallOptions): Promise<ApiKeyPairPage> {
    return this.call("listApiKeyPairs", params, options);
  }

  /**
   * Reads the grants: who holds what, until when, how often it was used, and by whom last.
   *
   * Faults: `ACCESS_DENIED`.
   */
  listGrants(params?: ListGrants, options?: CallOptions): Promise<GrantList> {
    return this.call("listGrants", params, options);
  }

  /**
   * Reads the names of the sessions with what is known of them without their tokens, a page at a
   * time. Answered by a locked vault too.
   *
   * Faults: none.
   */
  listSessions(params?: ListSessions, options?: CallOptions): Promise<SessionList> {
    return this.call("listSessions", params, options);
  }

  /**
   * Locks the vault: its keys leave the daemon's memory. It still tells names and clears.
   *
   * Faults: none.
   */
  lock(params?: Lock, options?: CallOptions): Promise<VaultLocked> {
    return this.call("lock", params, options);
  }

  /**
   * Gives the vault a new root key, wrapped under a key from the source that is named: one atomic,
   * durable step. What was wrapped under the old one is overwritten. A vault that has a passphrase
   * needs it for this, though it is unlocked.
   *
   * Faults: `VAULT_LOCKED`, `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`; `ACCESS_DENIED` to
   * a user that is not the vault's own.
   */
  rekey(params: Rekey, options?: CallOptions): Promise<VaultRekeyed> {
    return this.call("rekey", params, options);
  }

  /**
   * Ends all grants at once.
   *
   * Faults: `ACCESS_DENIED`.
   */
  revokeAllGrants(params?: RevokeAllGrants, options?: CallOptions): Promise<AllGrantsRevoked> {
    return this.call("revokeAllGrants", params, options);
  }

  /**
   * Ends a grant at once.
   *
   * Faults: `GRANT_NOT_FOUND`, `ACCESS_DENIED`.
   */
  revokeGrant(params: RevokeGrant, options?: CallOptions): Promise<GrantRevoked> {
    return this.call("revokeGrant", params, options);
  }

  /**
   * Makes a session the active one.
   *
   * Faults: `NOT_FOUND`, `SESSION_EXPIRED`.
   */
  setActiveSession(params: SetActiveSession, options?: CallOptions): Promise<ActiveSessionSet> {
    return this.call("setActiveSession", params, options);
  }

  /**
   * Says after how long without use the vault locks itself. The vault keeps it; a daemon that was told
   * otherwise when it was started does that.
   *
   * Faults: `ACCESS_DENIED` to a user that is not the vault's own.
   */
  setLockAfter(params?: SetLockAfter, options?: CallOptions): Promise<LockAfterSet> {
    return this.call("setLockAfter", params, options);
  }

  /**
   * Stops the daemon: it answers, finishes what it was asked before, and exits; or gives way to the program
   * that is installed now.
   *
   * Faults: `ACCESS_DENIED`.
   */
  shutdown(params?: Shutdown, options?: CallOptions): Promise<ShutdownBegun> {
    return this.call("shutdown", params, options);
  }

  /**
   * Signs bytes with a key pair of the vault, by default the active session's: ECDSA on
   * P-256 over SHA-256 of the payload.
   *
   * Faults: `NOT_FOUND`; `KEY_PAIR_NOT_FOUND`; `NO_SESSION_FOUND` when nothing is named and no session is
   * active; `SESSION_EXPIRED`; `VAULT_LOCKED`.
   */
  async sign(payload: Bytes, signer?: Signer, options?: CallOptions & Pick<Sign, "format">): Promise<Signed> {
    return this.call("sign", { payload: toBase64(payload), signer, format: options?.format }, options);
  }

  /**
   * Makes the header that authenticates a request to Turnkey's API.
   *
   * Faults: as for `sign`.
   */
  async stamp(payload: Bytes, signer?: Signer, options?: CallOptions): Promise<Stamped> {
    return this.call("stamp", { payload: toBase64(payload), signer }, options);
  }

  /**
   * Reads the state of the daemon; behind a grant's socket only what concerns the grant.
   *
   * Faults: none.
   */
  status(params?: Status, options?: CallOptions): Promise<DaemonStatus> {
    return this.call("status", params, options);
  }

  /**
   * Stores a session under its name, makes it the active one unless the call says otherwise, and deletes the
   * key pair of the session that it replaces unless that is still in use or kept: one atomic, durable step.
   *
   * Faults: `INVALID_TOKEN`, `SESSION_EXPIRED`, `KEY_PAIR_NOT_FOUND`, `CONFLICT`, `VAULT_LOCKED`.
   */
  storeSession(params: StoreSession, options?: CallOptions): Promise<SessionStored> {
    return this.call("storeSession", params, options);
  }

  /**
   * Unlocks the vault.
   *
   * Faults: `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`.
   */
  unlock(params?: Unlock, options?: CallOptions): Promise<VaultUnlocked> {
    return this.call("unlock", params, options);
  }
}
