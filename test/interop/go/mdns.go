package main

import (
	"errors"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// mdnsSeen is go-libp2p's mDNS, and the peers that it has found.
type mdnsSeen struct {
	lock    sync.Mutex
	service mdns.Service
	peers   []string
}

// start announces this peer and listens for others, under a service name or, where it is empty, the standard one.
func (m *mdnsSeen) start(node host.Host, name string) error {
	if m.service != nil {
		return errors.New("mDNS runs already")
	}
	if name == "" {
		name = mdns.ServiceName
	}
	m.service = mdns.NewMdnsService(node, name, m)
	return m.service.Start()
}

// HandlePeerFound is called by mDNS.
func (m *mdnsSeen) HandlePeerFound(info peer.AddrInfo) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if id := info.ID.String(); !slices.Contains(m.peers, id) {
		m.peers = append(m.peers, id)
	}
}

func (m *mdnsSeen) found() []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]string{}, m.peers...)
}

func (m *mdnsSeen) close() {
	if m.service != nil {
		_ = m.service.Close()
	}
}
