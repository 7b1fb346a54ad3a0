package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use: "tacet-bench", Short: "Measure a hub", SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(handoverCommand(), hubCommand(), serveCommand(), brokerCommand(), bridgeCommand(), durableCommand(), faultCommand(), deviceCommand(), voiceCommand(), crashCommand(), reignCommand(), clusterCommand(), serveMQTTCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tacet-bench:", err)
		os.Exit(1)
	}
}
