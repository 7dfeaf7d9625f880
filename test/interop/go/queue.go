// The task queue of the Python service in memory: one old request in, one old answer out (contract, section 2).
package main

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const pollEvery = 50 * time.Millisecond

var final = []string{"completed", "failed", "cancelled"}

type taskQueue struct {
	peerID string
	token  string
	lock   sync.Mutex
	rows   []object
	values object
	seen   []any
}

func newTaskQueue(peerID, token string) *taskQueue {
	return &taskQueue{peerID: peerID, token: token, values: object{}}
}

// requests are those that were asked, in order, without tokens.
func (q *taskQueue) requests() []any {
	q.lock.Lock()
	defer q.lock.Unlock()
	return slices.Clone(q.seen)
}

func refused(word string) object {
	return object{"ok": false, "error": word}
}

// answer answers a request that was parsed already.
func (q *taskQueue) answer(given any) object {
	answer := refused("invalid_message")
	if request, ok := given.(object); ok {
		answer = q.authorized(request)
	}
	answer["peer_id"] = q.peerID
	return answer
}

func (q *taskQueue) authorized(request object) object {
	told := maps.Clone(request)
	if _, ok := told["token"]; ok {
		told["token"] = "(sent)"
	}
	q.lock.Lock()
	q.seen = append(q.seen, told)
	q.lock.Unlock()
	if q.token != "" && request["token"] != q.token {
		return refused("unauthorized")
	}
	op := strings.ToLower(strings.TrimSpace(text(request["op"])))
	if op == "wait" {
		return q.wait(request)
	}
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.do(op, request)
}

func (q *taskQueue) do(op string, request object) object {
	key := text(request["key"])
	switch op {
	case "submit":
		return q.submit(request)
	case "claim", "claim_next":
		return q.claim(request)
	case "complete", "task.complete":
		return q.complete(request)
	case "get":
		return object{"ok": true, "task": q.copyOf(text(request["task_id"]))}
	case "list":
		return object{"ok": true, "tasks": q.list(text(request["status"]))}
	case "status":
		capabilities := object{"task_types": []string{"text-generation"}, "models": []string{}}
		return object{"ok": true, "capabilities": capabilities, "session": ""}
	case "peer.heartbeat":
		return object{"ok": true, "peer": request["peer_id"], "scheduler": object{"clock": object{}, "known_peers": []any{}}}
	case "cache.get":
		return object{"ok": true, "key": key, "hit": q.values[key] != nil, "value": q.values[key]}
	case "cache.set":
		q.values[key] = request["value"]
		return object{"ok": true, "key": key}
	}
	return refused("unknown_op")
}

func (q *taskQueue) submit(request object) object {
	payload, ok := request["payload"].(object)
	if !ok {
		payload = object{"payload": request["payload"]}
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	row := object{
		"task_id": hex.EncodeToString(id), "task_type": request["task_type"], "model_name": text(request["model_name"]),
		"payload": payload, "status": "queued", "assigned_worker": nil,
		"created_at": now(), "updated_at": now(), "result": nil, "error": nil,
	}
	q.rows = append(q.rows, row)
	return object{"ok": true, "task_id": row["task_id"]}
}

func (q *taskQueue) claim(request object) object {
	worker := strings.TrimSpace(text(request["worker_id"]))
	if worker == "" {
		return refused("missing_worker_id")
	}
	types, given := request["supported_task_types"].([]any)
	if !given {
		types, _ = request["task_types"].([]any)
	}
	for _, row := range q.rows {
		if row["status"] != "queued" || (len(types) > 0 && !slices.Contains(types, row["task_type"])) {
			continue
		}
		row["status"], row["assigned_worker"], row["updated_at"] = "running", worker, now()
		claimed := object{}
		for _, name := range []string{"task_id", "task_type", "model_name", "payload", "created_at", "status", "assigned_worker"} {
			claimed[name] = row[name]
		}
		return object{"ok": true, "task": claimed}
	}
	return object{"ok": true, "task": nil}
}

func (q *taskQueue) complete(request object) object {
	id := text(request["task_id"])
	if id == "" {
		return refused("missing_task_id")
	}
	if row := q.row(id); row != nil {
		status := strings.ToLower(strings.TrimSpace(text(request["status"])))
		if status == "" {
			status = "completed"
		}
		if !slices.Contains(final, status) {
			status = "failed"
		}
		row["status"], row["error"], row["updated_at"] = status, request["error"], now()
		if result, ok := request["result"].(object); ok && len(result) > 0 {
			row["result"] = result
		}
	}
	return object{"ok": true, "task_id": id}
}

func (q *taskQueue) wait(request object) object {
	seconds, ok := request["timeout_s"].(float64)
	if !ok || seconds == 0 {
		seconds = 60
	}
	until := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for {
		q.lock.Lock()
		row := q.copyOf(text(request["task_id"]))
		q.lock.Unlock()
		if row == nil {
			return object{"ok": true, "task": nil}
		}
		if slices.Contains(final, text(row["status"])) || time.Now().After(until) {
			return object{"ok": true, "task": row}
		}
		time.Sleep(pollEvery)
	}
}

func (q *taskQueue) list(status string) []object {
	found := []object{}
	for _, row := range q.rows {
		if status == "" || row["status"] == status {
			found = append(found, maps.Clone(row))
		}
	}
	return found
}

func (q *taskQueue) row(id string) object {
	for _, row := range q.rows {
		if row["task_id"] == id {
			return row
		}
	}
	return nil
}

// copyOf is for answers, which are written without the lock.
func (q *taskQueue) copyOf(id string) object {
	return maps.Clone(q.row(id))
}

func text(value any) string {
	word, _ := value.(string)
	return word
}

func now() float64 {
	return float64(time.Now().UnixMilli()) / 1000
}
