"""What py-libp2p has to find peers with: rendezvous in its own form, and mDNS in its own form."""

from libp2p.discovery.mdns.mdns import MDNSDiscovery
from libp2p.discovery.rendezvous.client import RendezvousClient
from libp2p.discovery.rendezvous.service import RendezvousService
from libp2p.peer.id import ID
import trio


def addresses_of(found):
    """A peer as JSON."""
    return {"peer_id": str(found.peer_id), "multiaddrs": [str(address) for address in found.addrs]}


class Discoveries:
    """Each is started when the test asks for it."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.point = None
        self.mdns = None

    async def rendezvous_serve(self, _command):
        self.point = RendezvousService(self.host)
        return {}

    async def rendezvous_known(self, _command):
        spaces = self.point.registrations if self.point else {}
        return {space: [str(peer) for peer in records] for space, records in spaces.items()}

    async def rendezvous_register(self, command):
        client = RendezvousClient(self.host, ID.from_string(command["peer_id"]))
        return {"ttl_s": await client.register(command["namespace"], command.get("ttl_s", 7200))}

    async def rendezvous_unregister(self, command):
        client = RendezvousClient(self.host, ID.from_string(command["peer_id"]))
        await client.unregister(command["namespace"])
        return {}

    async def rendezvous_discover(self, command):
        client = RendezvousClient(self.host, ID.from_string(command["peer_id"]))
        found, _cookie = await client.discover(command["namespace"])
        return [addresses_of(one) for one in found]

    async def mdns_start(self, _command):
        def start():
            self.mdns = MDNSDiscovery(self.host.get_network(), self.port)
            self.mdns.start()

        # zeroconf has a thread of its own and waits for it.
        await trio.to_thread.run_sync(start)
        return {}

    async def mdns_found(self, _command):
        found = self.mdns.listener.discovered_services.values() if self.mdns else []
        return [str(peer) for peer in found]

    def close(self):
        """Takes back what was announced."""
        if self.mdns is not None:
            self.mdns.stop()
