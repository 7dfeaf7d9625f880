/** What structured concurrency costs, as ratios to a bare promise. */
import { moveOnAfter, openNursery, sleepForever } from "../../src/nursery/index.ts";
import type { Figure, Suite } from "../shared/figure.ts";
import { median } from "../shared/rounds.ts";

const CALLS = 5000;

/** Makes the given number of calls and waits for the last. */
type Contestant = (calls: number) => Promise<unknown>;

const empty = async (): Promise<void> => undefined;

/** The least that starts something and waits for it: a callback of its own, and one await. */
const barePromise: Contestant = async (calls) => {
  for (let i = 0; i < calls; i++) await Promise.resolve().then(empty);
};

const bareTogether: Contestant = async (calls) => {
  const all: Promise<void>[] = [];
  for (let i = 0; i < calls; i++) all.push(Promise.resolve().then(empty));
  await Promise.all(all);
};

const childrenTogether: Contestant = (calls) =>
  openNursery((nursery) => {
    for (let i = 0; i < calls; i++) nursery.startSoon(empty);
  });

const bareRace: Contestant = async (calls) => {
  for (let i = 0; i < calls; i++) {
    const limit = AbortSignal.timeout(30_000);
    await Promise.race([empty(), new Promise((_resolve, reject) => limit.addEventListener("abort", reject))]);
  }
};

const requests: Contestant = (calls) =>
  openNursery(async (nursery) => {
    for (let i = 0; i < calls; i++) await nursery.run(empty, { timeoutMs: 30_000 });
  });

const nurseries: Contestant = async (calls) => {
  for (let i = 0; i < calls; i++) await openNursery((nursery) => nursery.startSoon(empty));
};

const deadlines: Contestant = async (calls) => {
  for (let i = 0; i < calls; i++) await moveOnAfter(30_000, empty);
};

const cancelBlocked: Contestant = (calls) =>
  openNursery((nursery) => {
    for (let i = 0; i < calls; i++) nursery.startSoon(sleepForever);
    setImmediate(() => nursery.cancel());
  });

const BARE = "bare promise, one after the other";
const CHILD = "child of an open nursery, all at once";
const REQUEST = "request: nursery.run with a deadline";

const contestants: ReadonlyMap<string, Contestant> = new Map([
  [BARE, barePromise],
  ["bare promises, all at once", bareTogether],
  [CHILD, childrenTogether],
  ["nursery with one child", nurseries],
  ["scope with a deadline", deadlines],
  [REQUEST, requests],
  ["the same by AbortSignal.timeout and race", bareRace],
  ["start, block and cancel a child", cancelBlocked],
]);

/** The suite `nursery`. */
export const nursery: Suite = {
  name: "nursery",
  about: "structured concurrency against bare promises",
  async run({ quick }) {
    const samples = new Map<string, number[]>();
    for (let round = 0; round < (quick ? 11 : 41); round++) {
      for (const [name, contestant] of contestants) {
        const began = process.hrtime.bigint();
        await contestant(CALLS);
        const ns = Number(process.hrtime.bigint() - began) / CALLS;
        samples.set(name, [...(samples.get(name) ?? []), ns]);
      }
    }
    return figures(samples);
  },
};

function figures(samples: ReadonlyMap<string, readonly number[]>): Figure[] {
  const bare = median(samples.get(BARE) ?? []);
  return [...samples].flatMap(([name, all]): Figure[] => {
    const ns = median(all);
    return [
      { name, value: ns / bare, unit: "×", goal: name === CHILD ? { atMost: 10 } : undefined },
      { name, value: ns, unit: "ns", goal: name === REQUEST ? { atMost: 10_000 } : undefined },
    ];
  });
}
