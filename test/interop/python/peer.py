"""A py-libp2p peer that a test drives: commands as lines of JSON on standard input, outcomes on standard output.

`--serve line`, `session`, `both` or `none` says which protocols of the Python service it speaks; `--token` is the one it wants.
"""

import argparse
import importlib.metadata
import json
import sys
import time

from libp2p import new_host
from libp2p.custom_types import TProtocol
from libp2p.host.ping import ID as PING_PROTOCOL, handle_ping, PingService
from libp2p.identity.identify.identify import parse_identify_response
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr
import trio

from discover import Discoveries
from old_wire import LINE_PROTOCOL, SESSION_PROTOCOL, ask, converse, serve_lines, serve_session
from task_queue import TaskQueue

IDENTIFY_PROTOCOL = "/ipfs/id/1.0.0"
# Longer than any one command takes in the tests.
COMMAND_LIMIT_S = 25


class Driver:
    """Does what the test says."""

    def __init__(self, host, queue, frames_of_streams, discoveries):
        self.host = host
        self.queue = queue
        self.frames_of_streams = frames_of_streams
        self.commands = {
            "connect": self.connect,
            "identify": self.identify,
            "ping": self.ping,
            "ask": self.ask,
            "converse": self.converse,
            "seen": self.seen,
            "rendezvous_serve": discoveries.rendezvous_serve,
            "rendezvous_known": discoveries.rendezvous_known,
            "rendezvous_register": discoveries.rendezvous_register,
            "rendezvous_unregister": discoveries.rendezvous_unregister,
            "rendezvous_discover": discoveries.rendezvous_discover,
            "mdns_start": discoveries.mdns_start,
            "mdns_found": discoveries.mdns_found,
        }

    async def stream(self, command, protocol):
        return await self.host.new_stream(ID.from_string(command["peer_id"]), [TProtocol(protocol)])

    async def connect(self, command):
        info = info_from_p2p_addr(Multiaddr(command["to"]))
        await self.host.connect(info)
        connection = self.host.get_network().get_connections(info.peer_id)[0].muxed_conn
        secured = getattr(connection, "secured_conn", None)
        inner = getattr(secured, "conn", None)
        parts = [type(part).__module__ for part in (inner, secured, connection) if part is not None]
        return {"peer_id": str(info.peer_id), "made_of": parts}

    async def identify(self, command):
        # The host asks by itself after connecting; this is one more question at the same time.
        stream = await self.stream(command, IDENTIFY_PROTOCOL)
        collected = b""
        try:
            while chunk := await stream.read(65536):
                collected += chunk
        except Exception as error:
            # The end of a stream is an error here.
            if not collected:
                raise error
        said = parse_identify_response(collected)
        return {"agent": said.agent_version, "protocols": list(said.protocols)}

    async def ping(self, command):
        rtts = await PingService(self.host).ping(ID.from_string(command["peer_id"]), 3)
        return {"rtt_us": rtts}

    async def ask(self, command):
        return await ask(await self.stream(command, LINE_PROTOCOL), command["request"])

    async def converse(self, command):
        return await converse(await self.stream(command, SESSION_PROTOCOL), command["messages"])

    async def seen(self, _command):
        return {"requests": self.queue.seen, "frames_of_streams": self.frames_of_streams}

    async def run(self, command):
        """Does one command and says how it went."""
        started = time.monotonic()
        try:
            with trio.fail_after(COMMAND_LIMIT_S):
                value = await self.commands[command["do"]](command)
            outcome = {"ok": True, "value": value}
        except Exception as error:
            outcome = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        say({"id": command["id"], **outcome, "took_ms": round((time.monotonic() - started) * 1000)})


def say(message):
    """Writes one line to the test."""
    print(json.dumps(message), flush=True)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", choices=["line", "session", "both", "none"], default="none")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    listen = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
    host = new_host(listen_addrs=listen)
    peer_id = str(host.get_id())
    queue = TaskQueue(peer_id, given.token)
    frames_of_streams = []
    host.set_stream_handler(TProtocol(PING_PROTOCOL), handle_ping)
    if given.serve in ("line", "both"):
        host.set_stream_handler(TProtocol(LINE_PROTOCOL), serve_lines(queue))
    if given.serve in ("session", "both"):
        host.set_stream_handler(TProtocol(SESSION_PROTOCOL), serve_session(queue, frames_of_streams))
    async with host.run(listen_addrs=listen), trio.open_nursery() as nursery:
        nursery.start_soon(host.get_peerstore().start_cleanup_task, 60)
        addresses = [str(address) for address in host.get_addrs()]
        port = int(Multiaddr(addresses[0]).value_for_protocol("tcp"))
        discoveries = Discoveries(host, port)
        driver = Driver(host, queue, frames_of_streams, discoveries)
        version = f"py-libp2p {importlib.metadata.version('libp2p')}, Python {sys.version.split()[0]}"
        say({"ready": True, "peer_id": peer_id, "multiaddrs": addresses, "version": version})
        async for line in trio.wrap_file(sys.stdin):
            nursery.start_soon(driver.run, json.loads(line))
        await trio.to_thread.run_sync(discoveries.close)
        nursery.cancel_scope.cancel()


trio.run(main)
