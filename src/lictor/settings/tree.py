"""The settings themselves, as the reference groups them.

No `from __future__ import annotations` here: `reading` looks at the annotations, and they must be types.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from lictor.kit.catch_up import Policy


class Secret:
    """A text that no repr, log line or error shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Group(Struct, frozen=True, kw_only=True):
    """A branch of the tree."""


def about(description: str, *also: str, ge: float | None = None, le: float | None = None) -> Meta:
    """A leaf's one line of documentation, the older names of its variable, and its bounds."""
    return Meta(description=description, ge=ge, le=le, extra={"also": also})


def older(name: str) -> Callable[..., Meta]:
    """`about` for a group whose older names are `{name}_…`: the last part is given with the leaf."""

    def with_prefix(description: str, also: str, *, ge: float | None = None, le: float | None = None) -> Meta:
        return about(description, f"{name}_{also}", ge=ge, le=le)

    return with_prefix


def seconds(amount: float) -> timedelta:
    return timedelta(seconds=amount)


class Api(Group, frozen=True):
    host: Annotated[str, about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, about("Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 4200
    base_path: Annotated[str | None, about("Path that the API is under, such as /prefect/api; without it /api.")] = None
    auth_string: Annotated[Secret | None, about("user:password that every request must carry (HTTP Basic).")] = None
    default_limit: Annotated[
        int, about("Rows in a page when the request names no limit, and the most it may name.",
                   "PREFECT_API_DEFAULT_LIMIT", ge=1)
    ] = 200  # fmt: skip
    keepalive_timeout: Annotated[
        int, about("Seconds an idle connection stays open; more than the proxy's before it.", ge=0)
    ] = 95
    csrf_protection_enabled: Annotated[
        bool, about("Ask mutating requests for a CSRF token.", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED")
    ] = False
    csrf_token_expiration: Annotated[
        timedelta, about("How long a CSRF token is good.", "PREFECT_SERVER_CSRF_TOKEN_EXPIRATION")
    ] = seconds(3600)
    cors_allowed_origins: Annotated[
        str, about("Origins, with commas, that browsers may call from.", "PREFECT_SERVER_CORS_ALLOWED_ORIGINS")
    ] = "*"
    cors_allowed_methods: Annotated[
        str, about("Methods, with commas, for cross-origin requests.", "PREFECT_SERVER_CORS_ALLOWED_METHODS")
    ] = "*"
    cors_allowed_headers: Annotated[
        str, about("Headers, with commas, for cross-origin requests.", "PREFECT_SERVER_CORS_ALLOWED_HEADERS")
    ] = "*"
    websocket_ping_interval: Annotated[float, about("Seconds between pings on a websocket.", ge=0)] = 20.0
    websocket_ping_timeout: Annotated[float, about("Seconds to wait for a pong.", ge=0)] = 20.0
    max_parameter_size: Annotated[
        int, about("Most bytes of parameters, as JSON, of a run or a deployment; 0 for no limit.", ge=0)
    ] = 524_288


class Concurrency(Group, frozen=True):
    initial_deployment_lease_duration: Annotated[
        float, about("Seconds that a deployment's slot is leased for at first.", ge=30, le=3600)
    ] = 300.0
    maximum_concurrency_slot_wait_seconds: Annotated[
        float, about("Most seconds a client is told to wait for a slot.", ge=0)
    ] = 30.0


class Tls(Group, frozen=True):
    enabled: Annotated[bool, about("Connect to PostgreSQL with TLS and check its certificate.")] = False
    ca_file: Annotated[str | None, about("File with the authority's certificate; without it, the system's.")] = None
    cert_file: Annotated[str | None, about("File with our certificate, for mutual TLS.")] = None
    key_file: Annotated[str | None, about("File with our key, for mutual TLS.")] = None
    check_hostname: Annotated[bool, about("Check that the certificate is for the host connected to.")] = True


class ConnectArgs(Group, frozen=True):
    application_name: Annotated[str | None, about("Name that PostgreSQL shows for our connections.")] = None
    search_path: Annotated[str | None, about("PostgreSQL schemas, with commas, to look for our tables in.")] = None
    tls: Tls = Tls()


class Sqlalchemy(Group, frozen=True):
    pool_size: Annotated[
        int, about("Connections, and threads, to PostgreSQL per process.", "PREFECT_SQLALCHEMY_POOL_SIZE", ge=1)
    ] = 8
    connect_args: ConnectArgs = ConnectArgs()


_database = older("PREFECT_API_DATABASE")


class Database(Group, frozen=True):
    connection_url: Annotated[
        Secret | None,
        _database("sqlite:///file, sqlite+aiosqlite:///file, postgresql://… or postgresql+asyncpg://…; without it, "
                  "and without the parts below, a file in the home directory.", "CONNECTION_URL"),
    ] = None  # fmt: skip
    driver: Annotated[
        Literal["postgresql+asyncpg", "sqlite+aiosqlite"] | None,
        _database("With the parts below instead of a URL.", "DRIVER"),
    ] = None
    host: Annotated[str | None, _database("PostgreSQL's host.", "HOST")] = None
    port: Annotated[int | None, _database("PostgreSQL's port.", "PORT", ge=1, le=65535)] = None
    user: Annotated[str | None, _database("PostgreSQL's user.", "USER")] = None
    name: Annotated[str | None, _database("PostgreSQL's database, or SQLite's file.", "NAME")] = None
    password: Annotated[Secret | None, _database("PostgreSQL's password.", "PASSWORD")] = None
    migrate_on_start: Annotated[bool, _database("Bring the tables up to date at start.", "MIGRATE_ON_START")] = True
    timeout: Annotated[float | None, _database("Seconds a statement may take.", "TIMEOUT", ge=0)] = 10.0
    connection_timeout: Annotated[float | None, _database("Seconds to connect.", "CONNECTION_TIMEOUT", ge=0)] = 5.0
    migration_timeout: Annotated[float | None, about("Seconds a migration's statement may take.", ge=0)] = None
    sqlalchemy: Sqlalchemy = Sqlalchemy()


class Deployments(Group, frozen=True):
    concurrency_slot_wait_seconds: Annotated[
        float, about("Seconds until a run that got no slot of its deployment tries again.",
                     "PREFECT_DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS", ge=0)
    ] = 30.0  # fmt: skip


_events = older("PREFECT_EVENTS")


class Events(Group, frozen=True):
    stream_out_enabled: Annotated[
        bool, about("Send events out over the websocket.", "PREFECT_API_EVENTS_STREAM_OUT_ENABLED")
    ] = True
    maximum_labels_per_resource: Annotated[
        int, _events("Most labels of a resource.", "MAXIMUM_LABELS_PER_RESOURCE", ge=0)
    ] = 500
    maximum_related_resources: Annotated[
        int, _events("Most related resources of an event.", "MAXIMUM_RELATED_RESOURCES", ge=0)
    ] = 100
    maximum_size_bytes: Annotated[int, _events("Most bytes of an event as JSON.", "MAXIMUM_SIZE_BYTES", ge=0)] = (
        1_500_000
    )
    proactive_granularity: Annotated[
        timedelta, _events("How often proactive automations are evaluated.", "PROACTIVE_GRANULARITY")
    ] = seconds(5)
    retention_period: Annotated[timedelta, _events("How long events are kept.", "RETENTION_PERIOD")] = seconds(604_800)
    maximum_websocket_backfill: Annotated[
        timedelta, _events("How far back a websocket's subscriber may ask.", "MAXIMUM_WEBSOCKET_BACKFILL")
    ] = seconds(900)
    websocket_backfill_page_size: Annotated[
        int, _events("Events read at a time for a backfill.", "WEBSOCKET_BACKFILL_PAGE_SIZE", ge=1)
    ] = 250
    maximum_event_name_length: Annotated[int, about("Most characters of an event's name.", ge=0)] = 1024


class FlowRunGraph(Group, frozen=True):
    max_nodes: Annotated[int, about("Most nodes of a run's graph.", "PREFECT_API_MAX_FLOW_RUN_GRAPH_NODES", ge=1)] = (
        10_000
    )
    max_artifacts: Annotated[
        int, about("Most artifacts on a run's graph.", "PREFECT_API_MAX_FLOW_RUN_GRAPH_ARTIFACTS", ge=1)
    ] = 10_000


class Logs(Group, frozen=True):
    stream_out_enabled: Annotated[bool, about("Send logs out over the websocket.")] = False
    stream_publishing_enabled: Annotated[bool, about("Offer new logs to the websocket's subscribers.")] = False


_cancellation = older("PREFECT_API_SERVICES_CANCELLATION_CLEANUP")


class CancellationCleanup(Group, frozen=True):
    enabled: Annotated[bool, _cancellation("Cancel the tasks and subflows of cancelled runs.", "ENABLED")] = True
    loop_seconds: Annotated[float, _cancellation("Seconds between rounds.", "LOOP_SECONDS", ge=0)] = 20.0
    cancelling_timeout_seconds: Annotated[
        float, about("Seconds after which a run still Cancelling becomes Cancelled.", ge=0)
    ] = 300.0


class CleanupReconciler(Group, frozen=True):
    enabled: Annotated[bool, about("Deliver workers' clean-up messages again that were not done.")] = True
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 5.0
    batch_size: Annotated[int, about("Messages in a round.", ge=1)] = 100


class DbVacuum(Group, frozen=True):
    enabled: Annotated[
        frozenset[str], about("What is vacuumed, with commas: events, flow_runs, orphans; true for all of them.")
    ] = frozenset({"events", "flow_runs"})
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 3600.0
    orphan_cleanup_loop_seconds: Annotated[float, about("Seconds between rounds for orphans.", ge=0)] = 86_400.0
    retention_period: Annotated[timedelta, about("How long finished runs are kept.")] = seconds(7_776_000)
    batch_size: Annotated[int, about("Rows deleted in one transaction.", ge=1)] = 200
    event_retention_overrides: Annotated[
        dict[str, float], about("JSON of event type to seconds, for events kept for another time.")
    ] = field(default_factory=lambda: {"prefect.flow-run.heartbeat": 604_800.0})


class EventPersister(Group, frozen=True):
    enabled: Annotated[
        bool, about("Delete events past their time.", "PREFECT_API_SERVICES_EVENT_PERSISTER_ENABLED")
    ] = True


_foreman = older("PREFECT_API_SERVICES_FOREMAN")


class Foreman(Group, frozen=True):
    enabled: Annotated[bool, _foreman("Mark workers, pools, queues and deployments that fell silent.", "ENABLED")] = (
        True
    )
    loop_seconds: Annotated[float, _foreman("Seconds between rounds.", "LOOP_SECONDS", ge=0)] = 15.0
    inactivity_heartbeat_multiple: Annotated[
        int, _foreman("Heartbeats missed before a worker is offline.", "INACTIVITY_HEARTBEAT_MULTIPLE", ge=1)
    ] = 3
    fallback_heartbeat_interval_seconds: Annotated[
        int, _foreman("Heartbeat of a worker that named none.", "FALLBACK_HEARTBEAT_INTERVAL_SECONDS", ge=1)
    ] = 30
    deployment_last_polled_timeout_seconds: Annotated[
        int, _foreman("Seconds without a poll until a deployment is not ready.",
                      "DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS", ge=0)
    ] = 60  # fmt: skip
    work_queue_last_polled_timeout_seconds: Annotated[
        int, _foreman("Seconds without a poll until a work queue is not ready.",
                      "WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS", ge=0)
    ] = 60  # fmt: skip


_late = older("PREFECT_API_SERVICES_LATE_RUNS")


class LateRuns(Group, frozen=True):
    enabled: Annotated[bool, _late("Mark runs that did not start in time.", "ENABLED")] = True
    loop_seconds: Annotated[float, _late("Seconds between rounds.", "LOOP_SECONDS", ge=0)] = 5.0
    after_seconds: Annotated[timedelta, _late("How long after its time a run is late.", "AFTER_SECONDS")] = seconds(15)


_scheduler = older("PREFECT_API_SERVICES_SCHEDULER")


class Scheduler(Group, frozen=True):
    enabled: Annotated[bool, _scheduler("Make the runs of schedules.", "ENABLED")] = True
    loop_seconds: Annotated[float, _scheduler("Seconds between rounds.", "LOOP_SECONDS", ge=0)] = 60.0
    recent_deployments_loop_seconds: Annotated[
        float, about("Seconds between looks at deployments that just changed.", ge=0)
    ] = 5.0
    deployment_batch_size: Annotated[
        int,
        _scheduler(
            "Schedules planned at a time; a round takes up to four times as many.", "DEPLOYMENT_BATCH_SIZE", ge=1
        ),
    ] = 100
    max_runs: Annotated[int, _scheduler("Most runs ahead for a schedule.", "MAX_RUNS", ge=0)] = 100
    min_runs: Annotated[int, _scheduler("Fewest runs ahead for a schedule.", "MIN_RUNS", ge=0)] = 3
    max_scheduled_time: Annotated[timedelta, _scheduler("How far ahead at most.", "MAX_SCHEDULED_TIME")] = seconds(
        8_640_000
    )
    min_scheduled_time: Annotated[timedelta, _scheduler("How far ahead at least.", "MIN_SCHEDULED_TIME")] = seconds(
        3600
    )
    insert_batch_size: Annotated[int, _scheduler("Runs inserted at a time.", "INSERT_BATCH_SIZE", ge=1)] = 500


_pauses = older("PREFECT_API_SERVICES_PAUSE_EXPIRATIONS")


class PauseExpirations(Group, frozen=True):
    enabled: Annotated[bool, _pauses("Fail paused runs whose time to be resumed is over.", "ENABLED")] = True
    loop_seconds: Annotated[float, _pauses("Seconds between rounds.", "LOOP_SECONDS", ge=0)] = 5.0


class Repossessor(Group, frozen=True):
    enabled: Annotated[bool, about("Take slots back whose lease has expired.")] = True
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 15.0


class TaskRunRecorder(Group, frozen=True):
    enabled: Annotated[
        bool, about("Record task runs from events.", "PREFECT_API_SERVICES_TASK_RUN_RECORDER_ENABLED")
    ] = True


class Triggers(Group, frozen=True):
    enabled: Annotated[bool, about("Evaluate automations.", "PREFECT_API_SERVICES_TRIGGERS_ENABLED")] = True


class Services(Group, frozen=True):
    cancellation_cleanup: CancellationCleanup = CancellationCleanup()
    cleanup_reconciler: CleanupReconciler = CleanupReconciler()
    db_vacuum: DbVacuum = DbVacuum()
    event_persister: EventPersister = EventPersister()
    foreman: Foreman = Foreman()
    late_runs: LateRuns = LateRuns()
    scheduler: Scheduler = Scheduler()
    pause_expirations: PauseExpirations = PauseExpirations()
    repossessor: Repossessor = Repossessor()
    task_run_recorder: TaskRunRecorder = TaskRunRecorder()
    triggers: Triggers = Triggers()


class Tasks(Group, frozen=True):
    tag_concurrency_slot_wait_seconds: Annotated[
        float, about("Seconds until a task run that got no slot of its tags tries again.",
                     "PREFECT_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS", ge=0)
    ] = 10.0  # fmt: skip
    max_cache_key_length: Annotated[
        int, about("Most characters of a cache key.", "PREFECT_API_TASK_CACHE_KEY_MAX_LENGTH", ge=1)
    ] = 2000


class Ui(Group, frozen=True):
    enabled: Annotated[bool, about("Serve the dashboard.", "PREFECT_UI_ENABLED")] = True
    v2_enabled: Annotated[bool, about("Open the newer dashboard where the browser has no choice saved.")] = True
    api_url: Annotated[
        str | None, about("Where the dashboard finds the API; without it, where it was served from.",
                          "PREFECT_UI_API_URL")
    ] = None  # fmt: skip
    serve_base: Annotated[
        str, about("Path that the dashboard is under; / takes what stands before /api in the API's.",
                   "PREFECT_UI_SERVE_BASE")
    ] = "/"  # fmt: skip
    static_directory: Annotated[
        str | None, about("Directory of the dashboard's files; without it they are searched for, see dashboard.md.",
                          "PREFECT_UI_STATIC_DIRECTORY")
    ] = None  # fmt: skip
    url: Annotated[
        str | None, about("Where people find the dashboard, for links in what automations send; without it, where the "
                          "server listens.", "PREFECT_UI_URL")
    ] = None  # fmt: skip


class WorkerChannel(Group, frozen=True):
    cleanup_lease_seconds: Annotated[float, about("Seconds a worker has to do a clean-up message.", ge=0)] = 30.0
    cleanup_max_delivery_attempts: Annotated[int, about("Deliveries before a message is given up.", ge=1)] = 3


class DeadRuns(Group, frozen=True):
    enabled: Annotated[bool, about("Crash runs whose process has died without a word.")] = True
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 15.0
    missed_heartbeats: Annotated[float, about("Heartbeats missed before a run is taken for dead.", ge=2)] = 3.0
    heartbeat_seconds: Annotated[
        float, about("How far apart a run's heartbeats are taken to be before three have come; the longest "
                     "PREFECT_FLOWS_HEARTBEAT_FREQUENCY in use.", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY", ge=30)
    ] = 180.0  # fmt: skip
    quiet_seconds: Annotated[
        timedelta, about("How long nothing must have been heard of a run without heartbeats whose worker is gone.")
    ] = seconds(300)


class Unfinished(Group, frozen=True):
    enabled: Annotated[bool, about("End what is left of flow runs that have ended without it.")] = True
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 20.0
    grace_seconds: Annotated[
        timedelta, about("How long nothing must have been heard of a task run whose flow run has ended.")
    ] = seconds(60)


class Retention(Group, frozen=True):
    """Runs that are kept for another time than PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD says."""

    keep_last: Annotated[int, about("Newest runs of each deployment that are kept for ever.", ge=0)] = 0
    deployments: Annotated[
        dict[str, float], about("JSON of deployment (flow/deployment) to seconds that its finished runs are kept.")
    ] = field(default_factory=dict)
    tags: Annotated[
        dict[str, float], about("JSON of tag to seconds that finished runs with it are kept; the longest counts.")
    ] = field(default_factory=dict)
    states: Annotated[
        dict[str, float], about("JSON of type of state, such as FAILED, to seconds that runs that ended so are kept.")
    ] = field(default_factory=dict)


class CatchUp(Group, frozen=True):
    """Scheduled runs that piled up while nobody took them."""

    policy: Annotated[
        Policy, about("Which of the scheduled runs that piled up start: all, latest_only, or max_queued=N.")
    ] = Policy()
    deployments: Annotated[
        dict[str, Policy], about("JSON of deployment (flow/deployment) to such a policy, for those of their own.")
    ] = field(default_factory=dict)
    enabled: Annotated[
        bool, about("Look for runs that are to be skipped; without it they are when somebody would start them.")
    ] = True
    loop_seconds: Annotated[float, about("Seconds between rounds.", ge=0)] = 5.0


class Lictor(Group, frozen=True):
    """What only this server has; the variables are `LICTOR_…`."""

    home: Annotated[Path, about("Directory of the data; made when it is missing.")] = Path("~/.lictor")
    role: Annotated[
        Literal["all", "api", "services"], about("What a process runs: the API, the background services, or both.")
    ] = "all"
    services_port: Annotated[int, about("Port that `lictor services` answers /api/health on.", ge=0, le=65535)] = 4201
    max_request_bytes: Annotated[int, about("Most bytes of a request's body.", ge=1024)] = 64 * 1024 * 1024
    reader_threads: Annotated[int, about("Threads that read from SQLite.", ge=1, le=64)] = 2
    ui_image_sources: Annotated[
        str, about("Hosts, with spaces, that the dashboard may show images from, such as https://charts.example.com.")
    ] = ""
    shutdown_seconds: Annotated[int, about("Seconds that requests in flight have to finish in at the end.", ge=0)] = 5
    dead_runs: DeadRuns = DeadRuns()
    unfinished: Unfinished = Unfinished()
    retention: Retention = Retention()
    catch_up: CatchUp = CatchUp()


class Settings(Group, frozen=True):
    logging_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        about("From which level on the server writes its log.", "PREFECT_LOGGING_SERVER_LEVEL"),
    ] = "WARNING"
    deployment_schedule_max_scheduled_runs: Annotated[
        int, about("Most that a schedule may say as `max_scheduled_runs`.",
                   "PREFECT_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS")
    ] = 50  # fmt: skip
    metrics_enabled: Annotated[bool, about("Answer /api/metrics.", "PREFECT_API_ENABLE_METRICS")] = False
    encryption_key: Annotated[
        Secret | None, about("Fernet key for the data of blocks; without it, one is made and kept in a file beside the "
                             "database. Several, with commas: the first one encrypts, all decrypt.",
                             "ORION_ENCRYPTION_KEY")
    ] = None  # fmt: skip
    register_blocks_on_start: Annotated[
        bool, about("Make the blocks known that come with the SDK and its integrations.",
                    "PREFECT_API_BLOCKS_REGISTER_ON_START")
    ] = True  # fmt: skip
    api: Api = Api()
    concurrency: Concurrency = Concurrency()
    database: Database = Database()
    deployments: Deployments = Deployments()
    events: Events = Events()
    flow_run_graph: FlowRunGraph = FlowRunGraph()
    logs: Logs = Logs()
    services: Services = Services()
    tasks: Tasks = Tasks()
    ui: Ui = Ui()
    worker_channel: WorkerChannel = WorkerChannel()
    lictor: Lictor = Lictor()
