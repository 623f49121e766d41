package gosdk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

// 1 MiB, in characters of two bytes.
var large = strings.Repeat("é", 512<<10)

func increment(ctx task.ActivityContext) (any, error) {
	var number int
	err := ctx.GetInput(&number)

	return number + 1, err
}

func echo(ctx task.ActivityContext) (any, error) {
	var value any
	err := ctx.GetInput(&value)

	return value, err
}

func TestSequence(t *testing.T) {
	h := newHub(t)
	h.activity("increment", increment)
	h.orchestrator("threeSteps", func(ctx *task.OrchestrationContext) (any, error) {
		var number int

		if err := ctx.GetInput(&number); err != nil {
			return nil, err
		}

		for step := 0; step < 3; step++ {
			if err := ctx.CallActivity("increment", task.WithActivityInput(number)).Await(&number); err != nil {
				return nil, err
			}
		}

		return number, nil
	})
	h.start()

	state := h.run("threeSteps", 4)
	h.returned(state, 7)
	equal(t, state.Name, "threeSteps")
	equal(t, state.SerializedInput, "4")

	if state.LastUpdatedAt.Before(state.CreatedAt) {
		t.Fatalf("created at %v, updated before, at %v", state.CreatedAt, state.LastUpdatedAt)
	}
}

func TestSequenceOfNoSteps(t *testing.T) {
	h := newHub(t)
	h.orchestrator("nothing", func(*task.OrchestrationContext) (any, error) { return nil, nil })
	h.start()

	state := h.run("nothing", nil)
	h.status(state, api.RUNTIME_STATUS_COMPLETED)
	equal(t, state.SerializedOutput, "")
}

func TestFanOutOver100Activities(t *testing.T) {
	h := newHub(t)
	h.activity("increment", increment)
	h.orchestrator("fanOut", func(ctx *task.OrchestrationContext) (any, error) {
		tasks := make([]task.Task, 100)
		results := make([]int, 100)

		for number := range tasks {
			tasks[number] = ctx.CallActivity("increment", task.WithActivityInput(number))
		}

		for number, each := range tasks {
			if err := each.Await(&results[number]); err != nil {
				return nil, err
			}
		}

		return results, nil
	})
	h.start()

	wanted := make([]int, 100)

	for number := range wanted {
		wanted[number] = number + 1
	}

	h.returned(h.run("fanOut", nil), wanted)
}

func TestSubOrchestration(t *testing.T) {
	h := newHub(t)
	childID := "child-" + uuid.NewString()
	h.activity("increment", increment)
	h.orchestrator("child", func(ctx *task.OrchestrationContext) (any, error) {
		var number int
		err := ctx.CallActivity("increment", task.WithActivityInput(1)).Await(&number)

		return fmt.Sprintf("%s=%d", ctx.ID, number), err
	})
	h.orchestrator("parent", func(ctx *task.OrchestrationContext) (any, error) {
		var told string
		err := ctx.CallSubOrchestrator("child", task.WithSubOrchestrationInstanceID(childID)).Await(&told)

		return told, err
	})
	h.start()

	h.returned(h.run("parent", nil), childID+"=2")
	h.status(h.now(api.InstanceID(childID)), api.RUNTIME_STATUS_COMPLETED)
}

func TestSubOrchestrationsWithoutIDs(t *testing.T) {
	h := newHub(t)
	h.orchestrator("child", func(ctx *task.OrchestrationContext) (any, error) { return ctx.ID, nil })
	h.orchestrator("parent", func(ctx *task.OrchestrationContext) (any, error) {
		first, second := ctx.CallSubOrchestrator("child"), ctx.CallSubOrchestrator("child")
		var ids [2]string

		if err := first.Await(&ids[0]); err != nil {
			return nil, err
		}

		return ids[0] != "" && ids[0] != ids[1], second.Await(&ids[1])
	})
	h.start()

	h.returned(h.run("parent", nil), true)
}

func TestTimer(t *testing.T) {
	h := newHub(t)
	h.orchestrator("sleeper", func(ctx *task.OrchestrationContext) (any, error) {
		start := ctx.CurrentTimeUtc
		err := ctx.CreateTimer(300 * time.Millisecond).Await(nil)
		slept := ctx.CurrentTimeUtc.Sub(start)

		return slept >= 300*time.Millisecond && slept < 5*time.Second, err
	})
	h.start()

	h.returned(h.run("sleeper", nil), true)
}

func TestContinueAsNewTenTimes(t *testing.T) {
	h := newHub(t)
	h.activity("increment", increment)
	h.orchestrator("countsUp", func(ctx *task.OrchestrationContext) (any, error) {
		var at int

		if err := ctx.GetInput(&at); err != nil {
			return nil, err
		}

		if err := ctx.CallActivity("increment", task.WithActivityInput(at)).Await(&at); err != nil {
			return nil, err
		}

		if at < 10 {
			ctx.ContinueAsNew(at)
		}

		return at, nil
	})
	h.start()

	state := h.run("countsUp", 0)
	h.returned(state, 10)
	equal(t, state.SerializedInput, "9")
}

func TestCustomStatus(t *testing.T) {
	h := newHub(t)
	h.orchestrator("tells", func(ctx *task.OrchestrationContext) (any, error) {
		ctx.SetCustomStatus("wäiting")
		err := ctx.WaitForSingleEvent("go", -1).Await(nil)
		ctx.SetCustomStatus("done")

		return nil, err
	})
	h.start()

	id := h.begin("tells", nil)
	h.until("it tells", func() bool { return h.now(id).SerializedCustomStatus == "wäiting" })
	h.event(id, "go", nil)
	equal(t, h.ended(id).SerializedCustomStatus, "done")
}

func TestLargePayload(t *testing.T) {
	h := newHub(t)
	h.activity("echo", echo)
	h.orchestrator("echoes", func(ctx *task.OrchestrationContext) (any, error) {
		var value string

		if err := ctx.GetInput(&value); err != nil {
			return nil, err
		}

		err := ctx.CallActivity("echo", task.WithActivityInput(value)).Await(&value)

		return value, err
	})
	h.start()

	h.returned(h.run("echoes", large), large)
}
