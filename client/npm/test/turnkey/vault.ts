import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Client } from "../../src/index.js";
import { createTurnkeyClient, type VaultTurnkeyClient } from "../../src/turnkey/index.js";
import { Daemon, logIn, scratch } from "../daemon.js";
import { MockApi } from "./mock-api.js";
import { ORGANIZATION, type Claims } from "./token.js";
import { WireTap } from "./wire-tap.js";

/** A vault of its own for one test, with the mock of Turnkey's API. */
export class TestVault {
  private constructor(
    readonly daemon: Daemon,
    readonly api: MockApi,
    /** A client to look with and to prepare; not one of those that are tested. */
    readonly observer: Client,
    readonly t: TestContext,
  ) {}

  static async start(t: TestContext): Promise<TestVault> {
    const daemon = await Daemon.start(t);
    return new TestVault(daemon, await MockApi.start(t), await daemon.client(), t);
  }

  /** The SDK's client in an app of its own: over its own connection. */
  async app(): Promise<VaultTurnkeyClient> {
    return this.#app(await this.daemon.client());
  }

  /** The same, and what notes its calls. */
  async tappedApp(): Promise<[VaultTurnkeyClient, WireTap]> {
    const { paths } = await this.observer.status();
    assert.ok(paths);
    const tap = await WireTap.start(this.t, scratch(this.t), paths.socket);
    return [await this.#app(await this.daemon.client({ socket: tap.socket, dataDir: undefined })), tap];
  }

  /** Stores a session with a key pair of its own, and answers its public key. */
  login(sessionKey = "@turnkey/session/v3", claims: Partial<Claims> = {}): Promise<string> {
    return logIn(this.observer, sessionKey, claims);
  }

  /** The public keys by the sessions that name them. */
  async sessions(): Promise<Record<string, string>> {
    const { sessions } = await this.observer.listSessions();
    return Object.fromEntries(sessions.map(({ sessionKey, publicKey }) => [sessionKey, publicKey]));
  }

  /** The public keys of all key pairs in the vault, in order. */
  async keyPairs(): Promise<string[]> {
    const { keyPairs } = await this.observer.listApiKeyPairs();
    return keyPairs.map(({ publicKey }) => publicKey);
  }

  async activeSession(): Promise<string | null | undefined> {
    return (await this.observer.getActiveSessionKey()).sessionKey;
  }

  #app(client: Client): Promise<VaultTurnkeyClient> {
    return createTurnkeyClient(client, { apiBaseUrl: this.api.url, organizationId: ORGANIZATION });
  }
}
