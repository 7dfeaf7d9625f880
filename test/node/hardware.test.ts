import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { openNursery } from "../../src/nursery/index.ts";
import { coresHere, gpusHere, memoryHere } from "../../src/node/hardware.ts";
import type { Gpu } from "../../src/peer/capabilities.ts";
import { tempFolder } from "../store/temp-folder.ts";

const MIB = 1024 * 1024;

/** What is found on a machine with these files; `tool` is what NVIDIA's tool says, as a shell script. */
async function found(files: Readonly<Record<string, string>>, tool?: string): Promise<readonly Gpu[]> {
  using folder = tempFolder();
  const at = (name: string): string => join(folder.path, name);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), text);
  }
  if (tool !== undefined) {
    writeFileSync(at("nvidia-smi"), `#!/bin/sh\n${tool}\n`);
    chmodSync(at("nvidia-smi"), 0o700);
  }
  const machine = { nvidiaTool: at("nvidia-smi"), drm: at("drm"), nvidiaDriver: at("nvidia") };
  return (await openNursery(() => gpusHere(machine))) ?? assert.fail("it was cancelled");
}

describe("the hardware of a machine", () => {
  it("has as many graphics processors as its tools and drivers tell of", async () => {
    const amd = {
      "drm/renderD128/device/uevent": "DRIVER=amdgpu\nPCI_ID=1002:744C\n",
      "drm/renderD128/device/mem_info_vram_total": `${64 * MIB}\n`,
      "drm/renderD129/device/uevent": "DRIVER=nvidia\n",
      "drm/renderD130/device/uevent": "DRIVER=virtio-pci\n",
      "drm/card0/device/uevent": "DRIVER=i915\n",
    };
    assert.deepEqual(await found(amd, "echo 'NVIDIA A100, 40960'; echo 'Tesla, T4, [N/A]'"), [
      { name: "NVIDIA A100", memory_bytes: 40_960 * MIB },
      { name: "Tesla, T4" },
      { name: "amdgpu 1002:744C", memory_bytes: 64 * MIB },
    ]);
  });

  it("is known by the driver where the tool is not there or fails", async () => {
    const files = { "nvidia/0000:01:00.0/information": "Model: \t\t NVIDIA GeForce\nIRQ: 1\n" };
    assert.deepEqual(await found(files), [{ name: "NVIDIA GeForce" }]);
    assert.deepEqual(await found(files, "exit 9"), [{ name: "NVIDIA GeForce" }]);
  });

  it("has none where nothing tells of one", async () => assert.deepEqual(await found({}), []));

  it("has processors and memory", () => {
    const { total, free } = memoryHere();
    assert.ok(coresHere() >= 1);
    assert.ok(total > 0 && total <= totalmem());
    assert.ok(free >= 0 && free <= total);
  });
});
