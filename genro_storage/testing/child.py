"""What the suite runs in another process; reads one pickled request from its standard input.

Run as a file, so that neither the suite nor pytest is imported there.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import time
import traceback
from typing import Any

__all__ = ["main"]


def rebuild(request: dict[str, Any]) -> None:
    """Rebuild a pickled manager and node, and tell what they see."""
    storage, node = pickle.loads(request["pickled"])
    seen = (storage.get_mount_names(), node.fullpath, node.read_bytes() if node.exists else None)
    sys.stdout.buffer.write(pickle.dumps(seen))


def kill(request: dict[str, Any]) -> None:
    """For each byte of standard input: fork a writer, kill it at a random moment, answer."""
    from genro_storage import StorageManager
    from genro_storage.config import load

    load(request["mounts"])  # imports once what every writer needs; nothing is built yet
    chance = random.Random()
    while sys.stdin.buffer.read(1):
        # The writer says when it has begun, so that the moment falls among the writes.
        begun, begin = os.pipe()
        writer = os.fork()
        if writer == 0:
            _write_for_ever(StorageManager(), request, begin)
        os.close(begin)
        started = os.read(begun, 1)
        os.close(begun)
        if not started:
            raise SystemExit("the writer failed before it wrote")
        time.sleep(chance.random() * 0.02)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        sys.stdout.buffer.write(b"!")
        sys.stdout.flush()


def _write_for_ever(storage: Any, request: dict[str, Any], begin: int) -> None:
    try:
        storage.configure(request["mounts"])
        node = storage.node(request["node"])
        os.write(begin, b"!")
        while True:
            for data in request["contents"]:
                with node.open("wb") as stream:
                    for start in range(0, len(data), 65_536):
                        stream.write(data[start : start + 65_536])
    except BaseException:  # noqa: BLE001 - the copy of a process must end here, whatever happened
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def main() -> None:
    """Do what the request asks for."""
    request = pickle.load(sys.stdin.buffer)
    exec(request["setup"], {})
    {"rebuild": rebuild, "kill": kill}[request["job"]](request)


if __name__ == "__main__":
    main()
