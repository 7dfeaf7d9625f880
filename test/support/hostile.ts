/** Specifications of containers that want what they must not have. */

/** How a specification ends: refused with a code, or run to a result in which the attack has not worked. */
export interface HostileSpecification {
  readonly what: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly code?: string;
  /** What the standard output must be, if it runs. */
  readonly out?: RegExp;
}

const DENIED = "E_CONTAINER_DENIED";
const INVALID = "E_INVALID_INPUT";
const sh = (script: string): Readonly<Record<string, unknown>> => ({ command: ["sh", "-c", script] });

/** Every one of them. `ALLOWED` stands for a folder that may be mounted, `PORT` for a port of the machine. */
export const HOSTILE: readonly HostileSpecification[] = [
  { what: "an image that is not allowed", payload: { image: "evil" }, code: DENIED },
  {
    what: "an image whose name begins like an allowed one",
    payload: { image: "localhost/box2" },
    code: DENIED,
  },
  { what: "an image by its id", payload: { image: `sha256:${"0".repeat(64)}` }, code: DENIED },
  { what: "an image that is an option", payload: { image: "--privileged" }, code: INVALID },
  { what: "privileged", payload: { privileged: true }, code: DENIED },
  { what: "a capability", payload: { cap_add: ["SYS_ADMIN"] }, code: DENIED },
  { what: "no seccomp", payload: { security_opt: ["seccomp=unconfined"] }, code: DENIED },
  { what: "new privileges", payload: { no_new_privileges: false }, code: DENIED },
  { what: "a writable root", payload: { read_only: "False" }, code: DENIED },
  { what: "root", payload: { user: "0:0" }, code: DENIED },
  { what: "root by its name", payload: { user: "root" }, code: DENIED },
  { what: "root's group", payload: { user: "1000:0" }, code: DENIED },
  { what: "the host's network", payload: { network_mode: "host" }, code: DENIED },
  { what: "another container's network", payload: { network_mode: "container:x" }, code: DENIED },
  { what: "the host's processes", payload: { pid_mode: "host" }, code: DENIED },
  { what: "the host's IPC", payload: { ipc_mode: "host" }, code: DENIED },
  { what: "the host's users", payload: { userns_mode: "host" }, code: DENIED },
  { what: "a device", payload: { devices: ["/dev/mem"] }, code: DENIED },
  { what: "GPUs", payload: { gpus: true }, code: DENIED },
  { what: "a mount of the root", payload: { volumes: { "/": "/host" } }, code: DENIED },
  {
    what: "a mount that leaves the allowed folder by dots",
    payload: { volumes: { "ALLOWED/../..": "/host" } },
    code: DENIED,
  },
  {
    what: "a mount that leaves it by a link",
    payload: { volumes: { "ALLOWED/link": "/host" } },
    code: DENIED,
  },
  { what: "a mount that may be written to", payload: { volumes: { ALLOWED: "/in:rw" } }, code: DENIED },
  { what: "a mount over /proc", payload: { volumes: { ALLOWED: "/proc/x" } }, code: INVALID },
  { what: "a mount of a socket", payload: { volumes: { "ALLOWED/socket": "/in/socket" } }, code: DENIED },
  {
    what: "a mount of the engine's socket",
    payload: { volumes: { "/var/run/docker.sock": "/s" } },
    code: DENIED,
  },
  { what: "more memory than there is", payload: { memory_limit: "900g" }, code: DENIED },
  { what: "an endless time", payload: { timeout: 1e9 }, code: DENIED },
  { what: "a variable that is two", payload: { environment: { "A=B": "c" } }, code: INVALID },
  {
    what: "a fork bomb",
    payload: { ...sh("f() { f | f & }; f; sleep 1; echo here"), timeout: 8 },
    out: /here|^$/,
  },
  {
    what: "a memory bomb in /tmp and /dev/shm",
    payload: sh(
      "dd if=/dev/zero of=/tmp/x bs=1M count=100; dd if=/dev/zero of=/dev/shm/x bs=1M count=100; wc -c < /tmp/x",
    ),
    out: /^[34]\d{6}\n$/,
  },
  {
    what: "a full disk",
    payload: sh(
      "for d in / /etc /bin /var /root /run /dev /proc /sys; do echo x > $d/fill && echo wrote $d; done; echo end",
    ),
    out: /^(wrote \/run\n)?end\n$/,
  },
  {
    what: "endless output",
    payload: { command: ["yes", "x".repeat(1000)], timeout: 4 },
    code: "E_CONTAINER_TIMEOUT",
  },
  {
    what: "an endless line",
    payload: { command: ["sh", "-c", "cat /dev/zero | tr '\\0' 'y'"], timeout: 3 },
    code: "E_CONTAINER_TIMEOUT",
  },
  {
    what: "a run without an end that ignores signals",
    payload: { ...sh("trap '' TERM INT HUP; while true; do :; done"), timeout: 2 },
    code: "E_CONTAINER_TIMEOUT",
  },
  {
    what: "mounting, and reading what is the host's",
    payload: sh(
      "mount -t tmpfs x /tmp && echo mounted; cat /proc/sysrq-trigger /proc/kcore /dev/mem; echo b > /proc/sysrq-trigger; ls /proc | grep -c '^[0-9]'",
    ),
    out: /^[0-9]\n$/,
  },
  {
    what: "the host's loopback",
    payload: sh("nc -w 1 127.0.0.1 PORT < /dev/null && echo reached; echo end"),
    out: /^end\n$/,
  },
];
