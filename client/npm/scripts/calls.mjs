// A class with a method per call. A call that signs takes the bytes first, then who signs, then all else.

import { HEADER, comment, referenced, typeName } from "./text.mjs";

/** The client has a stream for it: its events would be lost among the answers. */
const SUBSCRIPTIONS = new Set(["subscribe"]);

export function callsFile(schema) {
  const methods = Object.entries(schema.methods).filter(([name]) => !SUBSCRIPTIONS.has(name));
  const calls = methods.map(([name, method]) => call(name, method, schema));
  const body = calls.map(({ text }) => text).join("\n");
  const types = [...new Set(calls.flatMap((each) => each.types))].sort();
  const excluded = [...SUBSCRIPTIONS].map((name) => JSON.stringify(name)).join(" | ");
  return `${HEADER}
import type { CallOptions } from "../call.js";
import { toBase64, type Bytes } from "../payload.js";
import type {
${types.map((type) => `  ${type},\n`).join("")}} from "./protocol.js";

${comment("The methods that a client may call. Events come by way of `Client.events` instead.")}export type Method = Exclude<keyof Methods, ${excluded}>;

${comment("The parameters of a call: they may be left out where each of them may be.")}export type Params<M extends Method> = Record<string, never> extends Methods[M]["params"]
  ? [params?: Methods[M]["params"], options?: CallOptions]
  : [params: Methods[M]["params"], options?: CallOptions];

${comment("The calls of the protocol.")}export abstract class Calls {
  /** Makes a call and waits for its reply. */
  abstract call<M extends Method>(method: M, ...params: Params<M>): Promise<Methods[M]["reply"]>;

${body}}
`;
}

function call(name, method, schema) {
  const [params, reply] = [method.params, method.result].map((each) => typeName(referenced(each)));
  const definition = schema.$defs[referenced(method.params)];
  const properties = definition.properties ?? {};
  const doc = comment(method.description, "  ");
  if ("payload" in properties) {
    return signingCall(name, doc, params, reply, Object.keys(properties));
  }
  const mark = definition.required?.length ? "" : "?";
  return {
    types: ["Methods", params, reply],
    text: `${doc}  ${name}(params${mark}: ${params}, options?: CallOptions): Promise<${reply}> {
    return this.call("${name}", params, options);
  }
`,
  };
}

function signingCall(name, doc, params, reply, properties) {
  const others = properties.filter((property) => property !== "payload" && property !== "signer");
  const picked = others.map((property) => JSON.stringify(property)).join(" | ");
  const options = others.length ? `CallOptions & Pick<${params}, ${picked}>` : "CallOptions";
  const sent = ["payload: toBase64(payload)", "signer", ...others.map((each) => `${each}: options?.${each}`)];
  return {
    types: ["Methods", "Signer", reply, ...(others.length ? [params] : [])],
    text: `${doc}  async ${name}(payload: Bytes, signer?: Signer, options?: ${options}): Promise<${reply}> {
    return this.call("${name}", { ${sent.join(", ")} }, options);
  }
`,
  };
}
