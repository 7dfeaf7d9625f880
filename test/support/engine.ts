/**
 * A real container engine for tests: Podman with everything of its own in a temporary folder, and two images without any
 * registry.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Docker from "dockerode";

/** An image with busybox as `sh` and the rest. It names no user. */
export const BOX = "localhost/box:latest";

/** Where Debian's busybox-static is. */
const BUSYBOX = "/bin/busybox";
const APPLETS =
  "sh ls cat echo sleep id yes dd touch mkdir env mount grep head wc ps kill true false df seq tr nc";
const START_TRIES = 100;
const START_PAUSE_MS = 100;

/** What these tests lack on this machine; undefined if nothing. */
export function whyNoEngine(): string | undefined {
  if (process.env["MCPP_CONTAINERS"] === undefined) return "they take minutes: npm run test:containers";
  if (process.platform !== "linux") return "no container engine: these tests start Podman, which is Linux's";
  if (process.getuid?.() !== 0) return "no container engine: starting Podman with runc needs root";
  try {
    for (const program of ["podman", "runc", "git"]) execFileSync("which", [program], { stdio: "ignore" });
  } catch {
    return "no container engine: install podman, runc, busybox-static and git";
  }
  return existsSync(BUSYBOX) ? undefined : "no container engine: install busybox-static";
}

/** A running engine. */
export interface TestEngine extends AsyncDisposable {
  readonly socket: string;
  readonly docker: Docker;
  /** A folder that goes with the engine. */
  readonly folder: string;
  /** How many containers there are, whatever their state. */
  containers(): Promise<number>;
}

/** Starts Podman's service and makes {@link BOX}. @param registry - `host:port` of one without TLS that it may use */
export async function startEngine(registry?: string): Promise<TestEngine> {
  const folder = mkdtempSync(join(tmpdir(), "mcpp-engine-"));
  const socket = join(folder, "podman.sock");
  const storage = [
    "--root",
    join(folder, "root"),
    "--runroot",
    join(folder, "run"),
    "--tmpdir",
    join(folder, "tmp"),
    "--storage-driver=vfs",
    "--runtime=runc",
    "--cgroup-manager=cgroupfs",
    "--events-backend=file",
  ];
  // Podman gives containers its own limits, which must be ones that it may give.
  const line = 'ulimit -n 4096; ulimit -u 8192; exec podman "$@"';
  const child = spawn(
    "sh",
    ["-c", line, "podman", ...storage, "system", "service", "--time=0", `unix://${socket}`],
    {
      stdio: "ignore",
      detached: true,
      env: { ...process.env, CONTAINERS_REGISTRIES_CONF: registriesFile(folder, registry) },
    },
  );
  const engine = {
    socket,
    folder,
    docker: new Docker({ socketPath: socket }),
    containers: async () => (await engine.docker.listContainers({ all: true })).length,
    [Symbol.asyncDispose]: () => stop(child, folder, storage),
  };
  try {
    await answered(engine.docker);
    execFileSync("podman", [...storage, "import", "-", BOX], {
      input: busyboxArchive(folder),
      stdio: ["pipe", "ignore", "ignore"],
    });
    return engine;
  } catch (error) {
    await stop(child, folder, storage);
    throw error;
  }
}

function registriesFile(folder: string, registry: string | undefined): string {
  const path = join(folder, "registries.conf");
  const text = registry === undefined ? "" : `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`;
  writeFileSync(path, text);
  return path;
}

async function answered(docker: Docker): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await docker.ping();
      return;
    } catch (error) {
      if (attempt === START_TRIES) throw error;
      await pause(START_PAUSE_MS);
    }
  }
}

/** The root file system of {@link BOX} as a tar archive. */
export function busyboxArchive(folder: string): Buffer {
  const root = mkdtempSync(join(folder, "box-"));
  chmodSync(root, 0o755);
  for (const name of ["bin", "tmp", "etc"]) mkdirSync(join(root, name), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  copyFileSync(BUSYBOX, join(root, "bin/busybox"));
  for (const applet of APPLETS.split(" ")) symlinkSync("busybox", join(root, "bin", applet));
  return execFileSync("tar", ["-C", root, "-cf", "-", "."], { maxBuffer: 64 * 1024 * 1024 });
}

async function stop(child: ChildProcess, folder: string, storage: readonly string[]): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    try {
      execFileSync("podman", [...storage, "rm", "--all", "--force", "--time", "0"], { stdio: "ignore" });
    } finally {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
  }
  execFileSync("sh", [
    "-c",
    `awk '$2 ~ "^${folder}" {print $2}' /proc/mounts | sort -r | xargs -r umount -l`,
  ]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
