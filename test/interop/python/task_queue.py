"""The task queue of the Python service in memory: one old request in, one old answer out (contract, section 2)."""

import time
import uuid

import trio

FINAL = ("completed", "failed", "cancelled")
POLL_S = 0.05


def first(request, *names):
    """The first of these members that is not empty."""
    return next((request[name] for name in names if request.get(name)), None)


class TaskQueue:
    """Tasks in order of submission, and a cache of values."""

    def __init__(self, peer_id, token):
        self.peer_id = peer_id
        self.token = token
        self.rows = {}
        self.values = {}
        # What was asked, in order, for the tests.
        self.seen = []

    async def answer(self, request):
        """Answers a request that was parsed already."""
        return {**await self._answer(request), "peer_id": self.peer_id}

    async def _answer(self, request):
        if not isinstance(request, dict):
            return refused("invalid_message")
        self.seen.append({**request, "token": "(sent)"} if "token" in request else request)
        if self.token and request.get("token") != self.token:
            return refused("unauthorized")
        op = str(request.get("op") or "").strip().lower()
        run = OPERATIONS.get(op)
        return refused("unknown_op") if run is None else await run(self, request)

    async def submit(self, request):
        payload = request.get("payload")
        row = {
            "task_id": uuid.uuid4().hex,
            "task_type": request.get("task_type") or "text-generation",
            "model_name": request.get("model_name") or "",
            "payload": payload if isinstance(payload, dict) else {"payload": payload},
            "status": "queued",
            "assigned_worker": None,
            "created_at": time.time(),
            "updated_at": time.time(),
            "result": None,
            "error": None,
        }
        self.rows[row["task_id"]] = row
        return {"ok": True, "task_id": row["task_id"]}

    async def claim(self, request):
        worker = str(request.get("worker_id") or "").strip()
        if not worker:
            return refused("missing_worker_id")
        types = request.get("supported_task_types")
        if types is None:
            types = request.get("task_types") or []
        if isinstance(types, str):
            types = [part.strip() for part in types.split(",") if part.strip()]
        for row in self.rows.values():
            if row["status"] == "queued" and (not types or row["task_type"] in types):
                row.update(status="running", assigned_worker=worker, updated_at=time.time())
                names = ("task_id", "task_type", "model_name", "payload", "created_at", "status", "assigned_worker")
                return {"ok": True, "task": {name: row[name] for name in names}}
        return {"ok": True, "task": None}

    async def complete(self, request):
        task_id = request.get("task_id")
        if not task_id:
            return refused("missing_task_id")
        row = self.rows.get(task_id)
        if row is not None:
            status = str(request.get("status") or "completed").strip().lower()
            result = request.get("result")
            given = result if isinstance(result, dict) else {"result": result}
            row["status"] = status if status in FINAL else "failed"
            row["result"] = {**(row["result"] or {}), **(given if result is not None else {})} or None
            row["error"] = request.get("error")
            row["updated_at"] = time.time()
        return {"ok": True, "task_id": task_id}

    async def get(self, request):
        return {"ok": True, "task": self.rows.get(request.get("task_id"))}

    async def wait(self, request):
        until = trio.current_time() + float(request.get("timeout_s") or 60)
        while True:
            row = self.rows.get(request.get("task_id"))
            if row is None or row["status"] in FINAL or trio.current_time() >= until:
                return {"ok": True, "task": row}
            await trio.sleep(POLL_S)

    async def list(self, request):
        status = str(request.get("status") or "").strip().lower()
        rows = [row for row in self.rows.values() if not status or row["status"] == status]
        return {"ok": True, "tasks": rows[: int(request.get("limit") or 50)]}

    async def heartbeat(self, request):
        peer = first(request, "peer", "peer_id")
        if peer is None:
            return refused("missing_peer_id")
        known = [{"peer_id": peer, "last_seen": time.time()}]
        return {"ok": True, "peer": peer, "scheduler": {"clock": {}, "known_peers": known}}

    async def status(self, _request):
        capabilities = {"task_types": ["text-generation"], "models": []}
        return {"ok": True, "capabilities": capabilities, "session": ""}

    async def cache_get(self, request):
        key = request.get("key")
        if not key:
            return refused("missing_key")
        value = self.values.get(key)
        return {"ok": True, "key": key, "hit": value is not None, "value": value}

    async def cache_set(self, request):
        key = request.get("key")
        if not key:
            return refused("missing_key")
        self.values[key] = request.get("value")
        return {"ok": True, "key": key}


OPERATIONS = {
    "submit": TaskQueue.submit,
    "claim": TaskQueue.claim,
    "claim_next": TaskQueue.claim,
    "complete": TaskQueue.complete,
    "task.complete": TaskQueue.complete,
    "get": TaskQueue.get,
    "wait": TaskQueue.wait,
    "list": TaskQueue.list,
    "peer.heartbeat": TaskQueue.heartbeat,
    "status": TaskQueue.status,
    "cache.get": TaskQueue.cache_get,
    "cache.set": TaskQueue.cache_set,
}


def refused(error):
    """An answer that says no."""
    return {"ok": False, "error": error}
