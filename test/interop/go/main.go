// A go-libp2p peer for the interop tests of Sahara. It dials a peer, joins a gossip topic, says a text over and
// over and prints what it hears, one line each: "peer <id>", "pinged <duration>", "heard <peer> <text>".
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

func main() {
	address := flag.String("dial", "", "multiaddr of the peer to join, with its peer id")
	topicName := flag.String("topic", "", "gossip topic")
	text := flag.String("say", "hello from go", "what to publish")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *address, *topicName, *text); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, topicName, text string) error {
	host, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		return err
	}
	defer host.Close()
	gossip, err := pubsub.NewGossipSub(ctx, host, pubsub.WithMessageIdFn(messageID))
	if err != nil {
		return err
	}
	topic, err := gossip.Join(topicName)
	if err != nil {
		return err
	}
	heard, err := topic.Subscribe()
	if err != nil {
		return err
	}
	target, err := peer.AddrInfoFromString(address)
	if err != nil {
		return err
	}
	if err := host.Connect(ctx, *target); err != nil {
		return err
	}
	fmt.Println("peer", host.ID())
	result := <-ping.Ping(ctx, host, target.ID)
	if result.Error != nil {
		return result.Error
	}
	fmt.Println("pinged", result.RTT)
	go say(ctx, topic, text)
	for {
		message, err := heard.Next(ctx)
		if err != nil {
			return nil
		}
		if message.ReceivedFrom != host.ID() {
			fmt.Println("heard", message.GetFrom(), string(message.Data))
		}
	}
}

// messageID is SHA-256 over the topic, the author and the data, each after its length as a big-endian u32
// (spec/mesh.md, MESH-15).
func messageID(message *pb.Message) string {
	hash := sha256.New()
	length := make([]byte, 4)
	for _, part := range [][]byte{[]byte(message.GetTopic()), message.GetFrom(), message.GetData()} {
		binary.BigEndian.PutUint32(length, uint32(len(part)))
		hash.Write(length)
		hash.Write(part)
	}
	return string(hash.Sum(nil))
}

func say(ctx context.Context, topic *pubsub.Topic, text string) {
	for beat := 0; ctx.Err() == nil; beat++ {
		if err := topic.Publish(ctx, fmt.Appendf(nil, "%s %d", text, beat)); err != nil {
			log.Print(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
