"""Two fits on a cluster of two worker processes, each of which loses a worker on the way.

Run by test_big_data.py in a process of its own, for a cluster starts processes that import the main module again:

    python lose_a_worker.py FOLDER

FOLDER holds X.npy; there the fitted parameters, and what happened to the workers, are left as `outcome.npz`.
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


def lose_it_inside_an_e_step(folder):
    """Chunks are read for every pass; in the fifth E-step one reader dies."""
    fitted = PoissonMixture(2, **START).fit(table(folder, "read", LAST_READ))
    readers = readers_of(folder, "read", FATAL)
    return {
        "read_rates": fitted.rates_,
        "read_iterations": fitted.n_iter_,
        "read_killed": readers[LAST_READ - 1],
        "read_later": readers[LAST_READ:],
    }


def lose_it_between_iterations(folder, client):
    """Chunks are held by the workers; between two iterations one of them dies with its half."""
    from distributed import wait

    X = table(folder, "held").persist()
    wait(X)
    before = [len(readers_of(folder, "held", chunk)) for chunk in range(CHUNKS)]
    pids = client.run(os.getpid)
    victim = next(worker for worker, keys in client.has_what().items() if any("read" in str(key) for key in keys))

    def kill(step):
        if step.n_iter == 3:
            os.kill(pids[victim], signal.SIGKILL)

    seen = survey(X)
    start = MixtureParams(np.array(START["weights_init"]), families.PoissonParams(np.array(START["rates_init"])))
    chunks = lay_out(X, np.zeros(2), seen)
    fit = em.fit(Mixture(families.Poisson()), chunks, start, tol=START["tol"], callback=kill)
    after = [len(readers_of(folder, "held", chunk)) for chunk in range(CHUNKS)]
    return {
        "held_rates": fit.params.components.rates,
        "held_iterations": fit.n_iter,
        "held_killed": pids[victim],
        "held_before": before,
        "held_after": after,
    }


def main(folder):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=folder) as cluster,
        Client(cluster) as client,
    ):
        outcome = lose_it_inside_an_e_step(folder)
        client.wait_for_workers(2)
        outcome |= lose_it_between_iterations(folder, client)
    np.savez(folder / "outcome.npz", client=os.getpid(), **outcome)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
