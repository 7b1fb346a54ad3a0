package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

func brokerCommand() *cobra.Command {
	c := comparison{}
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Compare the embedded broker with the library under it, and with Mosquitto",
		Long: `Starts the embedded broker, the bare library (mochi v2.7.9, its defaults) and
Debian's Mosquitto where it is installed, each in a process of its own, puts the
same load on each in turn, and prints what they carry, what processor time that
takes them, and what a connection costs. The load runs in a closed loop: nothing
is sent before what is under way has arrived, so that no broker drops anything.
What the load itself takes is printed too, as its processor time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd.OutOrStdout(), brokerTrials)
		},
	}
	c.register(cmd.Flags(), brokerTrials)
	return cmd
}

// The servers of most trials, ours first.
var (
	carriers = []servers.Kind{servers.Broker, servers.Durable, servers.Mochi, servers.Mosquitto}
	idlers   = []servers.Kind{servers.Broker, servers.Mochi1024, servers.Mochi, servers.Mosquitto}
	inMemory = []servers.Kind{servers.Broker, servers.Mochi, servers.Mosquitto}
)

// carrying is what is measured of messages.
var carrying = []figure{
	{"rate", "messages/s", ">= 1.0x"},
	{"cpu", "us/message", "<= 1.05x"},
	{"load's cpu", "us/message", ""},
	{"missing", "messages", "0"},
}

var brokerTrials = []trial{
	{"fan-in-q1", carriers, servers.Mochi, carrying, fanIn(50)},
	{"fan-out-q0", carriers, servers.Mochi, carrying, fanOutMQTT(500, 0)},
	{"fan-out-q1", carriers, servers.Mochi, carrying, fanOutMQTT(500, 1)},
	{"idle", idlers, servers.Mochi1024, []figure{{"rss", "KiB/connection", "<= 33, <= 0.85x"}}, idleMQTT(5000, false)},
	{"idle-subscribed", idlers, servers.Mochi1024, []figure{{"rss", "KiB/connection", ""}}, idleMQTT(5000, true)},
	{"retained", inMemory, servers.Mochi, []figure{{"rate", "messages/s", ""}, {"missing", "messages", "0"}}, retainedMQTT(10_000)},
	{"connects", inMemory, servers.Mochi, []figure{{"rate", "connections/s", ""}, {"cpu", "us/connection", ""}}, connectsMQTT(16)},
}

// serveMQTTCommand is what the commands start in processes of their own.
func serveMQTTCommand() *cobra.Command {
	var kind, dir string
	c := &cobra.Command{
		Use: servers.ServeCommand, Hidden: true, Args: cobra.NoArgs,
		Short: "Serve MQTT until standard input ends (started by the other commands)",
		RunE: func(c *cobra.Command, _ []string) error {
			raiseFiles()
			return servers.Serve(c.Context(), servers.Kind(kind), dir, os.Stdin, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "which server")
	c.Flags().StringVar(&dir, "dir", "", "directory for what it keeps")
	return c
}

// dialMany connects clients, some at a time; the ids are numbered.
func dialMany(ctx context.Context, addr string, n, atOnce int, change func(i int, c *client) error) ([]*client, error) {
	list := make([]*client, n)
	err := eachOf(ctx, n, atOnce, func(ctx context.Context, i int) (err error) {
		if list[i], err = dialClient(ctx, addr, i); err != nil {
			return err
		}
		return change(i, list[i])
	})
	if err != nil {
		closeAll(list)
		return nil, err
	}
	return list, nil
}
