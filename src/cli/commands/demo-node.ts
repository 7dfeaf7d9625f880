/** A node of the demonstration: a process of its own, which ends with whoever started it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { childEnvironment } from "../../config.ts";
import { isJsonObject } from "../../content/json.ts";
import { UnreachableError } from "../../errors.ts";
import { abandonOnCancel, failAfter, moveOnAfter, type Nursery, shield } from "../../nursery/index.ts";

/** A node is ready after about a second; a busy machine may take many times as long. */
const READY_MS = 30_000;
/** A node that was asked to end drains for a second; then it is killed. */
const END_MS = 8000;
/** How much of what a node said is kept, for the message if it fails. */
const KEPT_LINES = 15;

/** What a node is started with. */
export interface DemoNodeOptions {
  /** Its name in the table: A, B or C. */
  readonly name: string;
  /** Command and flags of `mcpp`. */
  readonly args: readonly string[];
  /** Beyond what every child inherits. */
  readonly env: Readonly<Record<string, string>>;
}

/** A node that runs. */
export interface DemoNode {
  readonly name: string;
  readonly pid: number;
  readonly peerId: string;
  /** Undefined for a node without HTTP. */
  readonly url: string | undefined;
  /** Ends it without a chance to clean up, and waits until it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts a node as a child of the nursery, and waits until it is ready.
 *
 * @throws UnreachableError with its last words if it ends before
 */
export function startDemoNode(nursery: Nursery, options: DemoNodeOptions): Promise<DemoNode> {
  return nursery.start<DemoNode>(async (status) => {
    const env = { ...childEnvironment(), ...options.env };
    const command = [process.argv[1] ?? "", ...options.args, "--json", "--drain", "1s"];
    const child = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "pipe"] });
    const node = new DemoProcess(options.name, child);
    try {
      status.started(await failAfter(READY_MS, () => node.ready()));
      await node.ended();
    } finally {
      await shield(2 * END_MS, () => node.end());
    }
  }, `node ${options.name}`);
}

class DemoProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #firstLine: Promise<string | undefined>;
  readonly #words: string[] = [];

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    this.#exit = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", (error) => {
        this.#words.push(error.message);
        resolve();
      });
    });
    this.#firstLine = firstLineOf(child);
    if (child.stderr) createInterface({ input: child.stderr }).on("line", (line) => this.#hear(line));
  }

  async ready(): Promise<DemoNode> {
    const line = await abandonOnCancel(this.#firstLine);
    const facts: unknown = line === undefined ? undefined : JSON.parse(line);
    const pid = this.#child.pid;
    if (
      !isJsonObject(facts) ||
      typeof facts["peer_id"] !== "string" ||
      facts["ready"] !== true ||
      pid === undefined
    ) {
      await abandonOnCancel(this.#exit);
      throw new UnreachableError(`node ${this.#name} did not start:\n${this.#words.join("\n")}`);
    }
    const url = typeof facts["url"] === "string" ? facts["url"] : undefined;
    return { name: this.#name, pid, peerId: facts["peer_id"], url, kill: () => this.#kill() };
  }

  /** Waits until the process is gone. */
  ended(): Promise<void> {
    return abandonOnCancel(this.#exit);
  }

  /** Asks the process to end, and sees to it that it does. */
  async end(): Promise<void> {
    if (!this.#running) return;
    this.#child.kill("SIGTERM");
    await moveOnAfter(END_MS, () => this.ended());
    if (this.#running) await this.#kill();
  }

  get #running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  #hear(line: string): void {
    this.#words.push(line);
    if (this.#words.length > KEPT_LINES) this.#words.shift();
  }
}

/** The first line that the child prints; undefined if it ends without one. */
function firstLineOf(child: ChildProcess): Promise<string | undefined> {
  const { stdout } = child;
  if (!stdout) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const lines = createInterface({ input: stdout });
    lines.once("line", resolve);
    lines.once("close", () => resolve(undefined));
  });
}
