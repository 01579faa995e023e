"""The pools of the standard library carry plans out: threads here, and processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from genro_storage import StorageManager
from genro_storage.exceptions import StorageIOError, StorageNotDirectoryError, StorageValueError
from genro_storage.transfer import StorageTransferError
from genro_storage.transfer.execution.pools import PooledExecutor, ShardedExecutor, executor_of
from tests.support.sharing import make_home

MOUNTS = """
- {name: src, type: local, path: src}
- {name: dst, type: local, path: dst}
"""


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path, MOUNTS, files=200, directories=5)


@pytest.fixture
def storage(home):
    storage = StorageManager()
    storage.configure(home / "mounts.yaml")
    return storage


def tree(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


# -- threads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["dst:", "memory:t"])
def test_a_pool_of_threads_copies_and_stays_the_callers(storage, home, target):
    storage.configure([{"name": "memory", "type": "memory"}])
    main = threading.get_ident()
    told = []
    with ThreadPoolExecutor(3, "of-the-caller") as pool:
        report = (
            storage.node("src:")
            .plan_copy(target)
            .apply(executor=pool, on_file=lambda action: told.append(threading.get_ident()))
        )
        assert pool.submit(len, "abc").result() == 3
        names = {thread.name for thread in threading.enumerate()}
    assert report.copied == len(told) == 200 and set(told) == {main}
    assert any(name.startswith("of-the-caller") for name in names)
    assert not any(name.startswith("genro-storage-copy") for name in names)
    assert storage.node("src:").check(target).ok


def test_threads_go_on_past_errors_or_stop_at_the_first(storage, home):
    (home / "dst" / "d1" / "1.txt").mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(IsADirectoryError, match=r"dst:d1/1\.txt"):
            storage.node("src:").copy_to("dst:", executor=pool)
        with pytest.raises(StorageTransferError) as caught:
            storage.node("src:").copy_to("dst:", executor=pool, on_error="collect")
    assert (caught.value.report.copied, caught.value.report.failed) == (199, 1)


def test_a_pool_of_threads_that_was_shut_down_is_an_error_and_not_a_wait(storage):
    pool = ThreadPoolExecutor(2)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        storage.node("src:").copy_to("dst:", executor=pool)


def test_work_that_somebody_cancels_is_an_error_and_not_a_wait(storage):
    class Cancelling(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.cancel()
            return future

    with Cancelling(2) as pool, pytest.raises(Exception, match="shut down during the copy"):
        storage.node("src:").copy_to("dst:", executor=pool)


def test_an_archive_is_written_by_one_thread_whatever_the_pool(storage, home):
    storage.configure([{"name": "z", "type": "zip", "file": "dst:a.zip"}])
    with ThreadPoolExecutor(3) as pool:
        storage.node("src:").copy_to("z:", executor=pool)
    assert storage.node("src:").check("z:").ok


@pytest.mark.parametrize(("concurrency", "used"), [(None, 4), (2, 2), (9, 4)])
def test_a_pool_has_as_many_threads_as_it_has(concurrency, used):
    with ThreadPoolExecutor(4) as pool:
        executor = executor_of(pool, concurrency)
        assert isinstance(executor, PooledExecutor) and executor.concurrency == used


# -- processes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.slow
def test_processes_copy_compare_and_fail_as_threads_do(storage, home, processes):
    report = storage.node("src:").plan_copy("dst:").apply(executor=processes, verify="size")
    assert (report.copied, report.verified) == (200, 200)
    assert tree(home / "dst") == tree(home / "src")
    (home / "dst" / "d2" / "2.txt").write_text("7,7,")
    report = storage.node("src:").sync("dst:", skip="hash", executor=processes)
    assert (report.copied, report.skipped) == (1, 199)
    for each in (home / "dst" / "d3").iterdir():
        each.unlink()
    (home / "dst" / "d3").rmdir()
    (home / "dst" / "d3").write_text("in the way")
    with pytest.raises(StorageNotDirectoryError, match="dst:d3"):
        storage.node("src:").copy_to("dst:", executor=processes)


@pytest.mark.slow
def test_a_pool_whose_process_was_killed_fails_what_it_had_and_says_so(storage, home):
    killed = []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pid = pool.submit(os.getpid).result()

        def kill(action):
            if not killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(StorageTransferError) as caught:
            storage.node("src:").copy_to(
                "dst:",
                executor=ShardedExecutor(pool, max_files=20, in_flight=2),
                on_file=kill,
                on_error="collect",
            )
    report = caught.value.report
    files = [each for each in report.failures if each.relpath.endswith(".txt")]
    assert killed and report.copied > 0 and files
    assert report.copied + len(files) == 200
    assert isinstance(files[0].error, StorageIOError) and "BrokenProcessPool" in str(files[0].error)
    # Run again, only what is missing goes.
    storage.node("src:").copy_to("dst:", skip="size")
    assert tree(home / "dst") == tree(home / "src")


def test_a_pool_that_forks_is_refused_with_the_fix(storage):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("nothing forks here")
    context = multiprocessing.get_context("fork")
    with (
        ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(StorageValueError, match=r"get_context\('spawn'\)"),
    ):
        storage.node("src:").copy_to("dst:", executor=pool)


def test_a_directory_that_goes_onto_one_above_it_is_copied_in_its_order_by_one(storage, home):
    (home / "src" / "d0" / "d0").mkdir()
    (home / "src" / "d0" / "d0" / "x").write_text("x")
    storage.node("src:d0").copy_to("src:", executor=_Untouched())
    assert (home / "src" / "d0" / "x").read_text() == "x"


class _Untouched(ProcessPoolExecutor):
    def __init__(self):
        """No processes."""

    def submit(self, fn, /, *args, **kwargs):
        raise AssertionError("order matters")
