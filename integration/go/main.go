// An engine that is not ours: durabletask-go's, on its SQLite backend, as its own sidecar sets it up.
//
//	sidecar --port 4001 --db hub.sqlite3
//
// Other than there, several items are worked on at a time: by one, an activity that is slow would hold up all others.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/backend/sqlite"
	"google.golang.org/grpc"
)

func main() {
	port := flag.Int("port", 4001, "where to listen, on localhost")
	db := flag.String("db", "", "the file of its database; none for one in memory")
	flag.Parse()

	logger := backend.DefaultLogger()
	store := sqlite.NewSqliteBackend(sqlite.NewSqliteOptions(*db), logger)
	executor, register := backend.NewGrpcExecutor(store, logger)
	server := grpc.NewServer()
	register(server)

	atATime := backend.WithMaxParallelism(16)
	orchestrations := backend.NewOrchestrationWorker(store, executor, logger, atATime)
	activities := backend.NewActivityTaskWorker(store, executor, logger, atATime)

	if err := backend.NewTaskHubWorker(store, orchestrations, activities, logger).Start(context.Background()); err != nil {
		log.Fatalf("does not start: %v", err)
	}

	listener, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", *port))
	if err != nil {
		log.Fatalf("cannot listen: %v", err)
	}

	log.Fatal(server.Serve(listener))
}
