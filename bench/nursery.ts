/**
 * What structured concurrency costs, as ratios to a bare promise: `node bench/nursery.ts`.
 *
 * Ends with exit code 1 if a goal is missed. The contestants take turns round by round, so that other load on the machine meets them alike; the medians count.
 */
import { moveOnAfter, openNursery, sleepForever } from "../src/nursery/index.ts";

const ROUNDS = 41;
const CALLS = 5_000;

/** A child task may cost this many bare promises. */
const CHILD_GOAL = 10;

/** A request with a deadline may take this long on an idle core, in nanoseconds. */
const REQUEST_GOAL_NS = 10_000;

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

const CHILD = "child of an open nursery, all at once";
const REQUEST = "request: nursery.run with a deadline";

const contestants: readonly (readonly [string, Contestant])[] = [
  ["bare promise, one after the other", barePromise],
  ["bare promises, all at once", bareTogether],
  [CHILD, childrenTogether],
  ["nursery with one child", nurseries],
  ["scope with a deadline", deadlines],
  [REQUEST, requests],
  ["the same by AbortSignal.timeout and race", bareRace],
  ["start, block and cancel a child", cancelBlocked],
];

const samples = contestants.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, [, contestant]] of contestants.entries()) {
    const began = process.hrtime.bigint();
    await contestant(CALLS);
    samples[i]?.push(Number(process.hrtime.bigint() - began) / CALLS);
  }
}

const medians = new Map(
  contestants.map(([name], i) => [name, samples[i]?.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN]),
);
const bare = medians.values().next().value ?? Number.NaN;
console.log("      ns   x bare");
for (const [name, ns] of medians) {
  console.log(`${ns.toFixed(0).padStart(8)} ${(ns / bare).toFixed(1).padStart(8)}   ${name}`);
}

const missed = [
  { name: CHILD, limitNs: CHILD_GOAL * bare },
  { name: REQUEST, limitNs: REQUEST_GOAL_NS },
].filter(({ name, limitNs }) => !((medians.get(name) ?? Number.NaN) <= limitNs));
for (const { name, limitNs } of missed) console.log(`missed: ${name}: more than ${limitNs.toFixed(0)} ns`);
if (missed.length > 0) process.exitCode = 1;
