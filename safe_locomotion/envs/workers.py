"""A map over jobs on several processes.

Each process keeps what is costly to make: a simulated robot that stands, a pipeline.

The processes are this machine's, or those of a Ray cluster.
"""

import atexit
import gc
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from safe_locomotion.errors import ConfigurationError

Job = TypeVar("Job")
Answer = TypeVar("Answer")
Map = Callable[[Iterable[Job]], Iterator[Answer]]

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

_work: Callable[[Any], Any] | None = None


@contextmanager
def workers(
    make: Callable[[], Callable[[Job], Answer]], count: int, ray: str = ""
) -> Iterator[Map[Job, Answer]]:
    """Yield a map whose answers come in the order of the jobs.

    Args:
        make: is called once in each process and returns the function that does a job. Jobs and
            answers must be picklable, and so must `make`.
        count: of processes, with one thread each; 1 means this process.
        ray: address of a Ray cluster whose machines run the processes: host:port, or `auto` for
            the cluster of this machine. They need this package installed.

    Raises:
        ConfigurationError: Ray is not installed, or no cluster answers at its address.
    """
    if ray:
        with _ray_pool(make, count, ray) as pool:
            yield lambda jobs: pool.imap(_do, jobs, chunksize=1)
        return
    if count == 1:
        alone = make()
        yield lambda jobs: map(alone, jobs)
        return
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a process imports numpy
    try:
        with ProcessPoolExecutor(
            count,
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(pickle.dumps(make),),
        ) as pool:
            yield lambda jobs: pool.map(_do, jobs)
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for name in [name for name, value in before.items() if value is None]:
            os.environ.pop(name, None)


@contextmanager
def _ray_pool(make: Callable[[], Callable[[Any], Any]], count: int, address: str) -> Iterator[Any]:
    try:
        import ray  # noqa: PLC0415 - an extra
        from ray.util.multiprocessing import Pool  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            f"--ray needs {error.name}: pip install 'safe_locomotion[ray]'"
        ) from error
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            runtime_env={"env_vars": dict.fromkeys(THREADS, "1")},
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"no Ray cluster at {address}: {error}; start one with: ray start --head"
        ) from error
    try:
        with Pool(count, initializer=_start, initargs=(pickle.dumps(make),)) as pool:
            yield pool
    finally:
        ray.shutdown()


def _start(pickled: bytes) -> None:
    """Make what this process keeps; unpickling imports it, which takes seconds with torch."""
    global _work  # noqa: PLW0603 - a process pool has no other place for what its processes keep
    gc.disable()  # imports make a million objects that stay
    make: Callable[[], Callable[[Any], Any]] = pickle.loads(pickled)
    gc.enable()
    atexit.register(gc.freeze)  # else the process ends with a search through them all
    _work = make()


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)
