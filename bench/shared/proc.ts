/** What Linux says about another process. */
import { readFileSync } from "node:fs";

/** Clock ticks in a second in /proc; the kernel has shown 100 to programs for decades. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/<pid>/stat after the command's name, which may hold spaces. */
const UTIME = 11;
const STIME = 12;

/** Processor time that a process has used, in milliseconds; steps of ten. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[UTIME]) + Number(fields[STIME])) * 1000) / TICKS_PER_SECOND;
}

/** Memory of a process that is in RAM, in bytes. */
export function rssBytesOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}
