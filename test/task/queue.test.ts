/** The conformance suite, near and far: both must behave the same. */
import { withQueue, withRemoteQueue } from "./bench.ts";
import { describeTaskQueue } from "./conformance.ts";

describeTaskQueue("a queue in this process", (test) => withQueue(test));
describeTaskQueue("a queue on a peer", (test) => withRemoteQueue(test));
