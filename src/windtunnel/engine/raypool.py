# SPDX-License-Identifier: Apache-2.0
"""Tries of cells on the machines of a Ray cluster.

Ray moves what is sent and says when a machine is gone. All else is as on this
machine: a try is a process of its own there, its run folder comes back as it is, and
who records the results is this process alone.
"""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from windtunnel.engine import rayworker
from windtunnel.engine.cellpool import InFlight
from windtunnel.engine.celltry import run_try
from windtunnel.engine.child import ChildLostError
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.engine.kernel import node_kernels
from windtunnel.engine.pool import POLL_HOST_S
from windtunnel.engine.remotetry import RemoteJob
from windtunnel.engine.session import repeat_command
from windtunnel.engine.shipment import Bundle, agent_bundle, code_bundle, kernel_bundle
from windtunnel.errors import HostError, InternalError, WindtunnelError
from windtunnel.images.kernels import Kernel

CONNECT_HOST_S = 20.0
"""How long a cluster may take to answer."""

_LOST_STATUS = -9  # as if the process had been killed: nobody knows more


class RemoteTry:
    """A try on another machine, or what it came to before it got there.

    Attributes:
        key: what was begun.
        began_host_s: when, by the host's clock.
        limit_host_s: when it is too late; None is never.
        overdue: whether it was cancelled because it took too long.
        stream: what the machine sends; None for a try that was not sent.
        ready: its outcome, if it was not sent.
    """

    def __init__(
        self, key: InFlight, limit_host_s: float | None, stream: Any = None, ready: Any = None
    ) -> None:
        self.key = key
        self.began_host_s = monotonic_host_s()
        self.limit_host_s = None if limit_host_s is None else self.began_host_s + limit_host_s
        self.overdue = False
        self.stream = stream
        self.ready = ready


class RayPool:
    """Tries on a Ray cluster. A context manager; see `CellPool`."""

    def __init__(self, address: str, jobs: int) -> None:
        """Connect.

        Args:
            address: of the cluster, "HOST:PORT"; empty begins one on this machine.
            jobs: how many tries at the same time; 0: one for each processor of the cluster.

        Raises:
            HostError: Ray is not installed, the cluster does not answer or is of another
                version, or it has no processor.
        """
        self._folder = tempfile.mkdtemp(prefix="ray-")  # short: sockets are in it
        try:
            self._ray = _connected(address, self._folder)
            processors = _processors(self._ray)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.running: list[RemoteTry] = []
        self._jobs = jobs or processors
        self._bundles: dict[str, tuple[str, list[Any]]] = {}
        self._kernels: dict[str, str] = {}
        self._remote = self._function()

    @property
    def has_room(self) -> bool:
        """Whether one more can be begun."""
        return len(self.running) < self._jobs

    def try_cell(self, key: InFlight, *, limit_host_s: float | None = None) -> None:
        """Send a try to the cluster, and before the first one what every machine needs."""
        if not self._bundles:
            self._ship("code", code_bundle())
            self._ship("agent", agent_bundle())
        try:
            job = self._job(key)
        except WindtunnelError:
            # A lab that is wrong is told of as anywhere else, and needs no other machine.
            self.running.append(RemoteTry(key, None, ready=run_try(key.what)))
            return
        kernels = {digest: self._bundles[digest] for digest in job.kernels.values()}
        sent = {name: self._bundles[name] for name in ("code", "agent")} | kernels
        stream = self._remote.remote(pickle.dumps(job), sent)
        self.running.append(RemoteTry(key, limit_host_s, stream))

    def wait(self) -> list[RemoteTry]:
        """Wait until something has ended, or a short while."""
        ready = [one for one in self.running if one.stream is None]
        streams = {one.stream: one for one in self.running if one.stream is not None}
        if streams and not ready:
            found, _ = self._ray.wait(list(streams), timeout=POLL_HOST_S, fetch_local=False)
            ready = [streams[stream] for stream in found]
        now_host_s = monotonic_host_s()
        for one in self.running:
            late = one.limit_host_s is not None and one.limit_host_s <= now_host_s
            if late and one not in ready and not one.overdue:
                one.overdue = True
                self._ray.cancel(one.stream, force=False)
        return [one for one in self.running if one in ready]

    def result(self, one: RemoteTry) -> Any:
        """Take what a try came to; its run's folder is unpacked where it belongs."""
        self.running.remove(one)
        if one.stream is None:
            return one.ready
        try:
            told, *pieces = [self._ray.get(piece) for piece in one.stream]
        except self._ray.exceptions.RayError as error:
            raise self._lost_or_bug(error) from error
        outcome = json.loads(told)
        if "result" not in outcome:
            raise _lost_process(outcome)
        if "bug" in outcome["result"]:
            raise _bug(outcome["result"]["bug"])
        _unpack(b"".join(pieces), one.key.what.path)
        return outcome["result"]

    def _lost_or_bug(self, error: Any) -> WindtunnelError:
        """Whether a machine is gone or wrong, or what we sent there has raised."""
        errors = self._ray.exceptions
        cause = getattr(error, "cause", None)
        raised = isinstance(error, errors.RayTaskError) and isinstance(cause, Exception)
        if raised and not isinstance(cause, (OSError, errors.RayError)):
            return _bug(str(error))
        return _lost(error)

    def stop(self, unwanted: Sequence[RemoteTry]) -> None:
        """Cancel some; their machines end them."""
        ending = list(unwanted)
        self.running = [one for one in self.running if one not in ending]
        for one in ending:
            if one.stream is not None:
                self._ray.cancel(one.stream, force=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop(self.running)
        self._ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _function(self) -> Any:
        """The function that runs on the cluster: sent as it is, for we are not there."""
        ray = self._ray
        ray.cloudpickle.register_pickle_by_value(rayworker)
        run_remote = rayworker.run_remote

        def try_cell(job: bytes, bundles: dict[str, tuple[str, list[Any]]]) -> Any:
            import ray as there  # noqa: PLC0415 - that of the machine it runs on

            yield from run_remote(job, bundles, there.get)

        # A try that was lost is recorded, and repeated by the runner: never silently by Ray.
        return ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(try_cell)

    def _job(self, key: InFlight) -> RemoteJob:
        what = key.what
        spec = what.spec()
        kernels = node_kernels(spec, what.options.kernel, what.options.node_kernels)
        options = replace(what.options, node_kernels=kernels, heartbeat=None)
        used = {str(one.path): one for one in (options.kernel, *kernels.values())}
        return RemoteJob(
            cell=replace(what.cell, params=dict(what.cell.params)),
            attempt=what.attempt,
            spec=spec,
            options=options,
            run=what.path.relative_to(what.context.results).as_posix(),
            repeat=what.repeat,
            replay=repeat_command(what.path),
            directory=str(Path.cwd()),
            kernels={path: self._kernel(path, kernel) for path, kernel in used.items()},
        )

    def _kernel(self, path: str, kernel: Kernel) -> str:
        if path not in self._kernels:
            bundle = kernel_bundle(kernel)
            self._kernels[path] = bundle.digest
            self._ship(bundle.digest, bundle)
        return self._kernels[path]

    def _ship(self, name: str, bundle: Bundle) -> None:
        """Put a bundle where every machine can fetch it; in a list it is fetched when asked for."""
        self._bundles[name] = (bundle.digest, [self._ray.put(bundle.content)])


def _connected(address: str, folder: str) -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - half a second, and optional
    except ImportError as error:
        raise HostError(
            "Ray is not installed", hint="python -m pip install 'windtunnel[ray]'"
        ) from error
    if address:
        _require_answer(address)
    # A cluster of our own has a folder of its own: that of another user is not ours to write.
    own: dict[str, Any] = {} if address else {"_temp_dir": folder, "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            **own,
        )
    except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError) as error:
        text = str(error).strip().partition("\n")[0]
        raise HostError(
            f"no Ray cluster answers at {address or 'this machine'}: {text}",
            hint="ray start --head begins one; its version must be that of this machine: "
            f"{ray.__version__}",
        ) from error
    return ray


def _processors(ray: ModuleType) -> int:
    """How many processors a cluster has.

    Raises:
        HostError: it has none; we have left it then.
    """
    found = int(ray.cluster_resources().get("CPU", 0))
    if found < 1:
        ray.shutdown()
        raise HostError("the Ray cluster has no processors", hint="ray status shows its nodes")
    return found


def _require_answer(address: str) -> None:
    """Make sure that somebody listens there; Ray would ask for minutes.

    Raises:
        HostError: nobody does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_HOST_S).close()
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise HostError(
            f"no Ray cluster answers at {address}: {text}",
            hint="ray start --head begins one, and says its address",
        ) from error


def _unpack(content: bytes, path: Path) -> None:
    if not content:
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        names = tar.getnames()
        if names:
            path.mkdir(parents=True)
            # The option `filter` came with Python 3.11.4 only.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            tar.extractall(path)  # noqa: S202 - see above


def _lost(error: Exception) -> ChildLostError:
    found = ChildLostError(_LOST_STATUS)
    text = str(error).strip().partition("\n")[0]
    found.message = f"its machine or its process was lost: {type(error).__name__}: {text}"
    return found


def _lost_process(outcome: dict[str, Any]) -> ChildLostError:
    found = ChildLostError(outcome["status"])
    last = (outcome["error"].strip().splitlines() or [""])[-1]
    found.message = (
        f"a run's process on {outcome['machine']} ended with status {outcome['status']}: {last}"
    )
    return found


def _bug(text: str) -> InternalError:
    error = InternalError("a run raised what it must not")
    error.add_note(text)
    return error
