// The types of the protocol: one per definition of the schema, and tables of the methods, fault codes and events.

import { HEADER, capitalised, comment, prose, referenced, typeName } from "./text.mjs";

/** The definitions of whole lines: the connection reads and writes those itself. */
const FRAMES = new Set(["request", "reply", "fault", "event"]);

export function protocolFile(schema) {
  const sent = namesSent(schema);
  const definitions = Object.entries(schema.$defs).filter(([name]) => !FRAMES.has(name));
  return [
    HEADER,
    ...definitions.map(([name, definition]) => declaration(name, definition, sent.has(name))),
    methodTable(schema.methods),
    faultCodes(schema.codes),
  ].join("\n");
}

/** The definitions that occur in what clients send. */
function namesSent(schema) {
  const found = new Set();
  const visit = (value) => {
    if (typeof value !== "object" || value === null) return;
    const name = referenced(value);
    if (name !== undefined && !found.has(name)) {
      found.add(name);
      visit(schema.$defs[name]);
    }
    Object.values(value).forEach(visit);
  };
  Object.values(schema.methods).forEach((method) => visit(method.params));
  return found;
}

function declaration(name, definition, isSent) {
  const type = typeName(name);
  if (definition.properties && definition.oneOf) {
    return taggedUnion(type, definition);
  }
  if (definition.properties) {
    return `${comment(definition.description)}export interface ${type} ${members(definition, isSent)}\n`;
  }
  if (definition.oneOf) {
    return `${comment(definition.description)}export type ${type} =${union(definition.oneOf, isSent)};\n`;
  }
  // What follows the first paragraph is about the type in Rust.
  const [summary] = definition.description.split("\n\n");
  return `${comment(summary)}export type ${type} = ${typeOf(definition, isSent)};\n`;
}

/** An interface per variant and their union; each has the properties that all have in common. */
function taggedUnion(type, definition) {
  const variants = definition.oneOf.map((variant) => {
    const name = `${capitalised(variant.properties.type.const)}Event`;
    const properties = { type: variant.properties.type, ...variant.properties, ...definition.properties };
    const required = [...variant.required, ...definition.required];
    const text = `${comment(variant.description)}export interface ${name} ${members({ properties, required }, false)}\n`;
    return { name, text };
  });
  const names = variants.map(({ name }) => `\n  | ${name}`).join("");
  const doc = `${definition.description}\n\nIgnore types that you do not know: a newer daemon may have more.`;
  return `${variants.map(({ text }) => text).join("\n")}\n${comment(doc)}export type ${type} =${names};\n`;
}

function members(definition, isSent, indent = "") {
  const required = new Set(definition.required ?? []);
  const lines = Object.entries(definition.properties).map(([name, property]) => {
    const doc = property.description ? comment(property.description, `${indent}  `) : "";
    // What is sent may also be given as undefined: it is left out of the line.
    const optional = required.has(name) ? "" : "?";
    const type = typeOf(property, isSent) + (optional && isSent ? " | undefined" : "");
    return `${doc}${indent}  ${name}${optional}: ${type};\n`;
  });
  return `{\n${lines.join("")}${indent}}`;
}

function union(alternatives, isSent) {
  return alternatives
    .map((alternative) => {
      const text = prose(alternative.description ?? "");
      // Some say no more than the value does.
      const doc = text === "" || text === `\`${alternative.const}\`.` ? "" : comment(text, "  ");
      return `\n${doc}  | ${typeOf(alternative, isSent, "  ")}`;
    })
    .join("");
}

function typeOf(schema, isSent, indent = "") {
  const name = referenced(schema);
  if (name !== undefined) return typeName(name);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map((each) => typeOf(each, isSent)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type }, isSent)).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array":
      return `${isSent ? "readonly " : ""}${typeOf(schema.items, isSent)}[]`;
    case "object":
      if (schema.properties) return members(schema, isSent, indent);
      return `Record<string, ${isSent ? "never" : "unknown"}>`;
    default:
      throw new Error(`the schema has a type that this script does not know: ${JSON.stringify(schema)}`);
  }
}

function methodTable(methods) {
  const lines = Object.entries(methods).map(([name, method]) => {
    const [params, reply] = [method.params, method.result].map((each) => typeName(referenced(each)));
    return `${comment(method.description, "  ")}  ${name}: { params: ${params}; reply: ${reply} };\n`;
  });
  return `${comment("Each method of the protocol with its params and its reply.")}export interface Methods {\n${lines.join("")}}\n`;
}

function faultCodes(codes) {
  const lines = Object.entries(codes).map(([code, meaning]) => `${comment(meaning, "  ")}  | ${JSON.stringify(code)}\n`);
  const doc = "Why the daemon refused a call. A newer daemon may have more codes.";
  return `${comment(doc)}export type FaultCode =\n${lines.join("")}  | (string & {});\n`;
}
