// A worker of the Go SDK among those of other languages, for test_mixed_languages.py: it asks for what it has, and no more.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func greet(ctx task.ActivityContext) (any, error) {
	var name string
	err := ctx.GetInput(&name)

	return "go greets " + name, err
}

func breaks(ctx task.ActivityContext) (any, error) {
	var what string

	if err := ctx.GetInput(&what); err != nil {
		return nil, err
	}

	return nil, fmt.Errorf("go breaks %s", what)
}

func child(ctx *task.OrchestrationContext) (any, error) {
	var name, greeting string

	if err := ctx.GetInput(&name); err != nil {
		return nil, err
	}

	err := ctx.CallActivity("go_greet", task.WithActivityInput(name)).Await(&greeting)

	return fmt.Sprintf("%s, from %s", greeting, ctx.ID), err
}

func visits(ctx *task.OrchestrationContext) (any, error) {
	var language, greeting, told string

	if err := ctx.GetInput(&language); err != nil {
		return nil, err
	}

	if err := ctx.CallActivity(language+"_greet", task.WithActivityInput("wörld")).Await(&greeting); err != nil {
		return nil, err
	}

	id := task.WithSubOrchestrationInstanceID(string(ctx.ID) + "-child")

	if err := ctx.CallSubOrchestrator(language+"_child", task.WithSubOrchestratorInput("mum"), id).Await(&told); err != nil {
		return nil, err
	}

	err := ctx.CallActivity(language+"_breaks", task.WithActivityInput("it")).Await(nil)

	// The SDK makes an error of its own of it, which ends with the message.
	return []string{greeting, told, strings.TrimPrefix(fmt.Sprint(err), "task failed with an error: ")}, nil
}

func main() {
	registry := task.NewTaskRegistry()
	orchestrators := map[string]task.Orchestrator{"go_child": child, "go_visits": visits}
	activities := map[string]task.Activity{"go_greet": greet, "go_breaks": breaks}

	for name, code := range orchestrators {
		check(registry.AddOrchestratorN(name, code))
	}

	for name, code := range activities {
		check(registry.AddActivityN(name, code))
	}

	conn, err := grpc.Dial(
		os.Getenv("DURABLETASK_ADDRESS"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStreamInterceptor(onlyWork(names(orchestrators), names(activities))),
	)
	check(err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	check(client.NewTaskHubGrpcClient(conn, backend.DefaultLogger()).StartWorkItemListener(ctx, registry))
	<-ctx.Done()
}

func names[V any](named map[string]V) (all []string) {
	for name := range named {
		all = append(all, name)
	}

	return all
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
