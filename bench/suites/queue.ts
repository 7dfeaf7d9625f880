/** The durable queue, against one fsync for each task, plainjob, pg-boss, graphile-worker, and BullMQ with Redis. */
import { existsSync } from "node:fs";
import { type Child, startChild } from "../shared/child.ts";
import type { Figure, Suite } from "../shared/figure.ts";
import { type Folder, temporaryFolder } from "../shared/folder.ts";
import { startDatabase } from "../shared/database.ts";
import { startRedis } from "../shared/redis.ts";
import { median, Rounds, takeTurns } from "../shared/rounds.ts";
import { cpuPerCall, p50, perSecond, type Sample, sampleSchema } from "../shared/sample.ts";
import { type Steps, stepsSchema } from "../contestants/queue-driver.ts";
import * as z from "zod";

const AT_ONCE = 64;
const PROCESSES = 4;
const TOGETHER_ROUNDS = 3;
/** Of a ratio to another queue. */
const AHEAD = { atLeast: 1 };
/** Our queue on the other engine. */
const ON_POSTGRESQL = "ours on PostgreSQL";
/** Our engines. */
const OURS: readonly string[] = ["ours", ON_POSTGRESQL];
/** What ours promises; those that promise the same must be slower. */
const EQUAL: Durability = "on disk when acknowledged";
const STEPS = ["submit", "claim", "complete", "cycle"] as const;

const contestant = (name: string): URL => new URL(`../contestants/${name}`, import.meta.url);
const peer = (name: string): URL => new URL(`../peers/${name}`, import.meta.url);

/** What is on disk when a queue answers. Only those that promise the same are compared with a goal. */
type Durability = "on disk when acknowledged" | "on disk within a second" | "on disk sometime";

/** A queue that takes part, and how to open it once more in another process. */
interface Entrant {
  readonly name: string;
  readonly durability: Durability;
  open(): Promise<Child>;
}

/** The suite `queue`. */
export const queue: Suite = {
  name: "queue",
  about: "durable tasks: submit, claim, complete",
  async run({ quick }) {
    using folder = temporaryFolder();
    using otherFolder = temporaryFolder();
    await using redis = await startRedis(folder.path, "everysec");
    await using durableRedis = await startRedis(otherFolder.path, "always");
    await using database = await startDatabase();
    const ports = { everysec: redis?.port, always: durableRedis?.port };
    const entrants = entrantsIn(folder, ports, database.url);
    const figures: Figure[] = [];
    if (database.url === undefined) figures.push({ name: ON_POSTGRESQL, unit: "/s", note: database.missing });
    if (redis === undefined || durableRedis === undefined)
      figures.push({ name: "BullMQ", unit: "×", goal: AHEAD, note: "redis-server is not installed" });
    if (!existsSync(peer("node_modules")))
      figures.push({ name: "other queues", unit: "×", goal: AHEAD, note: "npm ci --prefix bench/peers" });
    figures.push(...(await sideBySide(folder, entrants, quick)));
    figures.push(...(await together(entrants, quick)));
    figures.push(...(await growth(quick)));
    return figures;
  },
};

/** Our queue in a file, or in the database of a URL. */
function oursAt(name: string, place: string): Entrant {
  return {
    name,
    durability: "on disk when acknowledged",
    open: () => startChild(contestant("queue-ours.ts"), [place]),
  };
}

function entrantsIn(
  folder: Folder,
  redis: { readonly everysec: number | undefined; readonly always: number | undefined },
  databaseUrl: string | undefined,
): readonly Entrant[] {
  const ours = [oursAt("ours", folder.file("ours.db"))];
  const onServer = databaseUrl === undefined ? [] : [oursAt(ON_POSTGRESQL, databaseUrl)];
  if (!existsSync(peer("node_modules"))) return [...ours, ...onServer];
  const other = (name: string, durability: Durability, file: string, args: readonly string[]): Entrant => ({
    name,
    durability,
    open: () => startChild(peer(file), args),
  });
  const plainjob = (level: string, durability: Durability): Entrant =>
    other(`plainjob ${level}`, durability, "plainjob.mjs", [folder.file(`plainjob-${level}.db`), level]);
  const bullmq = (name: string, durability: Durability, port: number | undefined): Entrant[] =>
    port === undefined ? [] : [other(name, durability, "bullmq.mjs", [String(port)])];
  const inDatabase = (name: string, file: string): Entrant[] =>
    databaseUrl === undefined ? [] : [other(name, "on disk when acknowledged", file, [databaseUrl])];
  return [
    ...ours,
    ...onServer,
    plainjob("FULL", "on disk when acknowledged"),
    plainjob("NORMAL", "on disk sometime"),
    ...inDatabase("pg-boss", "pgboss.mjs"),
    ...inDatabase("graphile-worker", "graphile.mjs"),
    ...bullmq("BullMQ, fsync always", "on disk when acknowledged", redis.always),
    ...bullmq("BullMQ, fsync each second", "on disk within a second", redis.everysec),
  ];
}

async function sideBySide(folder: Folder, entrants: readonly Entrant[], quick: boolean): Promise<Figure[]> {
  await using open = new AsyncDisposableStack();
  const raw = open.use(await startChild(contestant("queue-fsync.ts"), [folder.file("raw")]));
  const bare = open.use(await startChild(contestant("queue-insert.ts"), [folder.file("bare.db")]));
  const children = new Map<string, Child>();
  const figures: Figure[] = [];
  for (const entrant of entrants) {
    try {
      children.set(entrant.name, open.use(await entrant.open()));
    } catch (error) {
      figures.push({ name: entrant.name, unit: "×", goal: AHEAD, note: firstLine(error) });
    }
  }
  for (const lanes of [1, AT_ONCE]) {
    const load = { lanes, count: lanes === 1 ? (quick ? 50 : 200) : quick ? 640 : 3200 };
    const rounds = await stepRounds({ raw, bare }, children, load, quick ? 2 : 5);
    figures.push(
      ...stepFigures(
        rounds,
        entrants.filter(({ name }) => children.has(name)),
        lanes,
      ),
    );
  }
  return figures;
}

async function stepRounds(
  { raw, bare }: { readonly raw: Child; readonly bare: Child },
  children: ReadonlyMap<string, Child>,
  load: { readonly lanes: number; readonly count: number },
  count: number,
): Promise<Rounds> {
  const results = new Rounds();
  for (let round = 0; round <= count; round++) {
    const write = await raw.ask("write", { lanes: 1, count: 200 }, sampleSchema);
    const inserts = await bare.ask("write", load, sampleSchema);
    if (round > 0) results.add("fsync", write);
    if (round > 0) results.add("bare insert", inserts);
    const order = round % 2 === 0 ? [...children] : [...children].toReversed();
    for (const [name, child] of order) {
      const steps: Steps = await child.ask("steps", load, stepsSchema);
      // The first round only warms up.
      const kept = round > 0 ? STEPS : [];
      for (const step of kept) results.add(`${name} ${step}`, steps[step]);
    }
  }
  return results;
}

function stepFigures(rounds: Rounds, entrants: readonly Entrant[], lanes: number): Figure[] {
  const at = `${lanes} at once`;
  const figures: Figure[] = [
    {
      name: `submit ÷ one fsync per submit, ${at}`,
      value: rounds.ratio("ours submit", "fsync", perSecond),
      unit: "×",
      goal: lanes > 1 ? { atLeast: 30 } : undefined,
    },
    {
      name: `CPU of submit ÷ bare INSERT, ${at}`,
      value: rounds.ratio("ours submit", "bare insert", cpuPerCall),
      unit: "×",
    },
    { name: `bare INSERT, ${at}`, value: rounds.of("bare insert", perSecond), unit: "/s" },
    { name: `bare INSERT, ${at}`, value: rounds.of("bare insert", cpuPerCall), unit: "µs CPU" },
    { name: `one fsync per record, one at a time`, value: rounds.of("fsync", perSecond), unit: "/s" },
  ];
  for (const ours of OURS) {
    for (const { name, durability } of entrants) {
      if (OURS.includes(name) || !entrants.some((one) => one.name === ours)) continue;
      figures.push({
        name: `submit + claim + complete: ${ours} ÷ ${name} (${durability}), ${at}`,
        value: rounds.ratio(`${ours} cycle`, `${name} cycle`, perSecond),
        unit: "×",
        goal: lanes > 1 && durability === EQUAL ? AHEAD : undefined,
      });
    }
  }
  for (const { name, durability } of entrants) {
    for (const step of STEPS) {
      const key = `${name} ${step}`;
      figures.push(
        { name: `${key} (${durability}), ${at}`, value: rounds.of(key, perSecond), unit: "/s" },
        { name: `${key}, ${at}`, value: rounds.of(key, cpuPerCall), unit: "µs CPU" },
      );
    }
  }
  return figures;
}

/** Several processes on one queue: everybody has a turn in every round. */
async function together(entrants: readonly Entrant[], quick: boolean): Promise<Figure[]> {
  const rates = new Map<string, number[]>();
  const notes = new Map<string, string>();
  for (let round = 0; round < (quick ? 1 : TOGETHER_ROUNDS); round++) {
    for (const entrant of round % 2 === 0 ? entrants : entrants.toReversed()) {
      try {
        const rate = await contend(entrant, quick);
        rates.set(entrant.name, [...(rates.get(entrant.name) ?? []), rate]);
      } catch (error) {
        notes.set(entrant.name, firstLine(error));
      }
    }
  }
  const of = ({ name }: Entrant): number | undefined => {
    const all = rates.get(name);
    return all && median(all);
  };
  const what = `${PROCESSES} processes, 16 at once each`;
  const ratios = entrants
    .filter(({ name }) => OURS.includes(name))
    .flatMap((ours) =>
      entrants
        .filter(({ name }) => !OURS.includes(name))
        .map((other): Figure => {
          const [mine, theirs] = [of(ours), of(other)];
          return {
            name: `submit + claim + complete: ${ours.name} ÷ ${other.name} (${other.durability}), ${what}`,
            unit: "×",
            value: mine === undefined || theirs === undefined ? undefined : mine / theirs,
            goal: other.durability === EQUAL ? AHEAD : undefined,
            note: notes.get(other.name),
          };
        }),
    );
  const single = entrants.map((entrant): Figure => {
    const name = `${entrant.name} submit + claim + complete (${entrant.durability}), ${what}`;
    return { name, unit: "/s", value: of(entrant), note: notes.get(entrant.name) };
  });
  return [...ratios, ...single];
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1).join("");
}

async function contend(entrant: Entrant, quick: boolean): Promise<number> {
  await using open = new AsyncDisposableStack();
  const children: Child[] = [];
  for (let i = 0; i < PROCESSES; i++) children.push(open.use(await entrant.open()));
  const load = { lanes: 16, count: quick ? 160 : 640 };
  const samples: readonly Sample[] = await Promise.all(
    children.map((child) => child.ask("cycle", load, sampleSchema)),
  );
  const total = samples.reduce((sum, { operations }) => sum + operations, 0);
  return (total * 1000) / Math.max(...samples.map(({ ms }) => ms));
}

/** What a claim costs as the queue grows. */
async function growth(quick: boolean): Promise<Figure[]> {
  using folder = temporaryFolder();
  await using child = await startChild(contestant("queue-growth.ts"), [folder.path]);
  const sizes = quick ? [1000, 100_000] : [1000, 100_000, 1_000_000];
  for (const size of sizes) await child.ask("fill", size, z.unknown());
  const measures = new Map(
    sizes.map((size) => [String(size), () => child.ask("claims", size, sampleSchema)] as const),
  );
  const rounds = await takeTurns(measures, quick ? 20 : 60);
  const figures: Figure[] = sizes.map((size) => ({
    name: `claim with ${size} queued, ${AT_ONCE} at once`,
    value: rounds.of(String(size), p50) * 1000,
    unit: "µs",
  }));
  for (const size of sizes.slice(1)) {
    const goal = size === 1_000_000 ? { atMost: 1.5 } : undefined;
    const base = rounds.of("1000", p50);
    figures.push({
      name: `claim with ${size} queued ÷ with 1000`,
      value: rounds.of(String(size), p50) / base,
      unit: "×",
      goal,
    });
  }
  return figures;
}
