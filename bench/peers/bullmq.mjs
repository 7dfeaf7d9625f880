/** BullMQ on the Redis at a port: `bullmq.mjs <port>`. Jobs are fetched by hand, as a worker does it inside. */
import { createRequire } from "node:module";
import { Queue, Worker } from "bullmq";
import { PAYLOAD, serveQueue } from "../contestants/queue-driver.ts";
import { failStart } from "../shared/child.ts";

try {
  createRequire(import.meta.url).resolve("ioredis");
} catch {
  failStart("BullMQ needs the package ioredis, which is not installed in bench/peers");
}

const [port] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const name = "bench";
const token = `bench-${process.pid}`;
const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: 1000 } });
const worker = new Worker(name, null, { connection, autorun: false });
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);

serveQueue({
  submit: () => queue.add("bench", PAYLOAD),
  claim: () => worker.getNextJob(token, { block: false }),
  complete: (job) => job.moveToCompleted({ ok: true }, token, false),
});
