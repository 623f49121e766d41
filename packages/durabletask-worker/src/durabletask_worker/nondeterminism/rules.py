"""What orchestrator code must not do, as data: the linter, the guard and the replay read it, and so does the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from durabletask_worker.nondeterminism.rule import Rule

__all__ = ["RULES", "replacement_for"]


def _under(module: str, names: str) -> tuple[str, ...]:
    """Full names from short ones, which are separated by spaces."""
    return tuple(f"{module}.{name}" for name in names.split())


_ALL = (
    Rule(
        code="DT001",
        name="unused-suppression",
        problem="suppresses nothing",
        replacement="remove it, or name the code that is found here",
        why="A suppression that outlives its reason hides the next finding on its line.",
        is_mild=True,
    ),
    Rule(
        code="DT002",
        name="syntax-error",
        problem="cannot be read",
        replacement="mend the file; nothing in it was checked",
        why="The linter reads source code as Python does, and finds nothing in what is none.",
    ),
    Rule(
        code="DT101",
        name="wall-clock",
        problem="reads the clock, which a replay reads again at another time",
        replacement="use ctx.current_utc_datetime",
        why="An orchestrator that is replayed tomorrow must see the time that it saw today. The context's clock is in the history.",
        calls=(
            *_under(
                "time", "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns"
            ),
            *_under("time", "thread_time thread_time_ns clock_gettime clock_gettime_ns"),
            *_under("time", "localtime gmtime ctime asctime strftime"),
            *_under("datetime.datetime", "now utcnow today"),
            "datetime.date.today",
            *_under("pandas.Timestamp", "now utcnow today"),
            *_under("pendulum", "now today tomorrow yesterday"),
            *_under("arrow", "now utcnow"),
            *_under("django.utils.timezone", "now localtime localdate"),
        ),
        harmless_with=MappingProxyType(
            {
                "time.localtime": 1,
                "time.gmtime": 1,
                "time.ctime": 1,
                "time.asctime": 1,
                "time.strftime": 2,
                "django.utils.timezone.localtime": 1,
                "django.utils.timezone.localdate": 1,
            }
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT102",
        name="sleep",
        problem="waits by itself: no history knows when that wait was over",
        replacement="await ctx.create_timer(…)",
        why="A wait of the thread holds up the worker, begins anew with each replay, and is lost with the process. A timer is in "
        "the history, and costs nothing while it runs.",
        calls=(
            "time.sleep",
            "asyncio.sleep",
            "anyio.sleep",
            "trio.sleep",
            "gevent.sleep",
            "eventlet.sleep",
            "signal.pause",
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT103",
        name="randomness",
        problem="is random, and another value in a replay",
        replacement="use ctx.random",
        why="A replay that draws another number takes another branch. The context's generator, or one that you seed from the "
        "input, draws the same again.",
        calls=(
            *_under(
                "random",
                "random uniform triangular randint randrange randbytes getrandbits choice choices shuffle sample",
            ),
            *_under(
                "random", "betavariate binomialvariate expovariate gammavariate gauss lognormvariate normalvariate"
            ),
            *_under("random", "vonmisesvariate paretovariate weibullvariate seed Random SystemRandom"),
            *_under("secrets", "choice randbelow randbits token_bytes token_hex token_urlsafe SystemRandom"),
            *_under("os", "urandom getrandom"),
            "numpy.random.*",
        ),
        harmless_with=MappingProxyType(
            {
                "random.Random": 1,
                "numpy.random.default_rng": 1,
                "numpy.random.Generator": 1,
                "numpy.random.RandomState": 1,
                "numpy.random.SeedSequence": 1,
                "numpy.random.PCG64": 1,
                "numpy.random.MT19937": 1,
            }
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT104",
        name="random-uuid",
        problem="is another id in a replay",
        replacement="use ctx.new_uuid()",
        why="A replay would hand another id to the same step. The context's ids follow from the instance and the step.",
        calls=(*_under("uuid", "uuid1 uuid4 uuid6 uuid7"), "bson.ObjectId", "ulid.ULID", "ulid.new", "nanoid.generate"),
        harmless_with=MappingProxyType({"bson.ObjectId": 1, "ulid.ULID": 1}),
        is_guarded=True,
    ),
    Rule(
        code="DT105",
        name="environment",
        problem="depends on the process that runs it",
        replacement="give it with the input, or read it in an activity",
        why="The next turn may run on another machine, with other variables, arguments and directories.",
        calls=(
            *_under("os", "getenv getenvb getcwd getcwdb getlogin cpu_count"),
            *_under("platform", "node platform system machine release version python_version uname"),
            *_under("socket", "gethostname getfqdn"),
            *_under("getpass", "getuser getpass"),
            *_under("locale", "getlocale"),
        ),
        reads=("os.environ", "os.environb", "sys.argv"),
    ),
    Rule(
        code="DT106",
        name="identity",
        problem="differs from process to process",
        replacement="use a key of your own, or hashlib",
        why="Hashes of strings are salted, and the addresses behind id() and the numbers of processes and threads are given out "
        "anew, in each process.",
        calls=(
            *_under("builtins", "hash id"),
            *_under("os", "getpid getppid"),
            *_under("threading", "get_ident get_native_id current_thread"),
            "multiprocessing.current_process",
        ),
    ),
    Rule(
        code="DT201",
        name="file-access",
        problem="reads or writes files, again with each replay",
        replacement="do it in an activity",
        why="What a file holds changes between replays, and so does whether it is there; what is written is written again.",
        calls=(
            *_under("builtins", "open"),
            *_under("io", "open open_code"),
            *_under(
                "os",
                "open read write listdir scandir walk stat remove unlink rename replace rmdir mkdir makedirs removedirs",
            ),
            *_under("os", "chmod chown link symlink truncate"),
            *_under("os.path", "exists lexists isfile isdir islink getsize getmtime getctime getatime"),
            *_under(
                "pathlib.Path",
                "open read_text read_bytes write_text write_bytes exists is_file is_dir stat lstat iterdir",
            ),
            *_under("pathlib.Path", "glob rglob walk mkdir rmdir unlink rename replace touch cwd home"),
            *_under("shutil", "copy copy2 copyfile copytree move rmtree disk_usage which"),
            *_under(
                "tempfile",
                "TemporaryFile NamedTemporaryFile TemporaryDirectory SpooledTemporaryFile mkstemp mkdtemp gettempdir",
            ),
            *_under("glob", "glob iglob"),
            "aiofiles.open",
        ),
    ),
    Rule(
        code="DT202",
        name="network-access",
        problem="talks to another system, again with each replay",
        replacement="do it in an activity",
        why="What comes back differs between replays, and what is sent is sent again. An activity's result is in the history.",
        calls=(
            *_under("requests", "get post put patch delete head options request Session session"),
            *_under("httpx", "get post put patch delete head options request stream Client AsyncClient"),
            *_under("aiohttp", "ClientSession request"),
            *_under("urllib.request", "urlopen urlretrieve"),
            *_under("http.client", "HTTPConnection HTTPSConnection"),
            *_under("socket", "socket create_connection create_server getaddrinfo gethostbyname"),
            *_under("smtplib", "SMTP SMTP_SSL"),
            *_under("ftplib", "FTP FTP_TLS"),
            *_under("sqlite3", "connect"),
            *_under("psycopg", "connect"),
            *_under("psycopg2", "connect"),
            *_under("asyncpg", "connect create_pool"),
            *_under("pymysql", "connect"),
            *_under("pymongo", "MongoClient"),
            *_under("redis", "Redis StrictRedis from_url"),
            *_under("boto3", "client resource Session"),
            *_under("grpc", "insecure_channel secure_channel"),
            *_under("grpc.aio", "insecure_channel secure_channel"),
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT203",
        name="subprocess",
        problem="runs another program, again with each replay",
        replacement="do it in an activity",
        why="The program's effects happen again with each replay, and its result may differ.",
        calls=(
            *_under("subprocess", "run call check_call check_output getoutput getstatusoutput Popen"),
            *_under(
                "os", "system popen fork forkpty execv execve execvp execvpe posix_spawn spawnl spawnv kill abort _exit"
            ),
            *_under("asyncio", "create_subprocess_exec create_subprocess_shell"),
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT204",
        name="console",
        problem="writes to or reads from the console, again with each replay",
        replacement="use ctx.create_replay_safe_logger(logger), or ctx.set_custom_status(…)",
        why="A line that is printed is printed again with each replay. Reading waits for a person, whom an event can stand for.",
        calls=(
            *_under("builtins", "print input breakpoint"),
            "pprint.pprint",
            *_under("sys.stdout", "write"),
            *_under("sys.stderr", "write"),
        ),
        is_mild=True,
    ),
    Rule(
        code="DT205",
        name="plain-logger",
        problem="logs, again with each replay",
        replacement="use ctx.create_replay_safe_logger(logger)",
        why="A line that is logged is logged again with each replay, which makes one step look like many.",
        calls=(
            *_under("logging", "debug info warning error exception critical log"),
            *_under("logging.getLogger()", "debug info warning error exception critical log"),
        ),
        is_mild=True,
    ),
    Rule(
        code="DT301",
        name="threads",
        problem="works beside the orchestration, in an order that no history knows",
        replacement="call activities, and wait for them with when_all([…])",
        why="What a thread does is neither recorded nor awaited by a replay, and a context may be used by its own orchestrator only.",
        calls=(
            *_under("threading", "Thread Timer Lock RLock Condition Event Semaphore BoundedSemaphore Barrier"),
            *_under("_thread", "start_new_thread"),
            *_under("queue", "Queue LifoQueue PriorityQueue SimpleQueue"),
            *_under("concurrent.futures", "ThreadPoolExecutor ProcessPoolExecutor wait as_completed"),
            *_under("multiprocessing", "Process Pool Queue Pipe Manager"),
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT302",
        name="event-loop",
        problem="needs an event loop; an orchestrator is run by its history",
        replacement="use durable tasks of the context, when_all([…]) and when_any([…])",
        why="An event loop goes on in the order in which things happen to happen. Durable tasks are settled in the order of the history.",
        calls=(
            *_under(
                "asyncio",
                "create_task ensure_future gather wait wait_for as_completed shield to_thread run timeout timeout_at",
            ),
            *_under(
                "asyncio", "TaskGroup Runner Event Lock Condition Semaphore Queue Future Task run_coroutine_threadsafe"
            ),
            *_under("asyncio", "get_event_loop get_running_loop new_event_loop open_connection"),
            *_under("anyio", "create_task_group run from_thread.run to_thread.run_sync move_on_after fail_after"),
            *_under("trio", "run open_nursery move_on_after fail_after"),
        ),
        replacements=MappingProxyType(
            {
                "asyncio.gather": "await when_all([…])",
                "asyncio.wait": "await when_any([…]) or await when_all([…])",
                "asyncio.as_completed": "await when_any([…]) of those that are left",
                "asyncio.to_thread": "await ctx.call_activity(…)",
                **dict.fromkeys(
                    _under("asyncio", "wait_for timeout timeout_at"),
                    "use ctx.timeout(…), or the timeout of ctx.wait_for_external_event(…)",
                ),
            }
        ),
        is_guarded=True,
    ),
    Rule(
        code="DT303",
        name="async-iteration",
        problem="iterates over something that is not a durable task",
        replacement="iterate in an activity and return a list, or wait for one durable task at a time",
        why="Each step of an `async for` waits for something outside of the history.",
    ),
    Rule(
        code="DT304",
        name="direct-activity-call",
        problem="is an activity that is called as a plain function, and so runs again with each replay",
        replacement="use ctx.call_activity(…)",
        why="Only a call through the context is recorded, retried, and run once for all replays.",
    ),
    Rule(
        code="DT305",
        name="wait-without-await",
        problem="makes something to wait for, and nothing waits for it",
        replacement="await it, or yield it in a generator",
        why="A timer, an event or a group of tasks has no effect of its own; without a wait the code goes on at once.",
    ),
    Rule(
        code="DT306",
        name="yield-of-a-value",
        problem="is yielded, and is no durable task",
        replacement="yield tasks of the context, when_all([…]) and when_any([…]); return results",
        why="An orchestrator that is a generator yields what it waits for. A plain value fails it.",
    ),
    Rule(
        code="DT401",
        name="global-state",
        problem="changes what other orchestrations and other replays see",
        replacement="keep it in local variables, or in an entity",
        why="State of the process is shared by all instances, changed again with each replay, and lost with the process.",
    ),
    Rule(
        code="DT402",
        name="set-order",
        problem="goes through a set, whose order differs from process to process",
        replacement="go through sorted(…), or keep a list or dict",
        why="Hashes of strings are salted, so a replay in another process takes the elements in another order, and its steps too.",
    ),
    Rule(
        code="DT403",
        name="replay-branch",
        problem="decides by ctx.is_replaying, which is another one in a replay",
        replacement="do the same in both cases; is_replaying is for logs and metrics",
        why="Steps that are taken in one of the two cases alone are not in the history, or not in the code.",
    ),
    Rule(
        code="DT501",
        name="catch-all",
        problem="catches also what unwinds an orchestration that is unloaded or cancelled",
        replacement="use `except Exception`, or end the handler with `raise`",
        why="`OrchestrationUnloaded`, `TaskCancelled` and `GeneratorExit` derive from BaseException and must go on; code that swallows them "
        "goes on without its history.",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _ALL})
"""All rules, by code."""

_BY_NAME = {name: rule for rule in _ALL for name in (*rule.calls, *rule.reads)}


def replacement_for(qualified_name: str, arguments: int = 0) -> Rule | None:
    """Find the rule that a function, class or value breaks, and with it what to use instead.

    Args:
        qualified_name: Its full name, as in `time.sleep`, `datetime.datetime.now` or `builtins.open`.
        arguments: How many arguments it is called with.

    Returns:
        The rule; None if it breaks none.
    """
    rule = _BY_NAME.get(qualified_name) or _BY_NAME.get(f"{qualified_name.rpartition('.')[0]}.*")

    if rule is None or arguments >= rule.harmless_with.get(qualified_name, arguments + 1):
        return None

    return rule
