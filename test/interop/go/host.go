package main

import (
	"crypto/rand"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// newHost is a host of go-libp2p with TCP, Noise and Yamux, identify and ping.
//
// It is put together here because libp2p.New compiles QUIC, WebRTC and WebTransport in, which nobody here can use.
func newHost() (host.Host, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	if err := peers.AddPrivKey(id, key); err != nil {
		return nil, err
	}
	bus := eventbus.NewBus()
	swarmed, err := swarm.NewSwarm(id, peers, bus)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	secured, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	upgrades, err := upgrader.New([]sec.SecureTransport{secured}, muxers, nil, &network.NullResourceManager{}, nil)
	if err != nil {
		return nil, err
	}
	transport, err := tcp.NewTCPTransport(upgrades, &network.NullResourceManager{}, nil)
	if err != nil {
		return nil, err
	}
	if err := swarmed.AddTransport(transport); err != nil {
		return nil, err
	}
	if err := swarmed.Listen(multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
		return nil, err
	}
	node, err := basichost.NewHost(swarmed, &basichost.HostOpts{EventBus: bus, EnablePing: true})
	if err != nil {
		return nil, err
	}
	node.Start()
	return node, nil
}
