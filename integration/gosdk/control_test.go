package gosdk

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

// waiting starts an orchestration that waits for an event, under a parent that waits for it.
func waiting(h *hub) (parent, child api.InstanceID) {
	h.Helper()
	child = api.InstanceID("child-" + uuid.NewString())
	h.orchestrator("awaitsOne", awaitsOne)
	h.orchestrator("parent", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallSubOrchestrator("awaitsOne", task.WithSubOrchestrationInstanceID(string(child))).Await(nil)
	})
	h.start()
	parent = h.begin("parent", nil)
	h.until("the child is there", func() bool {
		state, err := h.FetchOrchestrationMetadata(h.ctx, child)

		return err == nil && state.RuntimeStatus == api.RUNTIME_STATUS_RUNNING
	})

	return parent, child
}

func TestTerminate(t *testing.T) {
	h := newHub(t)
	_, id := waiting(h)
	check(t, h.TerminateOrchestration(h.ctx, id, api.WithOutput("enøugh")))
	state := h.ended(id)
	h.status(state, api.RUNTIME_STATUS_TERMINATED)
	equal(t, state.SerializedOutput, `"enøugh"`)
}

func TestTerminateWithChildren(t *testing.T) {
	h := newHub(t)
	parent, child := waiting(h)
	check(t, h.TerminateOrchestration(h.ctx, parent))
	h.status(h.ended(parent), api.RUNTIME_STATUS_TERMINATED)
	h.status(h.ended(child), api.RUNTIME_STATUS_TERMINATED)
}

func TestTerminateWithoutChildren(t *testing.T) {
	h := newHub(t)
	parent, child := waiting(h)
	check(t, h.TerminateOrchestration(h.ctx, parent, api.WithRecursiveTerminate(false)))
	h.status(h.ended(parent), api.RUNTIME_STATUS_TERMINATED)
	h.event(child, "Answer", "on")
	h.returned(h.ended(child), "on")
}

func TestSuspendAndResume(t *testing.T) {
	h := newHub(t)
	_, id := waiting(h)
	check(t, h.SuspendOrchestration(h.ctx, id, "a break"))
	h.reaches(id, api.RUNTIME_STATUS_SUSPENDED)
	h.event(id, "Answer", "at last")
	// Whatever was going to happen to it would have happened before this.
	other := h.begin("awaitsOne", nil)
	h.event(other, "Answer", "meanwhile")
	h.returned(h.ended(other), "meanwhile")
	h.status(h.now(id), api.RUNTIME_STATUS_SUSPENDED)
	check(t, h.ResumeOrchestration(h.ctx, id, "go on"))
	h.returned(h.ended(id), "at last")
}

func TestSuspendedIsTerminated(t *testing.T) {
	h := newHub(t)
	_, id := waiting(h)
	check(t, h.SuspendOrchestration(h.ctx, id, ""))
	h.reaches(id, api.RUNTIME_STATUS_SUSPENDED)
	check(t, h.TerminateOrchestration(h.ctx, id))
	h.status(h.ended(id), api.RUNTIME_STATUS_TERMINATED)
}

func TestPurge(t *testing.T) {
	h := newHub(t)
	_, id := waiting(h)

	if err := h.PurgeOrchestrationState(h.ctx, id); !errors.Is(err, api.ErrInstanceNotFound) {
		t.Fatalf("a purge of what runs: %v", err)
	}

	h.event(id, "Answer", "done")
	h.returned(h.ended(id), "done")
	check(t, h.PurgeOrchestrationState(h.ctx, id))
	_, err := h.FetchOrchestrationMetadata(h.ctx, id)

	if !errors.Is(err, api.ErrInstanceNotFound) {
		t.Fatalf("after its purge: %v", err)
	}
}

func TestPurgeWithChildren(t *testing.T) {
	h := newHub(t)
	parent, child := waiting(h)
	h.event(child, "Answer", "done")
	h.ended(parent)
	check(t, h.PurgeOrchestrationState(h.ctx, parent, api.WithRecursivePurge(true)))

	for _, id := range []api.InstanceID{parent, child} {
		if _, err := h.FetchOrchestrationMetadata(h.ctx, id); !errors.Is(err, api.ErrInstanceNotFound) {
			t.Fatalf("%s after its purge: %v", id, err)
		}
	}
}

func TestStartForLater(t *testing.T) {
	h := newHub(t)
	h.orchestrator("nothing", func(*task.OrchestrationContext) (any, error) { return "done", nil })
	h.start()
	due := time.Now().Add(700 * time.Millisecond)
	id := h.begin("nothing", nil, api.WithStartTime(due))
	h.status(h.now(id), api.RUNTIME_STATUS_PENDING)
	state := h.ended(id)
	h.returned(state, "done")

	if state.LastUpdatedAt.Before(due) {
		t.Fatalf("due at %v, ended at %v", due, state.LastUpdatedAt)
	}
}

func TestIDThatIsTaken(t *testing.T) {
	h := newHub(t)
	_, id := waiting(h)
	_, err := h.ScheduleNewOrchestration(h.ctx, "awaitsOne", api.WithInstanceID(id))

	if err == nil || !strings.Contains(err.Error(), "AlreadyExists") {
		t.Fatalf("a start under an id that is taken: %v", err)
	}
}
