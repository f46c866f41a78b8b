# SPDX-License-Identifier: Apache-2.0
"""The composition root: wires rooms into a process, and connects commands to whoever serves the folder.

It is the one module that knows all rooms. A folder has one owner: a hub, which serves it until it is stopped,
or a command, which hosts the rooms for its own time when no hub is there. Either way a command gets the same
clients, so that it neither knows nor cares, and is tested both ways.

Errors::

    PlatformError               the text is one line, ``hint`` says what to do
    ├── FolderUnusableError     the data folder cannot be made or written
    ├── FolderInUseError        another process owns the folder
    ├── PortInUseError          something else listens on the port
    ├── StoreUnusableError      the store or its key cannot be opened
    └── NoSandboxError          untrusted code cannot be isolated on this machine
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import shutil
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import grpc
import structlog

from enchanted import gateway, history, identity, jobs, keyspace, owner, rpc, sandbox, workspace
from enchanted.generated.history.v1 import history_pb2_grpc
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.history.client import HistoryClient
from enchanted.history.service import HistoryService
from enchanted.jobs.client import JobsClient
from enchanted.jobs.service import JobsService
from enchanted.keyspace import LOCAL_TENANT, OWNER_SCOPES, Principal, Scope, TenantId
from enchanted.owner import FolderInUseError, FolderUnusableError, Owner, PlatformError
from enchanted.settings import Settings
from enchanted.views import CheckView
from enchanted.workspace import ObjectCache
from enchanted.workspace.client import WorkspaceClient
from enchanted.workspace.service import WorkspaceService

__all__ = [
    "Connection",
    "FolderInUseError",
    "FolderUnusableError",
    "NoSandboxError",
    "PlatformError",
    "PortInUseError",
    "StoreUnusableError",
    "check_sandbox",
    "check_store",
    "clients",
    "connect",
    "hosted",
    "reach",
]

ISSUER: Final = "enchanted-local"
ANSWER_SECONDS_MAX: Final = 5.0
STOP_GRACE_SECONDS: Final = 0.3
FOLDER_WAIT_SECONDS_MAX: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 0.1
_VERIFY_HINT: Final = "check ENCHANTED_DATA and ENCHANTED_STORE; `enchanted verify` looks closer"
_FORGET_SECONDS: Final = 3600.0
_FORGOTTEN_AT_ONCE: Final = 500
_LAST_PORT: Final = 65_535
_SOCKET: Final = "hub.sock"
_KEY_FILE: Final = "keys/root.key"
_SOCKET_PATH_BYTES_MAX: Final = 100
_READER_SCOPES: Final = frozenset({Scope.HISTORY_READ, Scope.WORKSPACE_READ, Scope.JOBS_READ})
_OWNER: Final = Principal(LOCAL_TENANT, "owner", OWNER_SCOPES)
_READER: Final = Principal(LOCAL_TENANT, "reader", _READER_SCOPES)
_log = structlog.get_logger(__name__)
_ERRORS: Final[Mapping[type[Exception], rpc.ErrorRule]] = {
    **history.ERRORS,
    **workspace.ERRORS,
    **jobs.ERRORS,
    **identity.ERRORS,
}


class PortInUseError(PlatformError):
    """Something else listens on the port."""


class StoreUnusableError(PlatformError):
    """The store or its key cannot be opened."""


class NoSandboxError(PlatformError):
    """Untrusted code cannot be isolated on this machine."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The rooms, wherever they run.

    Attributes:
        history: Client of history.
        workspace: Client of workspace.
        jobs: Client of jobs.
        url: The web pages and Git, without a slash at the end; empty when nobody serves them.
        pid: The process that owns the folder.
        reached: Whether that is another process.
    """

    history: HistoryClient
    workspace: WorkspaceClient
    jobs: JobsClient
    url: str
    pid: int
    reached: bool

    @property
    def live(self) -> bool:
        """Whether a hub is there, so that jobs go on by themselves."""
        return bool(self.url)


def connect(settings: Settings, *, work: bool = False) -> AbstractAsyncContextManager[Connection]:
    """The rooms for one command: those of a live hub, or hosted here for as long as the block runs.

    Args:
        settings: Which folder.
        work: Whether jobs must go on meanwhile; if no hub is there, this process is one, on any free port.

    Raises:
        PlatformError: If they cannot be had.
    """
    return _connected(settings, work=work)


@asynccontextmanager
async def _connected(settings: Settings, *, work: bool) -> AsyncIterator[Connection]:
    deadline = time.monotonic() + FOLDER_WAIT_SECONDS_MAX
    async with AsyncExitStack() as stack:
        while True:
            reached = await reach(settings, stack)
            if reached is not None:
                yield reached
                return
            if work:
                await check_sandbox()
            hosting = hosted(settings, port=0) if work else _hosted_here(settings)
            try:
                connection = await stack.enter_async_context(hosting)
            except FolderInUseError:
                # Another command has it for a moment, or a hub is just starting.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            yield connection
            return


async def reach(settings: Settings, stack: AsyncExitStack) -> Connection | None:
    """The hub that owns the folder, if one does and answers; its channel is closed with ``stack``."""
    noted = owner.read_note(settings.data)
    if noted is None:
        return None
    channel = rpc.connect(noted.grpc_address, noted.token)
    connection = clients(channel, url=noted.http_url, pid=noted.pid, reached=True)
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await anext(connection.workspace.list_projects(), None)
    except (TimeoutError, rpc.CallError):
        # Its process may have died and its number been given to another; the folder's lock knows.
        await channel.close(None)
        return None
    stack.push_async_callback(channel.close, None)
    return connection


@asynccontextmanager
async def hosted(settings: Settings, *, port: int | None = None) -> AsyncIterator[Connection]:
    """Be the hub: own the folder, serve gRPC, web pages and Git, seal histories and run jobs, until the end.

    The note that says how to reach the hub appears when everything serves, and goes first.

    Args:
        settings: Which folder and port.
        port: Another port than the settings'; 0 for any free one.

    Raises:
        PlatformError: If the folder, the store or the port cannot be had.
    """
    asked_port = settings.port if port is None else port
    async with AsyncExitStack() as stack:
        rooms = await stack.enter_async_context(_opened(settings))
        bound = stack.enter_context(_bound(settings.host, asked_port))
        port = int(bound.getsockname()[1])
        url = f"http://{settings.host}:{port}"
        address = await stack.enter_async_context(_grpc_served(rooms, settings.data))
        app = gateway.create_app(rooms.pages(), rooms.git(), port)
        await stack.enter_async_context(gateway.serving(app, bound))
        works = [rooms.sealer.run(), _forget_requests(rooms.opened)]
        try:
            await check_sandbox()
        except NoSandboxError as error:
            # What is recorded can be looked at all the same; jobs wait for a hub that can run them.
            _log.warning("jobs wait: untrusted code cannot be isolated here", reason=str(error))
        else:
            works.append(rooms.supervisor(address, settings).run())
        await stack.enter_async_context(_beside(*works))
        owner.write_note(settings.data, Owner(os.getpid(), address, url, rooms.tokens.owner))
        stack.callback(owner.remove_note, settings.data)
        yield rooms.connection(url)


@asynccontextmanager
async def _hosted_here(settings: Settings) -> AsyncIterator[Connection]:
    """The rooms in this process for the time of one command: no addresses, no supervisor."""
    async with _opened(settings) as rooms:
        yield rooms.connection("")


async def check_sandbox() -> None:
    """Make sure that untrusted code can be isolated here, before a job needs it.

    Raises:
        NoSandboxError: If it cannot; the text says why.
    """
    try:
        await sandbox.open_sandbox()
    except sandbox.SandboxError as error:
        raise NoSandboxError(
            str(error), "run `make setup`, which installs bubblewrap where it can"
        ) from error


async def check_store(settings: Settings) -> Sequence[CheckView]:
    """Read every byte of an embedded store again from the disk; it may be in use meanwhile.

    Returns:
        One check; none for a cluster, which checks itself, and for a folder that nobody used yet.
    """
    folder = settings.embedded_folder
    if folder is None or not (folder.exists() or (settings.data / _KEY_FILE).exists()):
        return ()
    report = await asyncio.to_thread(keyspace.check_folder, folder)
    keys = sum(family.keys for family in report.families)
    size_bytes = sum(family.size_bytes for family in report.families)
    detail = "; ".join(report.problems) or f"{keys} records, {size_bytes} bytes, each read twice"
    return (CheckView("every record on the disk", passed=report.ok, detail=detail),)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Who holds which token: an authenticator for every transport.

    Attributes:
        owner: The person whose folder it is; stands in the folder's note.
        reader: The web pages, and whoever fetches a project without a token; never leaves the process.
        job_tokens: Verifies the tokens of agents' processes.
    """

    owner: str
    reader: str
    job_tokens: identity.TokenVerifier

    def authenticate(self, token: str) -> Principal:
        """The principal of a token; raises a room's error for any other text."""
        for known, caller in ((self.owner, _OWNER), (self.reader, _READER)):
            if hmac.compare_digest(token.encode(), known.encode()):
                return caller
        return self.job_tokens.verify(token)

    def authenticate_git(self, environ: Mapping[str, Any]) -> Principal | None:
        """Who fetches: by the token that comes along, or without one, whoever reads on this machine."""
        authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
        if not authorization:
            return _READER
        try:
            return self.authenticate(gateway.bearer_of(authorization) or "")
        except identity.TokenRefusedError:
            return None


@dataclass(frozen=True, slots=True)
class _Access:
    """What a caller may read of its tenant: everything, or for a job's agents the project of the job."""

    opened: keyspace.Keyspace

    async def may_read_project(self, principal: Principal, project_id: str) -> bool:
        """Whether a caller may read a project."""
        own = await jobs.project_of_job(self.opened, principal)
        return own is None or own == project_id

    async def may_read_log(self, principal: Principal, log: str) -> bool:
        """Whether a caller may read a history, which is named as its project."""
        return await self.may_read_project(principal, log)


@dataclass(frozen=True, slots=True)
class _Services:
    """The rooms' servicers, the same for every transport."""

    history: HistoryService
    workspace: WorkspaceService
    jobs: JobsService
    access: _Access
    cache: ObjectCache

    def register(self, server: rpc.InProcessServer | grpc.aio.Server) -> None:
        """Add all services to a server."""
        # Generated code asks for grpc's class and calls only what both have.
        grpc_server = cast("grpc.aio.Server", server)
        history_pb2_grpc.add_HistoryServicer_to_server(self.history, grpc_server)
        workspace_pb2_grpc.add_WorkspaceServicer_to_server(self.workspace, grpc_server)
        jobs_pb2_grpc.add_JobsServicer_to_server(self.jobs, grpc_server)


@dataclass(frozen=True, slots=True)
class _Rooms:
    """Everything that is open in a process that owns the folder."""

    opened: keyspace.Keyspace
    watcher: keyspace.TipWatcher
    sealer: history.Sealer
    signer: identity.TokenSigner
    tokens: _Tokens
    services: _Services
    chain: Sequence[grpc.aio.ServerInterceptor[Any, Any]]

    def channel(self, token: str) -> grpc.aio.Channel:
        """A way to the services without a socket, through the same interceptors."""
        server = rpc.InProcessServer(self.chain)
        self.services.register(server)
        return rpc.InProcessChannel(server, token)

    def connection(self, url: str) -> Connection:
        """The owner's own clients."""
        return clients(self.channel(self.tokens.owner), url=url, pid=os.getpid(), reached=False)

    def pages(self) -> gateway.Rooms:
        """Clients that may only read."""
        channel = self.channel(self.tokens.reader)
        return gateway.Rooms(HistoryClient(channel), WorkspaceClient(channel), JobsClient(channel))

    def git(self) -> gateway.WSGIApplication:
        """Git over HTTP."""
        return workspace.git_application(
            self.opened,
            self.tokens.authenticate_git,
            now_us=_now_us,
            may_read=self.services.access.may_read_project,
            cache=self.services.cache,
        )

    def supervisor(self, address: str, settings: Settings) -> jobs.Supervisor:
        """What starts and ends agents' processes."""
        surroundings = jobs.Surroundings(
            hub=address,
            suite_seconds=settings.suite_seconds,
            principal_of=_platform_principal,
            now_us=_now_us,
            sleep=asyncio.sleep,
            random_bytes=os.urandom,
        )
        environment = {**os.environ, "TMPDIR": str(_fresh_scratch(settings.data))}
        launcher = jobs.LocalLauncher(settings.data / "logs", environment)
        return jobs.Supervisor(self.opened, self.watcher, launcher, self.signer, surroundings)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Rooms]:
    """Own the folder, open the store, and wire the rooms' services."""
    owner.open_folder(settings.data)
    with owner.lock_folder(settings.data):
        folder = settings.embedded_folder
        # A store without its key is not given a new one: what it holds could never be read again.
        is_new = folder is None or not folder.exists()
        try:
            key_ring = keyspace.load_or_create_key_ring(
                settings.data / _KEY_FILE, os.urandom, may_create=is_new
            )
            database = await asyncio.to_thread(keyspace.open_database, settings.store)
        except keyspace.KeyspaceError as error:
            raise StoreUnusableError(str(error), _VERIFY_HINT) from error
        blobs = keyspace.FolderBlobStore(settings.data / "blobs")
        opened = keyspace.Keyspace(database, key_ring, blobs, os.urandom)
        try:
            await _check_key(opened)
            yield _wired(opened, key_ring)
        finally:
            await _close(opened)


async def _check_key(opened: keyspace.Keyspace) -> None:
    try:
        await opened.hub()
    except keyspace.KeyspaceError as error:
        raise StoreUnusableError(str(error), _VERIFY_HINT) from error


async def _forget_requests(opened: keyspace.Keyspace) -> None:
    """Forget the answers of old requests, now and every hour."""
    while True:
        space = await opened.space(_platform_principal(LOCAL_TENANT))
        while await opened.run(
            space, keyspace.idempotency.forget_expired, _now_us(), limit=_FORGOTTEN_AT_ONCE
        ):
            continue
        await asyncio.sleep(_FORGET_SECONDS)


def _fresh_scratch(data: Path) -> Path:
    """The folder of agents' throw-away copies; what a killed one left is removed."""
    scratch = data / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    return scratch


async def _close(opened: keyspace.Keyspace) -> None:
    try:
        await opened.close()
    except Exception as error:
        # Engines report damage that shows only while closing by exceptions of their own; everything that was
        # acknowledged is on the disk by then, so this says that the disk is not what it was.
        raise StoreUnusableError(f"the store could not be closed: {error}", _VERIFY_HINT) from error


def _wired(opened: keyspace.Keyspace, key_ring: keyspace.FileKeyRing) -> _Rooms:
    watcher = keyspace.TipWatcher(opened)
    sealer = history.Sealer(
        opened,
        watcher,
        [_platform_principal(LOCAL_TENANT)],
        history.CheckpointSigner(key_ring.signing_key("checkpoint")),
        holder="owner-of-the-folder",
        now_us=_now_us,
        monotonic_seconds=time.monotonic,
    )
    token_key = key_ring.signing_key("token")
    tokens = _Tokens(
        owner=secrets.token_urlsafe(32),
        reader=secrets.token_urlsafe(32),
        job_tokens=identity.TokenVerifier(token_key.public_key(), ISSUER, _now_us),
    )
    return _Rooms(
        opened=opened,
        watcher=watcher,
        sealer=sealer,
        signer=identity.TokenSigner(token_key, ISSUER, _now_us, os.urandom),
        tokens=tokens,
        services=_services(opened, sealer, watcher),
        chain=rpc.interceptors(tokens, _ERRORS),
    )


def _services(opened: keyspace.Keyspace, sealer: history.Sealer, watcher: keyspace.TipWatcher) -> _Services:
    access = _Access(opened)
    cache = ObjectCache()
    return _Services(
        history=HistoryService(opened, sealer, watcher, access.may_read_log),
        workspace=WorkspaceService(opened, _now_us, may_read=access.may_read_project, cache=cache),
        jobs=JobsService(opened, watcher, _now_us, time.monotonic),
        access=access,
        cache=cache,
    )


def clients(channel: grpc.aio.Channel, *, url: str = "", pid: int = 0, reached: bool = False) -> Connection:
    """The rooms' clients over one channel; the other arguments are told as they are."""
    return Connection(
        history=HistoryClient(channel),
        workspace=WorkspaceClient(channel),
        jobs=JobsClient(channel),
        url=url,
        pid=pid,
        reached=reached,
    )


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        bound = gateway.bind(host, port)
    except OSError as error:
        raise PortInUseError(
            f"port {port} of {host} cannot be served: {error.strerror}",
            f"stop what uses it, or choose another port: ENCHANTED_PORT={port % _LAST_PORT + 1}",
        ) from error
    with contextlib.closing(bound):
        yield bound


@asynccontextmanager
async def _grpc_served(rooms: _Rooms, data: Path) -> AsyncIterator[str]:
    """Serve the rooms to other processes of this machine, at a socket in the folder; answers the address."""
    path = data / _SOCKET
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        path.unlink(missing_ok=True)
        address = f"unix:{path}"
    else:
        # The system's limit for the path of a socket is some 108 bytes.
        address = "127.0.0.1:0"
    server, port = await rpc.serve(rooms.services.register, address, rooms.chain)
    try:
        yield address.replace(":0", f":{port}") if address.endswith(":0") else address
    finally:
        await server.stop(STOP_GRACE_SECONDS)


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the block; if one of it fails, the block ends with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _platform_principal(tenant: TenantId) -> Principal:
    return Principal(tenant, "platform", frozenset(Scope))


def _now_us() -> int:
    return time.time_ns() // 1_000
