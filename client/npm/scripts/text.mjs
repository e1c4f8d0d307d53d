// How names and descriptions of the schema are written in TypeScript.

export const HEADER = "// Generated from proto/schema.json by `npm run generate`. Do not edit.\n";

/** The DOM and Node have a global `Event`: a program that forgot the import would silently mean that one. */
const RENAMED = new Map([["Event", "VaultEvent"]]);

export function typeName(name) {
  return RENAMED.get(name) ?? name;
}

export function capitalised(name) {
  return name[0].toUpperCase() + name.slice(1);
}

/** The name at the end of a reference such as `#/$defs/SessionKey`. */
export function referenced(schema) {
  return schema.$ref?.slice("#/$defs/".length);
}

/** A description without the links of Rust's documentation, and with the protocol's names in place of Rust's. */
export function prose(description) {
  const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
  return description
    .replace(/\[(`[^`\]]+`)\](\([^)]*\))?/g, "$1")
    .replace(/`\w+::([A-Z][a-z]\w*)`/g, (_, variant) => `\`${variant[0].toLowerCase()}${variant.slice(1)}\``)
    .replace(/`(\w+)::([a-z_]+)`/g, (_, type, field) => `\`${type}.${camelCase(field)}\``)
    .replace(/`\w+::([A-Z_]+)`/g, "`$1`")
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

/** A documentation comment, each line behind `indent`. */
export function comment(text, indent = "") {
  const lines = prose(text).split("\n");
  if (lines.length === 1) {
    return `${indent}/** ${lines[0]} */\n`;
  }
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */\n`].join("\n");
}
