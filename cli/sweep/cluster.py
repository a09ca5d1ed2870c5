"""Workers of Dask: processes of this machine, or a cluster that is running."""

import contextlib
import logging

import dask
from distributed import Client, LocalCluster
from distributed.utils import silence_logging_cmgr

from ...hw.spec.errors import InputError

__all__ = ["local_client", "remote_client"]

_SETTINGS = {
    # A worker holds next to no results, so that there is nothing to write out, and a pause would last for ever.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # Memory that is given back after every tensor is brought in again, page by page: a third of all time.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 30,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 1 << 30,
    "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 1,
    "distributed.nanny.pre-spawn-environ.MKL_NUM_THREADS": 1,
    "distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": 1,
}


@contextlib.contextmanager
def local_client(workers):
    """A Client of worker processes on this machine, each with one thread; one that dies is started again."""
    with dask.config.set(_SETTINGS), \
            LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                         dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL) as cluster, \
            Client(cluster) as client:
        yield client


@contextlib.contextmanager
def remote_client(address, *, timeout=10):
    """A Client of the scheduler at an address, such as ``tcp://host:8786``.

    Raises
    ------
    InputError : there is none
    """
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(address, timeout=timeout)
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler {address}: there is no scheduler of Dask ({type(error).__name__}); start one with "
                             "dask scheduler, or leave the option out") from None
        with client:
            yield client
