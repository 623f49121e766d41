package gosdk

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

var errBroken = errors.New("brøken")

func breaks(task.ActivityContext) (any, error) {
	return nil, fmt.Errorf("in the activity: %w", errBroken)
}

// failed checks that an instance has failed, with words in its message. The SDK's client leaves failures out, so a parent tells them.
func failed(h *hub, name string, words ...string) {
	h.Helper()
	h.orchestrator("tellsOf", func(ctx *task.OrchestrationContext) (any, error) {
		err := ctx.CallSubOrchestrator(name).Await(nil)

		return fmt.Sprint(err), nil
	})
	h.start()
	h.status(h.run(name, nil), api.RUNTIME_STATUS_FAILED)
	told := h.run("tellsOf", nil)
	h.status(told, api.RUNTIME_STATUS_COMPLETED)

	for _, word := range words {
		if !strings.Contains(told.SerializedOutput, word) {
			h.Fatalf("no %q in %s", word, told.SerializedOutput)
		}
	}
}

func TestFailureOfAnActivity(t *testing.T) {
	h := newHub(t)
	h.activity("breaks", breaks)
	h.orchestrator("fails", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallActivity("breaks").Await(nil)
	})

	failed(h, "fails", "in the activity", "brøken")
}

func TestFailureOfAnActivityThatPanics(t *testing.T) {
	h := newHub(t)
	h.activity("panics", func(task.ActivityContext) (any, error) { panic("pånic") })
	h.orchestrator("fails", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallActivity("panics").Await(nil)
	})

	failed(h, "fails", "pånic")
}

func TestFailureIsCaught(t *testing.T) {
	h := newHub(t)
	h.activity("breaks", breaks)
	h.activity("echo", echo)
	h.orchestrator("catches", func(ctx *task.OrchestrationContext) (any, error) {
		if err := ctx.CallActivity("breaks").Await(nil); err == nil {
			return "it did not break", nil
		}

		var told string
		err := ctx.CallActivity("echo", task.WithActivityInput("went on")).Await(&told)

		return told, err
	})
	h.start()

	h.returned(h.run("catches", nil), "went on")
}

func TestFailureOfAnOrchestration(t *testing.T) {
	h := newHub(t)
	h.orchestrator("fails", func(*task.OrchestrationContext) (any, error) { return nil, errBroken })

	failed(h, "fails", "brøken")
}

func TestFailureOfAnActivityThatNobodyKnows(t *testing.T) {
	h := newHub(t)
	h.orchestrator("callsUnknown", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallActivity("nobodyKnowsIt").Await(nil)
	})

	failed(h, "callsUnknown", "nobodyKnowsIt")
}

func TestFailureOfAnOrchestrationThatNobodyKnows(t *testing.T) {
	failed(newHub(t), "nobodyKnowsMe", "nobodyKnowsMe")
}

// attempts counts, and fails as long as the count is less than what is wanted.
type attempts struct {
	lock   sync.Mutex
	number int
}

func (a *attempts) next(good int) (any, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.number++

	if a.number < good {
		return nil, fmt.Errorf("attempt %d", a.number)
	}

	return a.number, nil
}

func times(number int) *task.RetryPolicy {
	return &task.RetryPolicy{MaxAttempts: number, InitialRetryInterval: 50 * time.Millisecond, BackoffCoefficient: 1.5}
}

func TestRetryUntilItWorks(t *testing.T) {
	h := newHub(t)
	var tried attempts
	h.activity("worksAtLast", func(task.ActivityContext) (any, error) { return tried.next(3) })
	h.orchestrator("retries", func(ctx *task.OrchestrationContext) (any, error) {
		var number int
		err := ctx.CallActivity("worksAtLast", task.WithActivityRetryPolicy(times(5))).Await(&number)

		return number, err
	})
	h.start()

	h.returned(h.run("retries", nil), 3)
}

func TestRetryAsOftenAsThePolicySays(t *testing.T) {
	h := newHub(t)
	var tried attempts
	h.activity("neverWorks", func(task.ActivityContext) (any, error) { return tried.next(1000) })
	h.orchestrator("retries", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallActivity("neverWorks", task.WithActivityRetryPolicy(times(3))).Await(nil)
	})
	h.start()

	h.status(h.run("retries", nil), api.RUNTIME_STATUS_FAILED)
	equal(t, tried.number, 3)
}

func TestRetryByAHandlerOfOurs(t *testing.T) {
	h := newHub(t)
	var tried attempts
	policy := times(1000)
	policy.Handle = func(err error) bool { return !strings.Contains(err.Error(), "attempt 4") }
	h.activity("neverWorks", func(task.ActivityContext) (any, error) { return tried.next(1000) })
	h.orchestrator("retries", func(ctx *task.OrchestrationContext) (any, error) {
		return nil, ctx.CallActivity("neverWorks", task.WithActivityRetryPolicy(policy)).Await(nil)
	})
	h.start()

	h.status(h.run("retries", nil), api.RUNTIME_STATUS_FAILED)
	equal(t, tried.number, 4)
}

func TestRetryOfASubOrchestration(t *testing.T) {
	h := newHub(t)
	var tried attempts
	h.orchestrator("child", func(*task.OrchestrationContext) (any, error) { return tried.next(2) })
	h.orchestrator("parent", func(ctx *task.OrchestrationContext) (any, error) {
		var number int
		options := task.WithSubOrchestrationRetryPolicy(times(3))
		err := ctx.CallSubOrchestrator("child", options).Await(&number)

		return number, err
	})
	h.start()

	h.returned(h.run("parent", nil), 2)
}
