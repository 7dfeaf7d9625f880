/** What a machine has, measured: processors, memory, graphics processors. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { abortable, failAfter, rethrowIfCancelled } from "../nursery/index.ts";
import type { Gpu } from "../peer/capabilities.ts";

/** NVIDIA's tool waits for a driver that may not answer. */
const TOOL_LIMIT_MS = 5000;
const MIB = 1024 * 1024;
/** Fields of NVIDIA's tool, one card a line: its name, and its memory in MiB. */
const NVIDIA_QUERY = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"];

/** Where things are on the machine; others in tests. */
export interface Machine {
  readonly nvidiaTool: string;
  /** The folder of the direct rendering interface in sysfs. */
  readonly drm: string;
  /** The folder of NVIDIA's driver in procfs. */
  readonly nvidiaDriver: string;
}

const THIS_MACHINE: Machine = {
  nvidiaTool: "nvidia-smi",
  drm: "/sys/class/drm",
  nvidiaDriver: "/proc/driver/nvidia/gpus",
};

/** How many processors this process may use. */
export function coresHere(): number {
  return availableParallelism();
}

/** The memory that this process may use and what of it is free, in bytes. */
export function memoryHere(): { readonly total: number; readonly free: number } {
  // 0 or a number without meaning if no control group sets a limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  return { total, free: Math.min(total, total === limit ? process.availableMemory() : freemem()) };
}

/** The graphics processors, by whatever tells of them; empty if nothing does. A cancellation point. */
export async function gpusHere(machine: Machine = THIS_MACHINE): Promise<readonly Gpu[]> {
  const nvidia = await nvidiaByTool(machine.nvidiaTool);
  const named = nvidia.length > 0 ? nvidia : await nvidiaByDriver(machine.nvidiaDriver);
  return [...named, ...(await othersByDrm(machine.drm))];
}

async function nvidiaByTool(tool: string): Promise<readonly Gpu[]> {
  try {
    const text = await failAfter(TOOL_LIMIT_MS, () => abortable((signal) => outputOf(tool, signal)));
    return text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => {
        const at = line.lastIndexOf(",");
        const mib = Number(line.slice(at + 1));
        const name = line.slice(0, at).trim();
        return mib > 0 ? { name, memory_bytes: mib * MIB } : { name };
      });
  } catch (error) {
    rethrowIfCancelled(error);
    // There is no such tool here, or no card that it knows.
    return [];
  }
}

function outputOf(tool: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(tool, NVIDIA_QUERY, { signal }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

async function nvidiaByDriver(folder: string): Promise<readonly Gpu[]> {
  const cards = await entriesOf(folder);
  const texts = await Promise.all(cards.map((card) => textOf(join(folder, card, "information"))));
  return texts.map((text) => ({ name: /^Model:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? "NVIDIA" }));
}

/** Cards that can compute without a screen have a render node. */
async function othersByDrm(folder: string): Promise<readonly Gpu[]> {
  const nodes = (await entriesOf(folder)).filter((entry) => /^renderD\d+$/.test(entry));
  const found = await Promise.all(nodes.map((node) => cardOf(join(folder, node, "device"))));
  return found.filter((gpu) => gpu !== undefined);
}

async function cardOf(device: string): Promise<Gpu | undefined> {
  const uevent = await textOf(join(device, "uevent"));
  const driver = /^DRIVER=(.+)$/m.exec(uevent)?.[1]?.trim();
  // Those of NVIDIA were counted; the others are screens of virtual machines.
  if (driver === undefined || /^(nvidia|virtio|bochs|vmwgfx|vgem|vkms|simple|ast|qxl)/.test(driver))
    return undefined;
  const bytes = Number(await textOf(join(device, "mem_info_vram_total")));
  const id = /^PCI_ID=(.+)$/m.exec(uevent)?.[1]?.trim();
  const name = id === undefined ? driver : `${driver} ${id}`;
  return bytes > 0 ? { name, memory_bytes: bytes } : { name };
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch {
    // No such driver on this machine.
    return [];
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    // Drivers do not all have the same files.
    return "";
  }
}
