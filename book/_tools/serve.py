"""Serve a folder on this machine only, and say where.

python book/_tools/serve.py --port 8000 _build/html
"""

import argparse
import functools
import gzip
import io
import os
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TEXT = {".css", ".html", ".js", ".json", ".map", ".svg", ".txt", ".wasm", ".xml"}


@functools.lru_cache(maxsize=256)
def compressed(path: str, changed: int) -> bytes:
    """A file as static hosts send it; `changed` is the time of its last change, for a newer file is read again."""
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files as static hosts do (compressed, one connection for many), without a line per request, and without
    letting the browser keep stale pages.
    """

    protocol_version = "HTTP/1.1"

    def send_head(self):
        """Send the file compressed where that helps and the browser asked for it."""
        path = Path(self.translate_path(self.path))
        gzips = "gzip" in self.headers.get("Accept-Encoding", "")
        if not gzips or path.suffix not in TEXT or not path.is_file() or "Range" in self.headers:
            return super().send_head()
        body = compressed(str(path), path.stat().st_mtime_ns)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Vary", "Accept-Encoding")
        self.end_headers()
        return io.BytesIO(body)

    def end_headers(self) -> None:
        """Ask the browser to check for a newer page each time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *arguments) -> None:
        """Say nothing."""


class LocalServer(ThreadingHTTPServer):
    """A server on 127.0.0.1 that refuses a port which is already taken, on every system."""

    allow_reuse_address = os.name != "nt"  # on Windows "reuse" would let two servers share one port

    def handle_error(self, request, client_address) -> None:
        """A browser that closes a connection early is no news."""


def open_server(folder: Path, port: int) -> LocalServer:
    """Return a server of `folder`, ready to run; port 0 takes any free one."""
    return LocalServer(("127.0.0.1", port), functools.partial(QuietHandler, directory=str(folder)))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Serve a folder on 127.0.0.1.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").is_file():
        print(f"There is no site in {options.folder}: build it with `make book SERVE=0`.", file=sys.stderr)
        return 1
    try:
        server = open_server(options.folder, options.port)
    except (OSError, OverflowError) as error:
        print(f"Port {options.port} cannot be used ({error}); try: make book PORT={options.port + 1}", file=sys.stderr)
        return 1
    print(f"The book is at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C stops it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
