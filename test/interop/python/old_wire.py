"""The two protocols of the Python service on libp2p streams, both ways: newline JSON, and framed JSON-RPC."""

import json
import struct

LINE_PROTOCOL = "/ipfs-datasets/task-queue/1.0.0"
SESSION_PROTOCOL = "/mcp+p2p/1.0.0"
# What the Python service reads of a line or a frame, and how many frames a stream may carry.
MAX_BYTES = 1024 * 1024
MAX_FRAMES = 128
# What a client of these tests reads of an answer.
MAX_ANSWER_BYTES = 16 * 1024 * 1024


async def read_line(stream, max_bytes):
    """Reads to the first chunk with a newline, or as much as is allowed."""
    collected = b""
    while len(collected) < max_bytes:
        chunk = await stream.read(65536)
        collected += chunk
        if not chunk or b"\n" in chunk:
            break
    return collected


async def ask(stream, request):
    """Sends one line, returns the answer."""
    await stream.write(json.dumps(request).encode() + b"\n")
    line = await read_line(stream, MAX_ANSWER_BYTES)
    await stream.close()
    return json.loads(line)


def serve_lines(queue):
    """A handler of streams with one line in and one out."""

    async def handle(stream):
        try:
            collected = await read_line(stream, MAX_BYTES)
            await stream.write(json.dumps(await answer_line(queue, collected)).encode() + b"\n")
            await stream.close()
        except Exception:
            # The caller has gone; an error that leaves a handler would end the whole connection.
            await stream.reset()

    return handle


async def answer_line(queue, line):
    """The answer to one line."""
    try:
        request = json.loads(line.rstrip(b"\n"))
    except ValueError:
        return {"ok": False, "error": "invalid_json"}
    return await queue.answer(request)


async def read_exactly(stream, size):
    """Reads so many bytes, or fails where the stream ends."""
    collected = b""
    while len(collected) < size:
        chunk = await stream.read(size - len(collected))
        if not chunk:
            raise EOFError
        collected += chunk
    return collected


async def read_frame(stream, max_bytes):
    """Reads a frame; None if it is too large."""
    (size,) = struct.unpack(">I", await read_exactly(stream, 4))
    return None if size > max_bytes else json.loads(await read_exactly(stream, size))


async def write_frame(stream, message):
    """Writes a frame as the Python service does: compact, ASCII."""
    body = json.dumps(message, separators=(",", ":")).encode()
    await stream.write(struct.pack(">I", len(body)) + body)


async def converse(stream, messages):
    """Sends the messages one after the other, and returns the answer to each."""
    answers = []
    for message in messages:
        await write_frame(stream, message)
        answers.append(await read_frame(stream, MAX_ANSWER_BYTES))
    await stream.close()
    return answers


def serve_session(queue, frames_of_streams):
    """A handler of streams that begin with initialize, with the limits of the Python service."""

    async def handle(stream):
        number = len(frames_of_streams)
        frames_of_streams.append(0)
        initialized = False
        try:
            while True:
                message = await read_frame(stream, MAX_BYTES)
                frames_of_streams[number] += 1
                error = None
                if message is None:
                    error = {"code": -32003, "message": "frame_too_large"}
                elif frames_of_streams[number] > MAX_FRAMES:
                    error = {"code": -32010, "message": "rate_limited"}
                elif message.get("method") == "initialize":
                    initialized = True
                elif not initialized:
                    error = {"code": -32000, "message": "init_required"}
                identifier = None if message is None else message.get("id")
                if error is not None:
                    await write_frame(stream, {"jsonrpc": "2.0", "id": identifier, "error": error})
                    break
                outcome = await session_outcome(queue, message)
                await write_frame(stream, {"jsonrpc": "2.0", "id": identifier, **outcome})
            await stream.close()
        except Exception:
            # The caller has gone; libp2p's errors for it are many.
            await stream.reset()

    return handle


async def session_outcome(queue, message):
    """The result or error of one request."""
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        limits = {"max_frame_bytes": MAX_BYTES, "max_frames": MAX_FRAMES}
        return {"result": {"ok": True, "protocolVersion": "2024-11-05", "capabilities": {}, "limits": limits}}
    if method == "tools/list":
        return {"result": {"tools": [{"name": "task_queue.rpc", "inputSchema": {"type": "object"}}]}}
    if method != "tools/call":
        return {"error": {"code": -32601, "message": "method_not_found"}}
    if params.get("name") != "task_queue.rpc":
        return {"error": {"code": -32002, "message": "unknown_tool"}}
    return {"result": {"content": await queue.answer(params.get("arguments"))}}
