package gosdk

import (
	"errors"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

func awaitsOne(ctx *task.OrchestrationContext) (any, error) {
	var answer string
	err := ctx.WaitForSingleEvent("Answer", -1).Await(&answer)

	return answer, err
}

func awaits100(ctx *task.OrchestrationContext) (any, error) {
	seen := make([]int, 100)

	for index := range seen {
		if err := ctx.WaitForSingleEvent("number", -1).Await(&seen[index]); err != nil {
			return nil, err
		}
	}

	return seen, nil
}

func upTo100() []int {
	numbers := make([]int, 100)

	for index := range numbers {
		numbers[index] = index
	}

	return numbers
}

func TestOneEvent(t *testing.T) {
	h := newHub(t)
	h.orchestrator("awaitsOne", awaitsOne)
	h.start()

	id := h.begin("awaitsOne", nil)
	_, err := h.WaitForOrchestrationStart(h.ctx, id)
	check(t, err)
	h.event(id, "aNSWER", "yäs")
	h.returned(h.ended(id), "yäs")
}

func TestOneEventBeforeItsStart(t *testing.T) {
	h := newHub(t)
	h.orchestrator("awaitsOne", awaitsOne)
	id := h.begin("awaitsOne", nil)
	h.event(id, "Answer", large)
	h.start()

	h.returned(h.ended(id), large)
}

func TestOneEventForNobody(t *testing.T) {
	h := newHub(t)
	err := h.RaiseEvent(h.ctx, api.InstanceID("nobody-"+uuid.NewString()), "Answer")

	if err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Fatalf("an event for nobody: %v", err)
	}
}

func TestOneEventThatDoesNotComeInTime(t *testing.T) {
	h := newHub(t)
	h.orchestrator("impatient", func(ctx *task.OrchestrationContext) (any, error) {
		err := ctx.WaitForSingleEvent("Answer", 200*time.Millisecond).Await(nil)

		return errors.Is(err, task.ErrTaskCanceled), nil
	})
	h.start()

	h.returned(h.run("impatient", nil), true)
}

func TestHundredEventsInTheirOrder(t *testing.T) {
	h := newHub(t)
	h.orchestrator("awaits100", awaits100)
	h.start()

	id := h.begin("awaits100", nil)

	for _, number := range upTo100() {
		h.event(id, "number", number)
	}

	h.returned(h.ended(id), upTo100())
}

func TestHundredEventsAtOnce(t *testing.T) {
	h := newHub(t)
	h.orchestrator("awaits100", func(ctx *task.OrchestrationContext) (any, error) {
		seen, err := awaits100(ctx)

		if err == nil {
			sort.Ints(seen.([]int))
		}

		return seen, err
	})
	h.start()

	id := h.begin("awaits100", nil)
	var raised sync.WaitGroup

	for _, number := range upTo100() {
		raised.Add(1)

		go func(number int) {
			defer raised.Done()

			if err := h.RaiseEvent(h.ctx, id, "number", api.WithEventPayload(number)); err != nil {
				t.Error(err)
			}
		}(number)
	}

	raised.Wait()
	h.returned(h.ended(id), upTo100())
}

func TestContinueAsNewCarriesEventsOver(t *testing.T) {
	h := newHub(t)
	h.orchestrator("sums", func(ctx *task.OrchestrationContext) (any, error) {
		var sum struct{ Count, Total int }

		if err := ctx.GetInput(&sum); err != nil {
			return nil, err
		}

		var number int

		if err := ctx.WaitForSingleEvent("number", -1).Await(&number); err != nil {
			return nil, err
		}

		sum.Count, sum.Total = sum.Count+1, sum.Total+number

		if sum.Count < 100 {
			ctx.ContinueAsNew(sum, task.WithKeepUnprocessedEvents())
		}

		return sum.Total, nil
	})
	h.start()

	id := h.begin("sums", map[string]int{})

	for _, number := range upTo100() {
		h.event(id, "number", number)
	}

	h.returned(h.ended(id), 4950)
}
