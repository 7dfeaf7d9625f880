import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  errorFacts,
  hasCode,
  LeaseLostError,
  RemoteError,
  TaskNotFoundError,
  UnreachableError,
} from "../src/errors.ts";

describe("errors", () => {
  it("keep code, class and hint on their way over a wire", () => {
    const here = new RemoteError(errorFacts(new LeaseLostError("t1", 3)));
    assert.equal(hasCode(here, "E_LEASE_LOST"), true);
    assert.equal(here.failureClass, "lost");
    assert.match(here.message, /lease 3 of task t1/);
    assert.ok(here.hint);
  });

  it("say whether trying again can help", () => {
    assert.equal(new UnreachableError("nobody there").retryable, true);
    assert.equal(new TaskNotFoundError("t1").retryable, false);
  });

  it("see through a group of one failure and name what was not thrown on purpose", () => {
    assert.equal(errorFacts(new AggregateError([new TaskNotFoundError("t1")])).code, "E_TASK_NOT_FOUND");
    assert.equal(errorFacts(new RangeError("oops")).code, "E_INTERNAL");
    assert.equal(errorFacts(new DOMException("stop", "AbortError")).failureClass, "cancelled");
    assert.equal(errorFacts("text").message, "text");
  });
});
