"""Grade all notebooks of a class, some at a time, in processes or on a cluster, and never one of them twice.

Each result is written when it is there, whole or not at all, under a name that begins with the student and ends with
the hash of all that it depends on. So a run that was stopped goes on where it was, and a notebook that has not changed
is not graded again. A process that dies costs one notebook: those that were with it are tried again, one by one.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from .mark import Job, Task, grade, record
from .openings import close_all
from .record import Record, read_record, to_json, write_whole
from .wording import file_name, one_line

AHEAD = 3  # notebooks that are read and wait, for each process


@dataclass(frozen=True)
class Crew:
    """Who does the work.

    Attributes
    ----------
    n : int
        How many notebooks are graded at the same time.
    executor : Executor, optional
        Any of `concurrent.futures`, such as that of a Dask client; by default processes of this machine.
    """

    n: int
    executor: Executor | None = None

    def open(self) -> Executor:
        """An executor that works."""
        return self.executor if self.executor is not None else processes(self.n)

    def close(self, executor: Executor, *, at_once: bool = True) -> None:
        """End it, and what it is about; what is given by others is for them to end."""
        if executor is self.executor:
            return
        if not at_once:
            executor.shutdown()
            return
        workers = list(getattr(executor, "_processes", None) or {})
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in multiprocessing.active_children():
            if worker.pid in workers:
                worker.terminate()


def processes(n: int) -> ProcessPoolExecutor:
    """Processes of this machine; started afresh, so that nothing of this one is in them."""
    return ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), initializer=_undisturbed)


def _undisturbed() -> None:
    """What a process does before anything else: Ctrl-C is for the parent, and without a parent there is no work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # closes the sandbox on its way out
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        close_all()
        os._exit(1)


def grade_all(
    jobs: Iterable[Job | Record],
    task: Task,
    folder: Path,
    crew: Crew,
    tick: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Grade all notebooks and keep the results in `folder`.

    Parameters
    ----------
    jobs : iterable of Job or Record
        Read as they are needed. A record, of a file that could not even be read, is kept as it is.
    task : Task
        What to grade them by.
    folder : Path
        Where results are, and go.
    crew : Crew
        Who does the work.
    tick : callable
        Is told of every result.

    Returns
    -------
    list of Record
        In the order of `jobs`.
    """
    results: dict[int, Record] = {}
    numbered = enumerate(jobs)
    executor: Executor | None = None
    running: dict[Future[Record], tuple[int, Job]] = {}

    def keep(number: int, result: Record) -> None:
        write_whole(place_of(folder, result), to_json(result))
        results[number] = result
        if tick is not None:
            tick(result)

    try:
        while True:
            for number, job in _unknown(numbered, task, folder, keep):
                executor = executor or crew.open()
                try:
                    running[executor.submit(grade, job, task)] = number, job
                except BrokenExecutor:
                    crew.close(executor)
                    executor = None
                    keep(number, _alone(job, task, crew))
                if len(running) >= AHEAD * crew.n:
                    break
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenExecutor) for future in done) and executor is not None:
                # Whose fault it was is not known: all of them are tried again, each by itself.
                wait(running)
                crew.close(executor)
                executor, done = None, set(running)
            for future in done:
                number, job = running.pop(future)
                trouble = future.exception()
                if isinstance(trouble, BrokenExecutor):
                    keep(number, _alone(job, task, crew))
                elif trouble is not None:
                    keep(number, _failed(job, task, trouble))
                else:
                    keep(number, future.result())
    finally:
        if executor is not None:
            crew.close(executor, at_once=bool(running))
    return [results[number] for number in sorted(results)]


def place_of(folder: Path, result: Record) -> Path:
    """Where a result is kept."""
    return folder / f"{file_name(result.student)}.{result.key}.json"


def known(job: Job, task: Task, folder: Path) -> Record | None:
    """The result of an earlier run, if there is one and it is sound; a failure is tried again."""
    key = job.key(task)
    path = folder / f"{file_name(job.student)}.{key}.json"
    if not path.is_file():
        return None
    try:
        found = read_record(path)
    except ValueError:
        return None
    if found.key != key or found.status == "failed":
        return None
    facts = {name: getattr(job, name) for name in ("student", "name", "file", "attempt", "handed_in", "said_late")}
    return dataclasses.replace(found, **facts)


def _unknown(
    numbered: Iterator[tuple[int, Job | Record]], task: Task, folder: Path, keep: Callable[[int, Record], None]
) -> Iterator[tuple[int, Job]]:
    """The jobs that are still to be done; those that are known are kept."""
    for number, job in numbered:
        result = job if isinstance(job, Record) else known(job, task, folder)
        if result is not None:
            keep(number, result)
        elif isinstance(job, Job):
            yield number, job


def _alone(job: Job, task: Task, crew: Crew) -> Record:
    """Grade one notebook in a process of its own."""
    if crew.executor is not None:  # not ours to open again
        return _failed(job, task, BrokenExecutor("the executor has broken down"))
    executor = processes(1)
    try:
        return executor.submit(grade, job, task).result()
    except BrokenExecutor:
        reason = (
            f"{job.file} ended the process that graded it, twice; the code in it did not run outside of its sandbox"
        )
        return record(job, task, "failed", reason)
    except Exception as error:
        return _failed(job, task, error)
    finally:
        crew.close(executor)


def _failed(job: Job, task: Task, error: BaseException) -> Record:
    said = one_line(f"{type(error).__name__}: {error}")
    return record(job, task, "failed", f"{job.file} could not be graded ({said})")
