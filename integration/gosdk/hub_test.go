// The Go SDK's client and worker for gRPC, as its users have them, against the server at DURABLETASK_ADDRESS.
package gosdk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

const patience = 20 * time.Second

// hub is a task hub of the server under test that nobody else uses: a client, a worker, and the waiting that tests share.
type hub struct {
	*testing.T
	*client.TaskHubGrpcClient
	ctx      context.Context
	conn     *grpc.ClientConn
	registry *task.TaskRegistry
}

// newHub makes one for a test. Its worker is not started yet.
func newHub(t *testing.T) *hub {
	t.Helper()
	address := os.Getenv("DURABLETASK_ADDRESS")

	if address == "" {
		address = "localhost:4001"
	}

	large := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16 << 20))
	conn, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()), large)
	check(t, err)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	ctx = metadata.AppendToOutgoingContext(ctx, "taskhub", "go-"+uuid.NewString())
	h := &hub{t, client.NewTaskHubGrpcClient(conn, silent{}), ctx, conn, task.NewTaskRegistry()}
	t.Cleanup(func() {
		stop()
		conn.Close()
	})
	// Hubs that are not the default one are to be created. The SDK has no call for that; its request is empty for "unless it is there".
	check(t, conn.Invoke(ctx, "/TaskHubSidecarService/CreateTaskHub", &emptypb.Empty{}, &emptypb.Empty{}))

	return h
}

// orchestrator adds an orchestrator to the worker.
func (h *hub) orchestrator(name string, code task.Orchestrator) {
	check(h.T, h.registry.AddOrchestratorN(name, code))
}

// activity adds an activity to the worker.
func (h *hub) activity(name string, code task.Activity) {
	check(h.T, h.registry.AddActivityN(name, code))
}

// start starts the worker.
func (h *hub) start() {
	h.Helper()
	check(h.T, h.StartWorkItemListener(h.ctx, h.registry))
}

// begin starts an orchestration.
func (h *hub) begin(name string, input any, options ...api.NewOrchestrationOptions) api.InstanceID {
	h.Helper()
	id, err := h.ScheduleNewOrchestration(h.ctx, name, append(options, api.WithInput(input))...)
	check(h.T, err)

	return id
}

// ended waits until an instance has ended.
func (h *hub) ended(id api.InstanceID) *api.OrchestrationMetadata {
	h.Helper()
	state, err := h.WaitForOrchestrationCompletion(h.ctx, id)
	check(h.T, err)

	return state
}

// run starts an orchestration, and waits until it has ended.
func (h *hub) run(name string, input any) *api.OrchestrationMetadata {
	h.Helper()

	return h.ended(h.begin(name, input))
}

// returned checks that an instance has completed with an output.
func (h *hub) returned(state *api.OrchestrationMetadata, wanted any) {
	h.Helper()
	h.status(state, api.RUNTIME_STATUS_COMPLETED)
	output, err := json.Marshal(wanted)
	check(h.T, err)
	equal(h.T, state.SerializedOutput, string(output))
}

// status checks the status of an instance.
func (h *hub) status(state *api.OrchestrationMetadata, wanted api.OrchestrationStatus) {
	h.Helper()

	if state.RuntimeStatus != wanted {
		h.Fatalf("%s is %v and not %v: %v", state.InstanceID, state.RuntimeStatus, wanted, state.FailureDetails)
	}
}

// now is an instance as it is.
func (h *hub) now(id api.InstanceID) *api.OrchestrationMetadata {
	h.Helper()
	state, err := h.FetchOrchestrationMetadata(h.ctx, id)
	check(h.T, err)

	return state
}

// reaches waits until an instance, which has no other way to tell, has a status.
func (h *hub) reaches(id api.InstanceID, wanted api.OrchestrationStatus) {
	h.Helper()
	h.until(fmt.Sprintf("%s is %v", id, wanted), func() bool { return h.now(id).RuntimeStatus == wanted })
}

// until asks until the answer is yes, for what can only be asked for.
func (h *hub) until(what string, probe func() bool) {
	h.Helper()

	for !probe() {
		select {
		case <-h.ctx.Done():
			h.Fatalf("not within %v: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// event raises an event.
func (h *hub) event(id api.InstanceID, name string, data any) {
	h.Helper()
	check(h.T, h.RaiseEvent(h.ctx, id, name, api.WithEventPayload(data)))
}

func check(t *testing.T, err error) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}
}

func equal[V comparable](t *testing.T, found, wanted V) {
	t.Helper()

	if found != wanted {
		t.Fatalf("found %v and not %v", found, wanted)
	}
}

// silent is a logger that says nothing; what a test needs to know, it asks for.
type silent struct{}

func (silent) Debug(...any)          {}
func (silent) Debugf(string, ...any) {}
func (silent) Info(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Warnf(string, ...any)  {}
func (silent) Error(...any)          {}
func (silent) Errorf(string, ...any) {}
