/** One JSON line a test, as `node --test --test-reporter` wants a reporter: file, name, whether it passed, and what was said. */

import path from "node:path";
import { inspect } from "node:util";

export default async function* reporter(source) {
  let said = "";

  for await (const { type, data } of source) {
    if (type === "test:stdout" || type === "test:stderr") {
      said += data.message;
    } else if (type === "test:pass" || type === "test:fail") {
      const error = data.details.error?.cause ?? data.details.error;

      yield `${JSON.stringify({
        file: path.basename(data.file ?? ""),
        test: data.name,
        ok: type === "test:pass",
        detail: error === undefined ? "" : `${error instanceof Error ? error.stack : inspect(error)}\n${said}`,
        seconds: data.details.duration_ms / 1000,
      })}\n`;
      said = "";
    }
  }
}
