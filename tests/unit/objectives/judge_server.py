"""An OpenAI-compatible endpoint as a process of its own; the model's name says how it behaves.

    python -m tests.unit.objectives.judge_server

prints its port. It judges by comparing the two JSON fields of the prompt, so it is no oracle; ``gullible``
also obeys any line of the prompt that looks like a score, which is what an injection aims at.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIELDS = re.compile(r'^(Reference|Predicted): (".*")$', re.MULTILINE)
TEXT = re.compile(r'^Text: (".*")$', re.MULTILINE)
SCORE_LINE = re.compile(r"^\s*Score: ([01])\s*$", re.MULTILINE)
seen = {"calls": 0, "now": 0, "most": 0}
lock = threading.Lock()


def verdict(prompt: str, *, gullible: bool) -> str:
    text = TEXT.search(prompt)
    if text:  # a scorer's rubric: as many points as the text says
        return f"Score: {json.loads(text[1]).rpartition('worth ')[2][:1]}"
    obeyed = SCORE_LINE.findall(prompt) if gullible else []
    if obeyed:
        return f"Score: {obeyed[-1]}"
    fields = {name: json.loads(text) for name, text in FIELDS.findall(prompt)}
    reference, predicted = fields["Reference"].strip(), fields["Predicted"].strip()
    return f"Score: {int(bool(predicted) and reference.lower().startswith(predicted.lower()))}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every kept connection waits 40 ms for an acknowledgement

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with lock:
            seen["calls"] += 1
            seen["now"] += 1
            seen["most"] = max(seen["most"], seen["now"])
            number = seen["calls"]
        try:
            self._answer(body["model"], body["messages"][0]["content"], number)
        finally:
            with lock:
                seen["now"] -= 1

    def do_GET(self):
        self._send(200, json.dumps(seen))

    def _answer(self, model, prompt, number):
        if model == "hanging":
            time.sleep(60)
        elif model == "slow":
            time.sleep(0.2)
        elif model == "failing" or (model == "flaky" and number % 3):
            return self._send(500, "out of memory")
        elif model == "unknown":
            return self._send(404, "no such model")
        elif model == "not-json":
            return self._send(200, "<html>gateway</html>")
        elif model == "dripping":
            return self._drip()
        reply = "I would say so." if model == "chatty" else verdict(prompt, gullible=model == "gullible")
        reply = "Score: 9" if model == "boundless" else reply
        finish = "length" if model == "cut" else "stop"
        return self._send(
            200, json.dumps({"choices": [{"message": {"content": reply}, "finish_reason": finish}]})
        )

    def _send(self, status, text):
        content = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self):
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client past its deadline hangs up
            super().handle_error(request, client_address)


@contextmanager
def running() -> Iterator[int]:
    """A server in a process of its own; gives its port."""
    process = subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    os.kill(process.pid, signal.SIGTERM)
    process.wait(10)
    process.stdout.close()


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
