"""A fit on a cluster of two worker processes that loses one of them on the way.

Run by test_big_data.py in a process of its own, for a cluster starts processes that import the main module again:

    python lose_a_worker.py FOLDER inside      # a worker dies in the middle of an E-step
    python lose_a_worker.py FOLDER between     # between two iterations, with the chunks that it held

FOLDER holds X.npy; there the fitted parameters, and what happened to the worker, are left as `outcome.npz`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from emlib import PoissonMixture
from emlib.engine import em, families
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.models.tables import lay_out, survey

CHUNKS, FATAL, LAST_READ = 8, 5, 6  # the chunk whose sixth reader dies of it
START = {"weights_init": [0.3, 0.7], "rates_init": [[1.0, 1.0], [5.0, 4.0]], "tol": 1e-5}


def read(folder, name, fatal_read, block_info=None):
    """A chunk from the file; keeps a list of who has read it, and dies at the time named."""
    (start, stop), _ = block_info[None]["array-location"]
    chunk = block_info[None]["chunk-location"][0]
    with open(folder / f"{name}-{chunk}", "a") as readers:
        readers.write(f"{os.getpid()}\n")
    if chunk == FATAL and len(readers_of(folder, name, chunk)) == fatal_read:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.load(folder / "X.npy", mmap_mode="r")[start:stop].copy()


def readers_of(folder, name, chunk):
    return [int(pid) for pid in (folder / f"{name}-{chunk}").read_text().split()]


def table(folder, name, fatal_read=None):
    import dask.array as da

    n, d = np.load(folder / "X.npy", mmap_mode="r").shape
    chunks = ((n // CHUNKS,) * CHUNKS, (d,))
    return da.map_blocks(read, folder, name, fatal_read, chunks=chunks, dtype=float, meta=np.empty((0, 0)))


def lose_it_inside_an_e_step(folder, client):
    """Chunks are read for every pass; in the fifth E-step one reader dies."""
    fitted = PoissonMixture(2, **START).fit(table(folder, "read", LAST_READ))
    readers = readers_of(folder, "read", FATAL)
    return {
        "rates": fitted.rates_,
        "iterations": fitted.n_iter_,
        "killed": readers[LAST_READ - 1],
        "later": readers[LAST_READ:],
    }


def lose_it_between_iterations(folder, client):
    """Chunks are held by the workers; after the third iteration one of them dies with its share."""
    from distributed import wait

    X = table(folder, "held").persist()
    wait(X)
    before = [len(readers_of(folder, "held", chunk)) for chunk in range(CHUNKS)]
    pids = client.run(os.getpid)
    victim = next(worker for worker, keys in client.has_what().items() if any("read" in str(key) for key in keys))

    def kill(step):
        if step.n_iter == 3:
            os.kill(pids[victim], signal.SIGKILL)

    start = MixtureParams(np.array(START["weights_init"]), families.PoissonParams(np.array(START["rates_init"])))
    chunks = lay_out(X, np.zeros(2), survey(X))
    fit = em.fit(Mixture(families.Poisson()), chunks, start, tol=START["tol"], callback=kill)
    return {
        "rates": fit.params.components.rates,
        "iterations": fit.n_iter,
        "killed": pids[victim],
        "before": before,
        "after": [len(readers_of(folder, "held", chunk)) for chunk in range(CHUNKS)],
    }


def main(folder, when):
    from distributed import Client, LocalCluster

    lose = {"inside": lose_it_inside_an_e_step, "between": lose_it_between_iterations}[when]
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=folder)
    client = Client(cluster)
    np.savez(folder / "outcome.npz", client=os.getpid(), **lose(folder, client))
    sys.stderr.flush()
    os._exit(0)  # not politely: the cluster may be busy for long with replacing the dead


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
