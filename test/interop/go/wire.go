// The two protocols of the Python service on libp2p streams, both ways: newline JSON, and framed JSON-RPC.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	lineProtocol    = "/ipfs-datasets/task-queue/1.0.0"
	sessionProtocol = "/mcp+p2p/1.0.0"
	// What the Python service reads of a line or a frame, and how many frames a stream may carry.
	maxBytes  = 1024 * 1024
	maxFrames = 128
	// What a client of these tests reads of an answer.
	maxAnswerBytes = 16 * 1024 * 1024
)

var errTooLarge = errors.New("frame_too_large")

// frameCounts are the frames of each stream, in the order of the streams.
type frameCounts struct {
	lock   sync.Mutex
	counts []int
}

func (f *frameCounts) open() int {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.counts = append(f.counts, 0)
	return len(f.counts) - 1
}

func (f *frameCounts) add(stream int) int {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.counts[stream]++
	return f.counts[stream]
}

func (f *frameCounts) all() []int {
	f.lock.Lock()
	defer f.lock.Unlock()
	return append([]int{}, f.counts...)
}

// ask sends one line and returns the answer.
func ask(stream network.Stream, request object) (any, error) {
	defer stream.Close()
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := stream.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	answer, err := bufio.NewReader(io.LimitReader(stream, maxAnswerBytes)).ReadBytes('\n')
	if err != nil && len(answer) == 0 {
		return nil, err
	}
	var parsed object
	err = json.Unmarshal(answer, &parsed)
	return parsed, err
}

// serveLine answers one line, read to the first chunk with a newline, and closes the stream.
func (q *taskQueue) serveLine(stream network.Stream) {
	defer stream.Close()
	collected := []byte{}
	chunk := make([]byte, 64*1024)
	for len(collected) < maxBytes && !bytes.Contains(collected, []byte("\n")) {
		count, err := stream.Read(chunk)
		collected = append(collected, chunk[:count]...)
		if err != nil {
			break
		}
	}
	var request any
	answer := object{"ok": false, "error": "invalid_json"}
	if json.Unmarshal(bytes.TrimRight(collected, "\n"), &request) == nil {
		answer = q.answer(request)
	}
	line, _ := json.Marshal(answer)
	// A caller who has gone gets nothing.
	_, _ = stream.Write(append(line, '\n'))
}

func readFrame(stream io.Reader, max uint32) (object, error) {
	var size uint32
	if err := binary.Read(stream, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > max {
		return nil, errTooLarge
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(stream, body); err != nil {
		return nil, err
	}
	var message object
	err := json.Unmarshal(body, &message)
	return message, err
}

func writeFrame(stream io.Writer, message object) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	_, err = stream.Write(append(frame, body...))
	return err
}

// converse sends the messages one after the other and returns the answer to each.
func converse(stream network.Stream, messages []object) (any, error) {
	defer stream.Close()
	answers := []object{}
	for _, message := range messages {
		if err := writeFrame(stream, message); err != nil {
			return nil, err
		}
		answer, err := readFrame(stream, maxAnswerBytes)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// serveSession serves a stream that begins with initialize, with the limits of the Python service.
func (q *taskQueue) serveSession(stream network.Stream, counts *frameCounts) {
	defer stream.Close()
	number := counts.open()
	initialized := false
	for {
		message, err := readFrame(stream, maxBytes)
		if err != nil && !errors.Is(err, errTooLarge) {
			return
		}
		count := counts.add(number)
		answer := object{"jsonrpc": "2.0", "id": message["id"]}
		refusal := ""
		switch {
		case err != nil:
			refusal = err.Error()
			answer["error"] = object{"code": -32003, "message": refusal}
		case count > maxFrames:
			refusal = "rate_limited"
			answer["error"] = object{"code": -32010, "message": refusal}
		case message["method"] == "initialize":
			initialized = true
		case !initialized:
			refusal = "init_required"
			answer["error"] = object{"code": -32000, "message": refusal}
		}
		if refusal == "" {
			q.outcome(message, answer)
		}
		if writeFrame(stream, answer) != nil || refusal != "" {
			return
		}
	}
}

// outcome adds the result or the error of one request.
func (q *taskQueue) outcome(message, answer object) {
	params, _ := message["params"].(object)
	switch message["method"] {
	case "initialize":
		limits := object{"max_frame_bytes": maxBytes, "max_frames": maxFrames}
		answer["result"] = object{"ok": true, "protocolVersion": "2024-11-05", "capabilities": object{}, "limits": limits}
	case "tools/list":
		answer["result"] = object{"tools": []object{{"name": "task_queue.rpc", "inputSchema": object{"type": "object"}}}}
	case "tools/call":
		if params["name"] == "task_queue.rpc" {
			answer["result"] = object{"content": q.answer(params["arguments"])}
		} else {
			answer["error"] = object{"code": -32002, "message": "unknown_tool"}
		}
	default:
		answer["error"] = object{"code": -32601, "message": "method_not_found"}
	}
}
