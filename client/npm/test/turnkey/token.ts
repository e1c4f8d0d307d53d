import { createPrivateKey, createPublicKey, randomUUID, sign, webcrypto } from "node:crypto";

/** The organization of the sessions of these tests. */
export const ORGANIZATION = randomUUID();

/** What a session token says. */
export interface Claims {
  publicKey: string;
  /** Seconds since the Unix epoch. */
  expiry?: number;
  organizationId?: string;
  userId?: string;
  sessionProfileId?: string;
}

const signer = await signingKey();

async function signingKey() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", privateKey));
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** A session token as Turnkey issues it. */
export function sessionToken(claims: Claims): string {
  const header = { alg: "ES256", typ: "JWT" };
  const payload = {
    exp: claims.expiry ?? Math.ceil(Date.now() / 1000) + 3600,
    public_key: claims.publicKey,
    session_type: "SESSION_TYPE_READ_WRITE",
    user_id: claims.userId ?? randomUUID(),
    organization_id: claims.organizationId ?? ORGANIZATION,
    ...(claims.sessionProfileId && { session_profile_id: claims.sessionProfileId }),
  };
  const signed = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(signed), { key: signer, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

/** The public key of this compressed point, for `verify` of `node:crypto`. */
export function keyOf(publicKey: string) {
  // SubjectPublicKeyInfo of a compressed point on P-256: all before the point is the same for each.
  const spki = Buffer.from(`3039301306072a8648ce3d020106082a8648ce3d030107032200${publicKey}`, "hex");
  return createPublicKey({ key: spki, format: "der", type: "spki" });
}
