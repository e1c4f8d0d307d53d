import { TurnkeyError, TurnkeyErrorCodes, type TStamp } from "@turnkey/core";
import { CrossPlatformApiKeyStamper } from "@turnkey/core/dist/__stampers__/api/base.js";
import type { webcrypto } from "node:crypto";
import type { Client } from "../client.js";
import type { ApiKeyPairEntry, ExternalKeyPair, SignatureFormat, Signer } from "../generated/protocol.js";
import { asked } from "./errors.js";
import { CREATING, DELETING, LISTING_KEY_PAIRS, SIGNING, STAMPING } from "./operations.js";
import { allPages } from "./pages.js";
import { vaultStorage } from "./storage.js";

/** The age, in seconds, from which on no login can be waiting for an unused key pair. The daemon's own default. */
const MIN_UNUSED_SECONDS = 900;

/** The SDK's API-key stamper, with the key pairs in the vault. Each method but `listKeyPairs` is one call. */
export class VaultApiKeyStamper extends CrossPlatformApiKeyStamper {
  readonly #vault: Client;

  constructor(vault: Client) {
    super(vaultStorage(vault));
    this.#vault = vault;
  }

  /** Does nothing: there is no platform to look for. */
  override async init(): Promise<void> {}

  /**
   * Lists the key pairs that may be swept. The SDK deletes each that is listed here and that no session names, so kept
   * ones are not, nor those that the login of another app may be waiting for.
   */
  override async listKeyPairs(): Promise<string[]> {
    const entries = await asked(LISTING_KEY_PAIRS, allKeyPairs(this.#vault));
    const newest = Date.now() / 1000 - MIN_UNUSED_SECONDS;
    return entries
      .filter(({ kept, sessionCount, createdAt }) => !kept && sessionCount === 0 && createdAt <= newest)
      .map(({ publicKey }) => publicKey);
  }

  override async createKeyPair(external?: webcrypto.CryptoKeyPair | ExternalKeyPair): Promise<string> {
    const externalKeyPair = external && (await inHex(external));
    const { publicKey } = await asked(CREATING, this.#vault.createApiKeyPair({ externalKeyPair }));
    return publicKey;
  }

  /** Deletes a key pair that no session names. One that is not there is no error, as in the SDK. */
  override async deleteKeyPair(publicKey: string): Promise<void> {
    if (this.getTemporaryPublicKey() === publicKey) {
      this.clearTemporaryPublicKey();
    }
    await asked(DELETING, this.#vault.deleteApiKeyPair({ publicKey, ifExists: true }));
  }

  override async getPublicKey(): Promise<string> {
    const temporary = this.getTemporaryPublicKey();
    if (temporary) {
      return temporary;
    }
    const { session } = await asked(STAMPING, this.#vault.describeSession());
    if (!session) {
      throw new TurnkeyError("No active session or token available.", TurnkeyErrorCodes.NO_SESSION_FOUND);
    }
    return session.publicKey;
  }

  override async stamp(payload: string): Promise<TStamp> {
    const { stampHeaderName, stampHeaderValue } = await asked(STAMPING, this.#vault.stamp(payload, this.#signer()));
    return { stampHeaderName, stampHeaderValue };
  }

  override async sign(payload: string, format?: SignatureFormat, publicKey?: string): Promise<string> {
    const signer = publicKey ? { publicKey } : this.#signer();
    const { signature } = await asked(SIGNING, this.#vault.sign(payload, signer, { format }));
    return signature;
  }

  /** The key pair that the SDK chose for the moment, else that of the active session. */
  #signer(): Signer | undefined {
    const publicKey = this.getTemporaryPublicKey();
    return publicKey ? { publicKey } : undefined;
  }
}

async function allKeyPairs(vault: Client): Promise<ApiKeyPairEntry[]> {
  const pages = await allPages((after) => vault.listApiKeyPairs({ after }));
  return pages.flatMap((page) => page.keyPairs);
}

/** The key pair as the vault takes it in. */
async function inHex(keyPair: webcrypto.CryptoKeyPair | ExternalKeyPair): Promise<ExternalKeyPair> {
  if (isInHex(keyPair)) {
    return keyPair;
  }
  if (!keyPair.privateKey.extractable) {
    throw new TurnkeyError("The private key cannot be exported: let the vault create the key pair", CREATING.code);
  }
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", keyPair.publicKey));
  const { d = "" } = await crypto.subtle.exportKey("jwk", keyPair.privateKey);
  const x = Buffer.from(point.subarray(1, 33)).toString("hex");
  const isOdd = (point[64] ?? 0) % 2 === 1;
  return { publicKey: `${isOdd ? "03" : "02"}${x}`, privateKey: Buffer.from(d, "base64url").toString("hex") };
}

function isInHex(keyPair: webcrypto.CryptoKeyPair | ExternalKeyPair): keyPair is ExternalKeyPair {
  return typeof keyPair.privateKey === "string";
}
