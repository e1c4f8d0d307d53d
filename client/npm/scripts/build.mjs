// Builds the package twice: dist/esm for `import` and dist/cjs for `require`, each with its types.

import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
for (const [form, type] of [["esm", "module"], ["cjs", "commonjs"]]) {
  execFileSync("node_modules/.bin/tsc", ["-p", `tsconfig.${form}.json`], { stdio: "inherit" });
  // How Node and TypeScript read the files below.
  writeFileSync(`dist/${form}/package.json`, `${JSON.stringify({ type })}\n`);
}
