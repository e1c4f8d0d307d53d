import type { Client } from "../client.js";
import type { Signer } from "../generated/protocol.js";

/** The header that authenticates a request to Turnkey's API. */
export interface Stamp {
  stampHeaderName: string;
  stampHeaderValue: string;
}

/** What the clients of `@turnkey/http` and `@turnkey/sdk-server` take as their `stamper`. */
export interface Stamper {
  /** Stamps the body of a request. */
  stamp(body: string): Promise<Stamp>;
}

/**
 * A stamper whose key pair is in the vault: that of a session, a key pair by its public key, or by default that of
 * whichever session is active when the request is made. Each stamp is one call; it fails with a `KeyfobError`.
 */
export function vaultStamper(client: Client, signer?: Signer): Stamper {
  return {
    stamp: async (body) => {
      const { stampHeaderName, stampHeaderValue } = await client.stamp(body, signer);
      return { stampHeaderName, stampHeaderValue };
    },
  };
}
