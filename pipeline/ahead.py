"""Work ahead in a thread: an iterator whose items are made while the consumer is busy with earlier ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(make: Callable[[], Iterator[T]], depth: int) -> Iterator[T]:
    """Yield what `make()` yields, made in a thread that is at most `depth` items ahead.

    An exception in the thread is raised here after the items before it. A consumer that stops early ends the thread
    and closes the inner iterator.
    """
    items: queue.Queue[object] = queue.Queue(maxsize=max(1, depth))
    stop = threading.Event()
    failure: list[BaseException] = []

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        inner = None
        try:
            inner = make()
            for item in inner:
                if not put(item):
                    break
        except BaseException as error:  # raised again in the consumer's thread
            failure.append(error)
        try:
            if close := getattr(inner, "close", None):
                close()
        except BaseException as error:
            failure.append(error)
        finally:
            put(_END)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stop.set()
        thread.join()
