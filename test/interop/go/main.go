// A go-libp2p peer that a test drives: commands as lines of JSON on standard input, outcomes on standard output.
//
// --serve line, session, both or none says which protocols of the Python service it speaks; --token is the one it wants.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// Longer than any one command takes in the tests.
const commandLimit = 25 * time.Second

type object = map[string]any

type command struct {
	ID       int      `json:"id"`
	Do       string   `json:"do"`
	To       string   `json:"to"`
	PeerID   string   `json:"peer_id"`
	Tag      string   `json:"tag"`
	Request  object   `json:"request"`
	Messages []object `json:"messages"`
}

type driver struct {
	host   host.Host
	queue  *taskQueue
	counts *frameCounts
	mdns   *mdnsSeen
	output sync.Mutex
}

func main() {
	serve := flag.String("serve", "none", "line, session, both or none")
	token := flag.String("token", "", "what requests must show")
	flag.Parse()
	node, err := newHost()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer node.Close()
	d := &driver{host: node, queue: newTaskQueue(node.ID().String(), *token), counts: &frameCounts{}, mdns: &mdnsSeen{}}
	if *serve == "line" || *serve == "both" {
		node.SetStreamHandler(lineProtocol, d.queue.serveLine)
	}
	if *serve == "session" || *serve == "both" {
		node.SetStreamHandler(sessionProtocol, func(s network.Stream) { d.queue.serveSession(s, d.counts) })
	}
	addresses := []string{}
	for _, address := range node.Addrs() {
		addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", address, node.ID()))
	}
	d.say(object{"ready": true, "peer_id": node.ID().String(), "multiaddrs": addresses, "version": versions()})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxAnswerBytes)
	for lines.Scan() {
		var given command
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go d.run(given)
	}
	d.mdns.close()
}

func versions() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/libp2p/go-libp2p" {
			return fmt.Sprintf("go-libp2p %s, %s", module.Version, runtime.Version())
		}
	}
	return runtime.Version()
}

func (d *driver) say(message object) {
	d.output.Lock()
	defer d.output.Unlock()
	line, _ := json.Marshal(message)
	fmt.Println(string(line))
}

// run does one command and says how it went.
func (d *driver) run(given command) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	value, err := d.do(ctx, given)
	outcome := object{"id": given.ID, "ok": err == nil, "value": value, "took_ms": time.Since(started).Milliseconds()}
	if err != nil {
		outcome["error"] = err.Error()
	}
	d.say(outcome)
}

func (d *driver) do(ctx context.Context, given command) (any, error) {
	switch given.Do {
	case "connect":
		return d.connect(ctx, given.To)
	case "identify":
		return d.identify(given.PeerID)
	case "ping":
		return d.ping(ctx, given.PeerID)
	case "ask":
		stream, err := d.open(ctx, given.PeerID, lineProtocol)
		if err != nil {
			return nil, err
		}
		return ask(stream, given.Request)
	case "converse":
		stream, err := d.open(ctx, given.PeerID, sessionProtocol)
		if err != nil {
			return nil, err
		}
		return converse(stream, given.Messages)
	case "seen":
		return object{"requests": d.queue.requests(), "frames_of_streams": d.counts.all()}, nil
	case "mdns_start":
		return object{}, d.mdns.start(d.host, given.Tag)
	case "mdns_found":
		return d.mdns.found(), nil
	}
	return nil, errors.New("unknown command " + given.Do)
}

func (d *driver) connect(ctx context.Context, to string) (any, error) {
	info, err := peer.AddrInfoFromString(to)
	if err != nil {
		return nil, err
	}
	if err := d.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	state := d.host.Network().ConnsToPeer(info.ID)[0].ConnState()
	made := []string{string(state.Security), string(state.StreamMultiplexer)}
	return object{"peer_id": info.ID.String(), "made_of": made}, nil
}

func (d *driver) open(ctx context.Context, peerID string, id protocol.ID) (network.Stream, error) {
	remote, err := peer.Decode(peerID)
	if err != nil {
		return nil, err
	}
	stream, err := d.host.NewStream(ctx, remote, id)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	return stream, stream.SetDeadline(deadline)
}

// identify says what identify has told; Connect waits for it.
func (d *driver) identify(peerID string) (any, error) {
	remote, err := peer.Decode(peerID)
	if err != nil {
		return nil, err
	}
	agent, err := d.host.Peerstore().Get(remote, "AgentVersion")
	if err != nil {
		return nil, err
	}
	protocols, err := d.host.Peerstore().GetProtocols(remote)
	return object{"agent": agent, "protocols": protocols}, err
}

func (d *driver) ping(ctx context.Context, peerID string) (any, error) {
	remote, err := peer.Decode(peerID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rtts := []int64{}
	for result := range ping.Ping(ctx, d.host, remote) {
		if result.Error != nil {
			return nil, result.Error
		}
		if rtts = append(rtts, result.RTT.Microseconds()); len(rtts) == 3 {
			break
		}
	}
	return object{"rtt_us": rtts}, nil
}
