/** What a payload asks for, without any engine: the payloads of the old system, names of images, and Git's URLs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as z from "zod";
import { jsonObject } from "../../../src/content/json.ts";
import { checkDockerfile } from "../../../src/worker/containers/dockerfile.ts";
import { allowedSource } from "../../../src/worker/containers/git.ts";
import { createOptions, grant } from "../../../src/worker/containers/grant.ts";
import { imageText, isAllowedImage, parseImage } from "../../../src/worker/containers/image-name.ts";
import { Output } from "../../../src/worker/containers/output.ts";
import { readRun } from "../../../src/worker/containers/request.ts";
import { insidePath } from "../../../src/worker/containers/tree.ts";
import { TestClock } from "../../support/clock.ts";
import { POLICY } from "../../support/containers.ts";

const GIB = 1024 ** 3;
const GENEROUS = {
  ...POLICY,
  images: ["*"],
  networks: ["bridge"],
  mounts: ["/"],
  gpus: true,
  memoryBytes: 2 * GIB,
  cpus: 4,
};
const vectors = z.object({
  cases: z.array(z.object({ payload: jsonObject, streaming_argv: z.array(z.string()) })),
});
const read: unknown = JSON.parse(
  readFileSync(new URL("../../vectors/docker_commands.json", import.meta.url), "utf8"),
);

/** The words after the image, and those before it that say something which still holds. */
function told(argv: readonly string[], image: string): Record<string, unknown> {
  const at = argv.indexOf(image);
  const after = (flag: string): string | undefined => {
    const found = argv.indexOf(flag);
    return found > 0 && found < at ? argv[found + 1] : undefined;
  };
  const entry = after("--entrypoint");
  return {
    words: [...(entry === undefined ? [] : [entry]), ...argv.slice(at + 1)],
    environment: argv.flatMap((word, i) => (argv[i - 1] === "-e" ? [word] : [])),
    network: after("--network"),
    workingDir: after("-w"),
    user: after("--user"),
    gpus: argv.includes("--gpus"),
    cpus: after("--cpus"),
    memory: after("--memory"),
  };
}

describe("the payload of a container", () => {
  for (const { payload, streaming_argv: argv } of vectors.parse(read).cases) {
    it(`means what it meant in the old system: ${JSON.stringify(payload)}`, async () => {
      const request = readRun(payload);
      // Refused here on purpose: nobody gets new privileges, or a path of this machine that is not there.
      const granted = await grant({ ...request, forbidden: [], volumes: [] }, GENEROUS);
      const spec = createOptions(
        granted,
        { id: "i", user: "" },
        "n",
        {},
        { policy: GENEROUS, isPodman: true },
      );
      const old = told(argv, String(payload["image"]));
      // A list is taken exactly; the old worker dropped empty words of it.
      const words = [spec.Entrypoint ?? [], spec.Cmd ?? []].flat().filter((word) => word !== "");
      assert.deepEqual(words, old["words"]);
      assert.deepEqual(spec.Env, old["environment"]);
      assert.equal(spec.HostConfig?.NetworkMode, old["network"]);
      assert.equal(spec.WorkingDir, old["workingDir"]);
      if (old["user"] !== undefined) assert.equal(spec.User?.split(":")[0], old["user"]);
      assert.equal(spec.HostConfig?.DeviceRequests !== undefined, old["gpus"]);
      if (old["cpus"] !== undefined) assert.equal(spec.HostConfig?.NanoCpus, Number(old["cpus"]) * 1e9);
      if (old["memory"] !== undefined) assert.equal(spec.HostConfig?.Memory, 512 * 1024 ** 2);
    });
  }

  it("keeps a list of words exactly, empty ones too", () => {
    assert.deepEqual(readRun({ command: ["a", "", " b"] }).command, ["a", "", " b"]);
  });

  it("always sets every limit", async () => {
    const { host } = await grant(readRun({}), POLICY);
    const { Memory, MemorySwap, NanoCpus, PidsLimit, CapDrop, SecurityOpt, ReadonlyRootfs, NetworkMode } =
      host;
    assert.ok(Memory && Memory === MemorySwap && NanoCpus && PidsLimit && host.Ulimits?.length);
    assert.deepEqual(
      [CapDrop, SecurityOpt, ReadonlyRootfs, NetworkMode],
      [["ALL"], ["no-new-privileges"], true, "none"],
    );
  });

  it("runs as whom the image names only if that is surely not root", async () => {
    const granted = await grant(readRun({}), POLICY);
    const userOf = (user: string): string | undefined =>
      createOptions(granted, { id: "i", user }, "n", {}, { policy: POLICY, isPodman: false }).User;
    assert.deepEqual(["1000", "1000:50", "node", "", "0", "root", "00:5", "7:0"].map(userOf), [
      "1000:1000",
      "1000:50",
      ...Array<string>(6).fill("65534:65534"),
    ]);
  });
});

/** Whether the pattern allows the image. */
function allows(pattern: string, image: string): boolean {
  return isAllowedImage(parseImage(image), [pattern]);
}

describe("an allow-list of images", () => {
  it("compares whole names, with their registry", () => {
    const full = Object.fromEntries(
      ["alpine", "a/b:1", "localhost/x", "ghcr.io/a/b@sha256:" + "a".repeat(64)].map((name) => [
        name,
        imageText(parseImage(name)),
      ]),
    );
    assert.deepEqual(Object.values(full), [
      "docker.io/library/alpine:latest",
      "docker.io/a/b:1",
      "localhost/x:latest",
      `ghcr.io/a/b@sha256:${"a".repeat(64)}`,
    ]);
    assert.deepEqual(
      [
        allows("alpine", "docker.io/library/alpine:3"),
        allows("alpine:3", "alpine:3"),
        allows("ghcr.io/owner/*", "ghcr.io/owner/x:1"),
        allows("*", "anything/at:all"),
      ],
      [true, true, true, true],
    );
    assert.deepEqual(
      [
        allows("alpine", "evil.example/library/alpine"),
        allows("alpine:3", "alpine"),
        allows("ghcr.io/owner/*", "ghcr.io/owner2/x"),
        allows("alpine", "alpine2"),
        allows("python*", "evil.example/python"),
      ],
      [false, false, false, false, false],
    );
  });

  it("refuses what is no name", () => {
    for (const name of ["", "-v", "A", "a b", "a//b", "a@b", "../a", "a:b:c", "http://a/b", "a\n"])
      assert.throws(() => parseImage(name), { code: "E_INVALID_INPUT" }, name);
  });
});

describe("an allow-list of repositories", () => {
  const allowed = ["https://github.com/owner", "https://example.org/team/"];
  const fetches = (url: string, revision: string = "main"): boolean =>
    allowedSource(url, revision, allowed) !== undefined;

  it("compares hosts and folders whole", () => {
    assert.ok(
      fetches("https://github.com/owner/name") &&
        fetches("owner/name") &&
        fetches("https://example.org/team/x"),
    );
    for (const url of [
      "https://github.com/owner2/name",
      "https://github.com.evil.example/owner/name",
      "https://github.com/owner/../other/name",
      "https://example.org/teams/x",
      "file:///etc",
    ])
      assert.equal(fetches(url), false, url);
  });

  it("refuses other protocols, credentials, escapes, options and odd revisions", () => {
    for (const url of [
      "git@github.com:owner/name",
      "ssh://github.com/owner/name",
      "http://github.com/owner/name",
      "ext::sh -c id",
      "https://user:secret@github.com/owner/name",
      "https://github.com/owner/%2e%2e/other",
      "--upload-pack=id",
    ])
      assert.throws(() => fetches(url), { code: "E_INVALID_INPUT" }, url);
    for (const revision of ["-x", "a..b", "a:b", "a b", "^a", "a@{1}", "+main", ""])
      assert.throws(() => fetches("owner/name", revision), { code: "E_INVALID_INPUT" }, revision);
  });

  it("keeps paths inside the repository", () => {
    assert.deepEqual(
      [".", "./a/", "a/../b", "a/b"].map((path) => insidePath("context_path", path)),
      ["", "a", "b", "a/b"],
    );
    for (const path of ["..", "../a", "/a", "a/../../b", "a\0b", ":(top)"])
      assert.throws(() => insidePath("context_path", path), { code: "E_INVALID_INPUT" }, path);
  });
});

describe("the check of a Dockerfile", () => {
  it("lets an ordinary one pass", () => {
    const text = `# syntax=docker/dockerfile:1
ARG TAG=latest
FROM localhost/box:\${TAG} AS build
COPY --chown=1:1 . /src
FROM build
ADD a.tar /x
COPY --from=build /src /y
CMD ["sh"]
`;
    checkDockerfile(text, {}, POLICY);
    assert.throws(() =>
      checkDockerfile(text.replace("TAG=latest", "B=x"), { B: "x" }, { ...POLICY, images: [] }),
    );
  });
});

/** One frame of an attached container. */
function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("the output of a container", () => {
  it("is the same however it is cut, in the middle of headers and letters too", async () => {
    const whole = Buffer.concat([frame(1, "één\ntw"), frame(2, "error\n"), frame(1, "ö\n")]);
    for (const size of [1, 3, 7, 1000]) {
      const lines: string[] = [];
      const output = new Output(new TestClock(), (stream, message) => lines.push(`${stream} ${message}`));
      const parts = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
        whole.subarray(i * size, (i + 1) * size),
      );
      await output.read(
        (async function* () {
          yield* parts;
        })(),
      );
      output.end();
      assert.deepEqual([output.stdout.text, output.stderr.text], ["één\ntwö\n", "error\n"]);
      assert.deepEqual(lines.toSorted(), ["stderr error", "stdout twö", "stdout één"]);
    }
  });
});
