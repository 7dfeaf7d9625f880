/** Images that are fetched, from a small registry on this machine that speaks the distribution API. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ContainerWorld } from "../../support/containers.ts";
import { busyboxArchive, startEngine, type TestEngine, whyNoEngine } from "../../support/engine.ts";

const skip = whyNoEngine() ?? false;
const OCI = "application/vnd.oci.image";

function digest(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The three parts of an image, by digest. */
function imageOf(layer: Buffer): { readonly manifest: Buffer; readonly blobs: ReadonlyMap<string, Buffer> } {
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: { User: "1234" },
      rootfs: { type: "layers", diff_ids: [digest(layer)] },
    }),
  );
  const part = (kind: string, bytes: Buffer): object => ({
    mediaType: `${OCI}.${kind}`,
    digest: digest(bytes),
    size: bytes.length,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: part("config.v1+json", config),
    layers: [part("layer.v1.tar", layer)],
  };
  const blobs = [config, layer].map((bytes) => [digest(bytes), bytes] as const);
  return { manifest: Buffer.from(JSON.stringify(manifest)), blobs: new Map(blobs) };
}

describe("an image that is not here", { skip, timeout: 120_000 }, () => {
  let engine: TestEngine;
  let world: ContainerWorld;
  let folder: string;
  let registry: Server;
  let host: string;
  /** What the registry was asked for; it never answers for the image `slow`. */
  let asked: string[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "mcpp-registry-"));
    const { manifest, blobs } = imageOf(busyboxArchive(folder));
    registry = createServer(({ url = "" }, response) => {
      asked.push(url);
      if (url.startsWith("/v2/slow/")) return;
      const blob = blobs.get(url.split("/").at(-1) ?? "");
      if (url === "/v2/") response.end("{}");
      else if (url === "/v2/team/box/manifests/1")
        response.setHeader("content-type", `${OCI}.manifest.v1+json`).end(manifest);
      else if (blob) response.end(blob);
      else
        response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const address = registry.address();
    host = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    engine = await startEngine(host);
  });
  after(async () => {
    registry.closeAllConnections();
    await new Promise((resolve) => registry.close(resolve));
    await engine[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    asked = [];
    world = new ContainerWorld();
  });
  afterEach(() => world.close());

  it("is fetched if it is allowed, and runs as the user that it names", async () => {
    await world.start(engine, { images: [`${host}/team/*`], pull: "missing" });
    const { state, result, error } = await world.done("docker.execute", {
      image: `${host}/team/box:1`,
      command: ["/bin/id", "-u"],
    });
    assert.deepEqual([state, error, result?.["stdout"]], ["completed", undefined, "1234\n"]);
  });

  it("is not asked for if it is not allowed, or if the worker fetches none", async () => {
    await world.start(engine, { images: [`${host}/team/*`], pull: "never" });
    const refused = await world.done("docker.execute", { image: `${host}/other/box:1` });
    const absent = await world.done("docker.execute", { image: `${host}/team/box:2` });
    assert.deepEqual([refused.error?.code, absent.error?.code], ["E_CONTAINER_DENIED", "E_CONTAINER_IMAGE"]);
    assert.deepEqual(asked, []);
  });

  it("fails the task for good if the registry does not have it", async () => {
    await world.start(engine, { images: [`${host}/*`], pull: "missing" });
    const { error } = await world.done("docker.execute", { image: `${host}/team/box:2` });
    assert.deepEqual([error?.code, error?.failureClass], ["E_CONTAINER_IMAGE", "not-found"], error?.message);
  });

  it("is given up when the task is cancelled", async () => {
    const worker = await world.start(engine, { images: [`${host}/*`], pull: "missing" });
    const id = await world.submit("docker.execute", { image: `${host}/slow/box:1` });
    while (!asked.some((url) => url.startsWith("/v2/slow/"))) await pause(50);
    await world.queue.cancel(id, "nobody needs it");
    while (worker.running > 0) await pause(50);
    assert.equal((await world.queue.get(id))?.state, "cancelled");
  });
});
