/** Temporary folders on the disk that is measured. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that goes when the measurement ends. */
export interface Folder extends Disposable {
  readonly path: string;
  file(name: string): string;
}

/** Makes a folder in the system's temporary folder, or in `MCPP_BENCH_DIR`, which should be on the disk of interest. */
export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(process.env["MCPP_BENCH_DIR"] ?? tmpdir(), "mcpp-bench-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}
