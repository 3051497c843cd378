"""A member of a 7z archive as a stream: py7zr unpacks it in a thread, a few pieces ahead of the reader.

py7zr hands out bytes by calling a writer, in pieces of at most 128 MB, while readers here ask for them; so a
writer waits at a short queue. Nothing is written to the disk.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

from rpt_core.corpus.files.streams import CHUNK, BrokenInput
from rpt_core.errors import RecipeError, brief

MAGIC = b"7z\xbc\xaf\x27\x1c"
_PIECES_AHEAD = 4
_WAIT_SECONDS = 0.2
"""After which a writer looks whether its reader has gone."""


def member_chunks(path: Path, file_name: str) -> Iterator[bytes]:
    """The content of the first member that is called ``file_name``, in whatever folder and letters.

    Raises:
        Broken: there is no such member, or the archive cannot be unpacked; what came before was yielded.
        RecipeError: py7zr is not installed.
    """
    try:
        import py7zr
    except ImportError:
        raise RecipeError(
            f"{path.name} is a 7z archive, and py7zr, which unpacks it, is not installed: "
            "pip install -e '.[7z]', or unpack the archive yourself."
        ) from None
    queue: Queue[bytes | BrokenInput | None] = Queue(_PIECES_AHEAD)
    gone = Event()

    def put(piece: bytes | BrokenInput | None) -> None:
        while not gone.is_set():
            try:
                return queue.put(piece, timeout=_WAIT_SECONDS)
            except Full:
                continue
        raise InterruptedError("nobody reads on")

    def unpack() -> None:
        try:
            with py7zr.SevenZipFile(path) as archive:
                found = [name for name in archive.getnames() if name.lower().split("/")[-1] == file_name]
                if not found:
                    raise BrokenInput("unrecognised-format", f"the archive holds no {file_name}")
                archive.extract(targets=found[:1], factory=_factory(py7zr, put))
            put(None)
        except BrokenInput as broken:
            put(broken)
        except InterruptedError:
            return
        except Exception as error:  # noqa: BLE001  (whatever py7zr makes of wrong bytes is the archive's fault)
            put(BrokenInput("broken-archive", brief(error)))

    Thread(target=unpack, daemon=True).start()
    try:
        while (piece := queue.get()) is not None:
            if isinstance(piece, BrokenInput):
                raise piece
            yield piece
    finally:
        gone.set()


def _factory(py7zr: Any, put: Callable[[bytes], None]) -> Any:
    """What py7zr asks for a file to write a member to; here one that passes its bytes on."""

    class Passing(py7zr.Py7zIO):
        written = 0

        def write(self, data: bytes) -> int:
            for start in range(0, len(data), CHUNK):
                put(bytes(data[start : start + CHUNK]))
            self.written += len(data)
            return len(data)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def flush(self) -> None: ...

        def size(self) -> int:
            return self.written

    class Factory(py7zr.WriterFactory):
        def create(self, filename: str) -> Passing:
            return Passing()

    return Factory()
