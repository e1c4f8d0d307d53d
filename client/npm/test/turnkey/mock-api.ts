import assert from "node:assert/strict";
import { randomUUID, verify } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { keyOf, ORGANIZATION, sessionToken } from "./token.js";

/** A request whose stamp was verified. */
export interface StampedRequest {
  path: string;
  /** The key pair that stamped. */
  publicKey: string;
  /** The body, to the byte. */
  raw: Buffer;
  body: Record<string, any>;
}

/** Turnkey's API as far as these tests go. It serves a request only if its stamp is a signature of the exact body. */
export class MockApi {
  /** What was asked, in the order of arrival. */
  readonly requests: StampedRequest[] = [];
  /** Waited for before each login is answered. */
  beforeLogin: (request: StampedRequest) => Promise<void> = async () => {};
  /** What a login is refused with, if it is. */
  refusal: string | undefined;
  /** Whether logins are only begun, and done when they are asked for. */
  completesLater = false;
  /** Logins that are begun, by their activity. */
  readonly #begun = new Map<string, object>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Serves until the test ends. */
  static async start(t: TestContext): Promise<MockApi> {
    const api = new MockApi();
    api.#server.listen(0, "127.0.0.1");
    await once(api.#server, "listening");
    t.after(() => {
      api.#server.closeAllConnections();
      api.#server.close();
    });
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Holds so many logins back: `arrived` settles when all are there, and none is answered before `release`. */
  holdLogins(count: number): { arrived: Promise<void>; release: () => void } {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    let arrived = 0;
    const all = new Promise<void>((resolve) => {
      this.beforeLogin = async () => {
        arrived += 1;
        if (arrived === count) {
          resolve();
        }
        await released;
      };
    });
    return { arrived: all, release };
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = Buffer.concat(await message.toArray());
    const publicKey = stampedBy(message, raw);
    if (publicKey === undefined) {
      answer(response, 401, { code: 16, message: "no valid stamp", details: [] });
      return;
    }
    const request = { path: message.url ?? "", publicKey, raw, body: JSON.parse(raw.toString("utf8")) };
    this.requests.push(request);
    switch (request.path) {
      case "/public/v1/query/whoami":
        answer(response, 200, { organizationId: request.body["organizationId"], userId: randomUUID(), username: "user" });
        return;
      case "/public/v1/query/list_users":
        answer(response, 200, { users: [userOf(publicKey)] });
        return;
      case "/public/v1/query/get_activity":
        answer(response, 200, this.#begun.get(request.body["activityId"]) ?? {});
        return;
      case "/public/v1/submit/stamp_login":
        await this.beforeLogin(request);
        this.#login(request, response);
        return;
      default:
        answer(response, 404, { code: 5, message: `no ${request.path} here`, details: [] });
    }
  }

  #login({ body }: StampedRequest, response: ServerResponse): void {
    if (this.refusal !== undefined) {
      answer(response, 403, { code: 7, message: this.refusal, details: [] });
      return;
    }
    const { publicKey, expirationSeconds, sessionProfileId } = body["parameters"];
    const session = sessionToken({
      publicKey,
      organizationId: body["organizationId"] ?? ORGANIZATION,
      expiry: Math.ceil(Date.now() / 1000) + Number(expirationSeconds),
      sessionProfileId,
    });
    const id = randomUUID();
    const result = { stampLoginResult: { session } };
    const completed = { activity: { id, status: "ACTIVITY_STATUS_COMPLETED", result } };
    this.#begun.set(id, completed);
    answer(response, 200, this.completesLater ? { activity: { id, status: "ACTIVITY_STATUS_PENDING" } } : completed);
  }
}

/** The key pair that stamped the body, or undefined where the stamp is not its signature of it. */
function stampedBy({ headers }: IncomingMessage, body: Buffer): string | undefined {
  const header = headers["x-stamp"] ?? headers["x-stamp-attested"];
  assert.equal(typeof header, "string", "the request has a stamp");
  const stamp = JSON.parse(Buffer.from(header as string, "base64url").toString("utf8"));
  const isSigned = verify("sha256", body, keyOf(stamp.publicKey), Buffer.from(stamp.signature, "hex"));
  const scheme = headers["x-stamp"] ? "SIGNATURE_SCHEME_TK_API_P256" : "STAMP_ATTESTED_SCHEME_P256_OIDC";
  return isSigned && stamp.scheme === scheme ? stamp.publicKey : undefined;
}

function userOf(publicKey: string) {
  const credential = { publicKey, type: "CREDENTIAL_TYPE_API_KEY_P256" };
  return { userId: randomUUID(), userName: "user", apiKeys: [{ apiKeyId: randomUUID(), credential }] };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
}
