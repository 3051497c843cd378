"""A way to an S3 server on which things go wrong: requests and replies lost, cut, doubled, changed, late.

Bytes pass as they are, so that signatures stay valid; only the reply's or request's fate is changed.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

SLOW_SECONDS = 0.4
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>Please try again.</Message></Error>"
_REFUSALS = {
    b"503 Slow Down": _ERROR % b"SlowDown",
    b"500 Internal Server Error": _ERROR % b"InternalError",
}
_PORTAL = b"<html><body>Please log in to this network</body></html>"
_ANYTHING = 4 << 20


class Fault(StrEnum):
    """What may become of one request."""

    SLOW = "slow"
    DRIP = "drip"
    LOST_REQUEST = "request lost"
    LOST_REPLY = "reply lost, connection reset"
    SLOW_DOWN = "503 SlowDown"
    INTERNAL = "500 InternalError"
    HALF_UP = "half the request's body"
    HALF_DOWN = "half the reply's body"
    SHORT = "length and body of half the reply"
    LONG = "a length beyond the reply's body"
    TWO_REPLIES = "reply given twice"
    TWO_REQUESTS = "request made twice"
    FLIPPED = "a byte of the reply flipped"
    PORTAL = "200 with a login page"


HARMLESS = frozenset({Fault.SLOW, Fault.DRIP})
"""Work comes to its end however often they happen."""
LYING = frozenset({Fault.SHORT, Fault.FLIPPED, Fault.PORTAL, Fault.TWO_REPLIES})
"""The reply looks whole; only what is known of its content tells. One given twice answers
the next request, too."""


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    target: str
    head: bytes
    body: bytes


@dataclass
class Proxy:
    """The way, and what went wrong on it."""

    upstream: tuple[str, int]
    url: str
    choose: Callable[[str, str], Fault | None] = field(default=lambda method, target: None)
    """Method and target of a request -> its fault."""
    happened: Counter[Fault] = field(default_factory=Counter)

    def once(self, fault: Fault) -> None:
        """The first request of every method and target meets a fault; later ones do not."""
        seen: set[tuple[str, str]] = set()
        lock = threading.Lock()

        def choose(method: str, target: str) -> Fault | None:
            with lock:
                new = (method, target) not in seen
                seen.add((method, target))
            return fault if new else None

        self.choose = choose

    def always(self, fault: Fault) -> None:
        """Every request meets it."""
        self.choose = lambda method, target: fault

    def now_and_then(self, faults: list[Fault], share: float, seed: int) -> None:
        """A share of all requests meets one of several."""
        rng, lock = random.Random(seed), threading.Lock()

        def choose(method: str, target: str) -> Fault | None:
            with lock:
                return rng.choice(faults) if rng.random() < share else None

        self.choose = choose

    def never(self) -> None:
        """Nothing goes wrong from now on."""
        self.choose = lambda method, target: None


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """A proxy before a server, on a free port of this machine, for the length of a block."""
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    assert parts.port
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    proxy = Proxy((parts.hostname, parts.port), f"http://127.0.0.1:{listener.getsockname()[1]}")
    open_now: set[socket.socket] = set()

    def serve(client: socket.socket) -> None:
        try:
            with client, suppress(OSError):
                while _exchange(proxy, client):
                    pass
        finally:
            open_now.discard(client)

    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed at the end of the block
                return
            open_now.add(client)
            threads.append(threading.Thread(target=serve, args=(client,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for client in list(open_now):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


def _exchange(proxy: Proxy, client: socket.socket) -> bool:
    """One request and its reply; whether the connection stays."""
    request = _read_request(client)
    if request is None:
        return False
    fault = proxy.choose(request.method, request.target)
    if fault is not None:
        proxy.happened[fault] += 1
    if fault == Fault.SLOW:
        time.sleep(SLOW_SECONDS)
    if fault == Fault.LOST_REQUEST:
        return False
    if fault in (Fault.SLOW_DOWN, Fault.INTERNAL):
        status = next(each for each in _REFUSALS if each.startswith(fault.value[:3].encode()))
        client.sendall(_reply(status, b"" if request.method == "HEAD" else _REFUSALS[status]))
        return True
    if fault == Fault.HALF_UP and len(request.body) > 1:
        _ask(proxy.upstream, request, request.body[: len(request.body) // 2])
        _reset(client)
        return False
    reply = _ask(proxy.upstream, request, request.body)
    if fault == Fault.TWO_REQUESTS:
        reply = _ask(proxy.upstream, request, request.body)
    return _give(client, request, reply, fault)


def _give(client: socket.socket, request: Request, reply: bytes, fault: Fault | None) -> bool:
    """Hand a reply on, or what becomes of it."""
    head, _, body = reply.partition(b"\r\n\r\n")
    ok = head.split(b" ", 2)[1].startswith(b"2")
    bodied = ok and request.method != "HEAD" and len(body) > 1
    if fault in (Fault.LOST_REPLY, Fault.HALF_UP):
        _reset(client)
        return False
    if fault == Fault.PORTAL:
        reply = _reply(b"200 OK", b"" if request.method == "HEAD" else _PORTAL)
    elif fault == Fault.TWO_REPLIES:
        reply += reply
    elif bodied and fault == Fault.DRIP:
        size = max(1, len(reply) // 8)
        for start in range(0, len(reply), size):
            client.sendall(reply[start : start + size])
            time.sleep(SLOW_SECONDS / 8)
        return True
    elif bodied and fault in _CHANGED:
        length, changed, stays = _CHANGED[fault](body)
        client.sendall(_plain(head, length) + changed)
        return stays
    client.sendall(reply)
    return True


_CHANGED: dict[Fault, Callable[[bytes], tuple[int, bytes, bool]]] = {
    Fault.HALF_DOWN: lambda body: (len(body), body[: len(body) // 2], False),
    Fault.LONG: lambda body: (len(body) + 10, body, False),
    Fault.SHORT: lambda body: (len(body) // 2, body[: len(body) // 2], True),
    Fault.FLIPPED: lambda body: (len(body), bytes([body[0] ^ 1]) + body[1:], True),
}
"""A reply's body -> the length that is told, what is sent, and whether the connection stays."""


def _reset(client: socket.socket) -> None:
    """End a connection with RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _reply(status: bytes, body: bytes) -> bytes:
    kind = b"text/html" if body == _PORTAL else b"application/xml"
    length = str(len(body)).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n%s" % (status, kind, length, body)


def _plain(head: bytes, length: int) -> bytes:
    """A reply's head with another length, ready for its body."""
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*kept, b"Content-Length: %d" % length]) + b"\r\n\r\n"


def _read_request(client: socket.socket) -> Request | None:
    head, rest = _until_head(client)
    if not head:
        return None
    lines = head.split(b"\r\n")
    method, target, _ = lines[0].decode("latin-1").split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
    }
    if headers.get(b"expect", b"").lower() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = _until(client, rest, lambda got: got.endswith(b"0\r\n\r\n"))
    else:
        length = int(headers.get(b"content-length", b"0"))
        body = _until(client, rest, lambda got: len(got) >= length)
    kept = [line for line in lines if line.split(b":")[0].lower() not in (b"connection", b"expect")]
    return Request(method, target, b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n", body)


def _until_head(client: socket.socket) -> tuple[bytes, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = client.recv(_ANYTHING)
        if not chunk:
            return b"", b""
        got += chunk
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _until(client: socket.socket, got: bytes, whole: Callable[[bytearray], bool]) -> bytes:
    body = bytearray(got)
    while not whole(body):
        chunk = client.recv(_ANYTHING)
        if not chunk:
            raise ConnectionResetError("the client went away in the middle of a request")
        body += chunk
    return bytes(body)


def _ask(upstream: tuple[str, int], request: Request, body: bytes) -> bytes:
    """The server's reply to a request with a body; empty where it got half of one."""
    with socket.create_connection(upstream, timeout=60) as server:
        server.sendall(request.head + body)
        if len(body) < len(request.body):
            server.shutdown(socket.SHUT_WR)
        got = bytearray()
        with suppress(ConnectionResetError):
            while chunk := server.recv(_ANYTHING):
                got += chunk
    head, _, rest = bytes(got).partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(kept) + b"\r\n\r\n" + rest
