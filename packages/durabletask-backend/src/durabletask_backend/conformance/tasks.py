"""Open tasks: answered once, claimed in order, marked when a worker has them."""

from __future__ import annotations

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import answer, append, create, generation, key, task, task_key, turn
from durabletask_backend.mutations import Code, MarkTasksOut, PurgeInstance
from durabletask_backend.values import Message, RuntimeStatus, TaskKey


class TaskConformance(ConformanceBase):
    """What the suite promises of CompleteTask, MarkTasksOut and claim_tasks."""

    async def test_an_answer_goes_to_the_generation_that_asked(self, driver: Driver) -> None:
        """APPLIED: the task is closed, and the answer is a message bound to its generation."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key(), 1), task(key(), 2)]))
        outcome = await driver.apply(answer(key(), 1, payload=bytes(range(256))))

        assert outcome.code is Code.APPLIED
        assert (await driver.load(key())).inbox[-1] == Message(
            sequence=outcome.sequence, payload=bytes(range(256)), execution_id="g1"
        )
        assert await driver.open_task_keys() == [task_key(key(), 2)]

    async def test_a_task_is_answered_once(self, driver: Driver) -> None:
        """MISSING for the second answer, in another batch or in the same."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key(), 1), task(key(), 2)]))
        outcomes = await driver.commit(answer(key(), 1, payload=b"a"), answer(key(), 1, payload=b"b"))
        outcomes += await driver.commit(answer(key(), 1, payload=b"c"), answer(key(), 2, payload=b"d"))

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED, Code.MISSING, Code.MISSING, Code.APPLIED]
        assert outcomes[1].sequence == 0
        assert await driver.inbox(key()) == [b"start", b"a", b"d"]

    async def test_an_answer_to_nothing(self, driver: Driver) -> None:
        """MISSING for a task that was never opened, by id, by generation or by instance."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key(), 1)]))
        outcomes = await driver.commit(answer(key(), 2), answer(key(), 1, "g0"), answer(key("nobody"), 1))

        assert [outcome.code for outcome in outcomes] == [Code.MISSING] * 3
        assert await driver.inbox(key()) == [b"start"]
        assert await driver.open_task_keys() == [task_key(key(), 1)]

    async def test_an_answer_after_the_end(self, driver: Driver) -> None:
        """TERMINAL: the task of a completed instance is closed, but nobody waits; after that it is MISSING."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED, tasks=[task(key())]))
        first = await driver.apply(answer(key()))
        second = await driver.apply(answer(key()))

        assert (first.code, first.status) == (Code.TERMINAL, RuntimeStatus.COMPLETED)
        assert second.code is Code.MISSING
        assert await driver.inbox(key()) == []
        assert await driver.open_task_keys() == []

    async def test_an_answer_to_a_task_that_was_dropped(self, driver: Driver) -> None:
        """MISSING when the instance failed, or went on to another generation, whether before or in the same batch."""
        failed, renewed = key("failed"), key("renewed")
        await driver.commit(create(failed), create(renewed))
        await driver.commit(
            turn(failed, tasks=[task(failed, 1), task(failed, 2)]),
            turn(renewed, tasks=[task(renewed, 1), task(renewed, 2)]),
        )
        *_, one, two = await driver.commit(
            turn(failed, 1, status=RuntimeStatus.FAILED),
            turn(renewed, 1, generation=generation()),
            answer(failed, 1),
            answer(renewed, 1),
        )
        outcomes = [one, two, *await driver.commit(answer(failed, 2), answer(renewed, 2))]

        assert [outcome.code for outcome in outcomes] == [Code.MISSING] * 4
        assert await driver.inbox(renewed) == []
        assert await driver.open_task_keys() == []

    async def test_an_answer_in_the_batch_that_opens_the_task(self, driver: Driver) -> None:
        """A batch is applied in order, so that an answer finds the task that a turn before it opened."""
        await driver.apply(create(key()))
        _, outcome = await driver.commit(turn(key(), tasks=[task(key(), 1), task(key(), 2)]), answer(key(), 1))

        assert outcome.code is Code.APPLIED
        assert await driver.inbox(key()) == [b"start", b"answer"]
        assert await driver.open_task_keys() == [task_key(key(), 2)]

    async def test_a_late_answer_and_a_purge_in_one_batch(self, driver: Driver) -> None:
        """The last open task of a completed instance may be answered in the batch that purges it."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED, tasks=[task(key())]))
        outcomes = await driver.commit(answer(key()), PurgeInstance(key=key()))

        assert [outcome.code for outcome in outcomes] == [Code.TERMINAL, Code.APPLIED]
        assert await driver.find(key()) is None
        assert await driver.open_task_keys() == []

    async def test_the_same_task_id_elsewhere_is_another_task(self, driver: Driver) -> None:
        """Tasks are told apart by hub, instance, generation and id."""
        a, b = key("a"), key("b")
        await driver.commit(create(a), create(b))
        await driver.commit(turn(a, tasks=[task(a)]), turn(b, tasks=[task(b)]))
        await driver.apply(answer(a))

        assert await driver.open_task_keys() == [task_key(b)]
        assert await driver.inbox(b) == [b"start"]

    async def test_a_marked_task_says_so(self, driver: Driver) -> None:
        """MarkTasksOut: the task is `out` from then on, and its neighbours are not."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key(), 1), task(key(), 2), task(key(), 3)]))
        outcome = await driver.apply(MarkTasksOut(tasks=(task_key(key(), 1), task_key(key(), 3))))

        assert outcome.code is Code.APPLIED
        assert [open_task.out for open_task in await driver.open_tasks()] == [True, False, True]

    async def test_a_task_may_be_marked_in_the_batch_that_opens_it(self, driver: Driver) -> None:
        """A batch is applied in order, so that a mark finds the task that a turn before it opened."""
        await driver.apply(create(key()))
        await driver.commit(
            turn(key(), tasks=[task(key(), 1), task(key(), 2)]), MarkTasksOut(tasks=(task_key(key(), 2),))
        )

        assert [open_task.out for open_task in await driver.open_tasks()] == [False, True]

    async def test_marking_what_is_gone(self, driver: Driver) -> None:
        """MarkTasksOut is APPLIED for tasks that are answered, dropped or never were, and brings none back."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key())]))
        outcomes = await driver.commit(
            answer(key()), MarkTasksOut(tasks=(task_key(key()), task_key(key("nobody")))), MarkTasksOut(tasks=())
        )

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 3
        assert await driver.open_task_keys() == []

    async def test_tasks_are_claimed_page_by_page(self, driver: Driver) -> None:
        """claim_tasks gives every open task once, sorted by key, `limit` at a time."""
        a, b = key("a"), key("b")
        numbers = [1, 2, 9, 10, 11, 100]
        await driver.commit(create(a), create(b))
        await driver.commit(
            turn(b, tasks=[task(b, number) for number in numbers]),
            turn(a, tasks=[task(a, number) for number in numbers]),
        )
        found: list[TaskKey] = []
        sizes: list[int] = []

        while not sizes or sizes[-1] == 5:
            page = await driver.backend.claim_tasks(driver.lease, after=found[-1] if found else None, limit=5)
            found += [open_task.key for open_task in page]
            sizes.append(len(page))

        assert sizes == [5, 5, 2]
        assert found == [task_key(of, number) for of in (a, b) for number in numbers]

    async def test_instances_are_claimed_page_by_page(self, driver: Driver) -> None:
        """claim_instances gives every instance that has a message once, sorted by key, `limit` at a time."""
        names = ["a", "b", "c", "d", "e"]
        await driver.commit(*(create(key(name)) for name in names))
        await driver.commit(append(key("c")), append(key("c")))
        first = await driver.backend.claim_instances(driver.lease, limit=3)
        second = await driver.backend.claim_instances(driver.lease, after=first[-1], limit=3)

        assert list(first) == [key("a"), key("b"), key("c")]
        assert list(second) == [key("d"), key("e")]

    async def test_only_instances_with_something_to_do_are_claimed(self, driver: Driver) -> None:
        """An instance whose inbox is empty has nothing to do, whatever its tasks."""
        idle, busy = await driver.commit(create(key("idle")), create(key("busy")))
        await driver.apply(turn(key("idle"), consumed=[idle.sequence], tasks=[task(key("idle"))]))

        assert list(await driver.backend.claim_instances(driver.lease)) == [key("busy")]
        assert busy.code is Code.APPLIED
