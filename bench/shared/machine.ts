/** On what the figures were made: without it they say nothing. */
import { cpus, loadavg, totalmem } from "node:os";
import { type SQLOutputValue, DatabaseSync } from "node:sqlite";

/** The machine and its state. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly node: string;
  readonly sqlite: SQLOutputValue | undefined;
  readonly platform: string;
  /** Load averages of 1, 5 and 15 minutes when the run began. */
  readonly load: readonly number[];
}

/** Describes this machine as it is now. */
export function describeMachine(): Machine {
  const db = new DatabaseSync(":memory:");
  const sqlite = db.prepare("SELECT sqlite_version() AS version").get()?.["version"];
  db.close();
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1e6),
    node: process.version,
    sqlite,
    platform: `${process.platform} ${process.arch}`,
    load: loadavg().map((load) => Math.round(load * 100) / 100),
  };
}
