"""On a real cluster of processes: a worker dies in the middle, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import warnings

import pytest

from genro_storage import StorageManager
from genro_storage.transfer import ShardedExecutor

#: Set it to 20000 for the full measure; the way is the same.
FILES = int(os.environ.get("GENRO_STORAGE_TEST_SHARDED_FILES", "1500"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.timeout(max(300, FILES // 10)),
]


@pytest.fixture(scope="module")
def client():
    """Four worker processes on this machine, each of one thread."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        # On a machine without a network it cannot tell its own address, and says so.
        warnings.filterwarnings("ignore", "Couldn't detect a suitable IP address", RuntimeWarning)
        with (
            distributed.LocalCluster(
                n_workers=4,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@pytest.fixture
def home(tmp_path):
    for number in range(FILES):
        directory = tmp_path / "src" / f"{number % 50:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}.txt").write_text(f"{number}," * (number % 100))
    (tmp_path / "dst").mkdir()
    return tmp_path


def configured(home, target):
    path = home / "mounts.yaml"
    path.write_text(f"- {{name: src, type: local, path: src}}\n- {target}\n")
    storage = StorageManager()
    storage.configure(path)
    return storage


def copy_and_kill_one(client, storage):
    """The report, and how often each file was told, with one worker killed half way."""
    pid = next(iter(client.run(os.getpid).values()))
    told = []

    def kill(action):
        told.append(action.relpath)
        if len(told) == FILES // 2:
            os.kill(pid, signal.SIGKILL)

    executor = ShardedExecutor(client.get_executor(), max_files=FILES // 20)
    report = storage.node("src:").plan_copy("dst:tree").apply(executor=executor, on_file=kill)
    return report, told


def require_all(home, report, told):
    sizes = [path.stat().st_size for path in (home / "src").rglob("*.txt")]
    assert (report.copied, report.failed, report.bytes_copied) == (FILES, 0, sum(sizes))
    assert len(told) == len(set(told)) == FILES


def test_a_killed_worker_leaves_the_trees_the_same(client, home):
    storage = configured(home, "{name: dst, type: local, path: dst}")
    require_all(home, *copy_and_kill_one(client, storage))
    stray = {path.name for path in (home / "dst").rglob("*")} - {
        path.name for path in (home / "src").rglob("*")
    }
    assert stray == {"tree"}
    assert storage.node("src:").check("dst:tree").ok
    report = storage.node("src:").sync("dst:tree", skip="hash", executor=client.get_executor())
    assert (report.copied, report.skipped) == (0, FILES)


def test_a_killed_worker_leaves_a_bucket_the_same_and_no_key_travels(
    client, home, moto_server, monkeypatch
):
    mount = moto_server.mount(name="dst", key="KEYOFTHEFILE", secret="SECRETOFTHEFILE")
    storage = configured(home, "{" + ", ".join(f"{k}: '{v}'" for k, v in mount.items()) + "}")
    sent = []
    submit = client.submit

    def keeping(function, data, **options):
        sent.append(data)
        return submit(function, data, **options)

    monkeypatch.setattr(client, "submit", keeping)
    require_all(home, *copy_and_kill_one(client, storage))
    assert storage.node("src:").check("dst:tree").ok
    # Times are kept with the objects and in no listing: the workers ask.
    report = storage.node("src:").sync("dst:tree", skip="mtime", executor=client.get_executor())
    assert (report.copied, report.skipped) == (0, FILES)
    assert len(sent) > 4
    assert not any(b"KEYOFTHEFILE" in data or b"SECRETOFTHEFILE" in data for data in sent)
