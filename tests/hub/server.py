"""A hub on loopback: what the hub's client asks for, over a folder of repositories, and the faults of a real network.

The folder holds `models/OWNER/NAME/REVISION/...` and `datasets/OWNER/NAME/REVISION/...`. A large file is answered, as
by the real hub, with a redirection to a storage that knows it by its SHA-256.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import parse_qs, quote, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".model", ".parquet", ".gz")  # kept in the storage of large files
API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
STORED = re.compile(r"/storage/([0-9a-f]{64})")


@dataclass
class Fault:
    """What is answered instead, so many `times`, to requests whose method and path match a pattern.

    `status` 0: the connection breaks in the middle of the file.
    """

    pattern: str
    status: int
    headers: dict = field(default_factory=dict)
    times: float = float("inf")


class Hub:
    """A server of a folder. `requests` are (method, path, Range) of what was asked for."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.faults, self.requests, self.gated = [], [], {}
        self._lock, self._large = Lock(), {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfThisHub", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        # Another name of this machine: the client asks a hub's own redirections for the hub's headers.
        self.storage = f"http://localhost:{self._server.server_port}/storage"

    def __enter__(self):
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def place(self, repository, revision="main", kind="models"):
        """The folder of a repository at a revision, to put files into before it is asked for."""
        folder = self.folder / kind / repository / quote(revision, safe="")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def fail(self, pattern, status, times=float("inf"), **headers):
        """Answer requests whose "METHOD path" matches a pattern with a status; 0 breaks off in the middle of a file."""
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        self.faults.append(Fault(pattern, status, named, times))

    def forget(self):
        """Without faults, gates and memory of requests."""
        self.faults.clear()
        self.requests.clear()
        self.gated.clear()

    # ---- what handlers ask ----

    def fault(self, request):
        """The first fault that a request meets, which is then used up once; None if it meets none."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None

    def revisions(self, kind, repository):
        """The folder of each revision of a repository, by its name and by its commit."""
        folder = self.folder / kind / repository
        found = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            found |= dict.fromkeys((unquote(path.name), commit(path)), path)
        return found

    def large(self, path):
        """The SHA-256 of a large file, under which the storage has it; None for a small one."""
        if path.suffix not in LARGE:
            return None
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._large[digest] = path
        return digest


def commit(folder):
    """40 hexadecimal digits that stand for all files of a folder."""
    return _commit(folder, tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files(folder)))


@lru_cache(maxsize=4096)
def _commit(folder, state):
    whole = hashlib.sha1(str(folder.relative_to(folder.parents[3])).encode())
    for path, *_ in state:
        whole.update(path.relative_to(folder).as_posix().encode() + hashlib.sha1(path.read_bytes()).digest())
    return whole.hexdigest()


def files(folder):
    """All files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def blob(path):
    """Git's name of a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path)
        with self.hub._lock:
            self.hub.requests.append((self.command, path.path, self.headers.get("Range")))
        fault = self.hub.fault(f"{self.command} {path.path}")
        self.breaks_off = fault is not None and fault.status == 0
        if fault and fault.status:
            return self._send(fault.status, b"no", fault.headers)
        if match := API.fullmatch(path.path):
            kind, repository, what, revision, inside = match.groups()
            return self._api(kind, repository, what, unquote(revision or "main"), unquote(inside or ""), path, body)
        if match := FILE.fullmatch(path.path):
            datasets, repository, revision, name = match.groups()
            return self._file("datasets" if datasets else "models", repository, unquote(revision), unquote(name))
        if (match := STORED.fullmatch(path.path)) and match[1] in self.hub._large:
            return self._content(self.hub._large[match[1]], {"ETag": f'"{match[1]}"'})
        return self._refuse(404, "EntryNotFound")

    def _folder(self, kind, repository, revision):
        """The folder of a revision; None, after the refusal, if there is none."""
        known = self.hub.revisions(kind, repository)
        if revision in known:
            return known[revision]
        self._refuse(*((404, "RevisionNotFound") if known else (404, "RepoNotFound")))
        return None

    def _api(self, kind, repository, what, revision, inside, url, body):
        if not (folder := self._folder(kind, repository, revision)):
            return None
        if what == "tree":
            if not (folder / inside).is_dir():
                return self._refuse(404, "EntryNotFound")
            recursive = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
            shown = (folder / inside).rglob("*") if recursive else (folder / inside).iterdir()
            self._json([self._about(folder, path) for path in sorted(shown)])
        elif what == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            self._json([self._about(folder, folder / name) for name in wanted if (folder / name).is_file()])
        else:
            siblings = [{"rfilename": path.relative_to(folder).as_posix()} for path in files(folder)]
            facts = {"id": repository, "sha": commit(folder), "siblings": siblings, "private": False, "tags": []}
            self._json(facts | {"gated": "manual" if repository in self.hub.gated else False, "downloads": 0})
        return None

    def _about(self, folder, path):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            return {"type": "directory", "path": name, "size": 0, "oid": hashlib.sha1(name.encode()).hexdigest()}
        about = {"type": "file", "path": name, "size": path.stat().st_size}
        if digest := self.hub.large(path):
            about["lfs"] = {"oid": digest, "size": path.stat().st_size, "pointerSize": 134}
        return about | {"oid": blob(path)}

    def _file(self, kind, repository, revision, name):
        if not (folder := self._folder(kind, repository, revision)):
            return None
        if repository in self.hub.gated:
            return self._refuse(self.hub.gated[repository], "GatedRepo")
        if not (path := folder / name).is_file():
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit(folder)})
        headers = {"X-Repo-Commit": commit(folder)}
        if digest := self.hub.large(path):
            linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(path.stat().st_size)}
            return self._send(302, b"", headers | linked | {"Location": f"{self.hub.storage}/{digest}"})
        return self._content(path, headers | {"ETag": f'"{blob(path)}"'})

    def _content(self, path, headers):
        content = path.read_bytes()
        headers = headers | {"Accept-Ranges": "bytes"}
        status, start, end = 200, 0, len(content)
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            status, start, end = 206, int(asked[1]), min(int(asked[2] or len(content) - 1) + 1, len(content))
            if start >= len(content):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        part = content[start:end]
        if self.breaks_off:
            self._head(status, headers, len(part))
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
            return None
        return self._send(status, part, headers)

    def _json(self, content):
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status, code, headers=()):
        self._send(status, b"", dict(headers) | {"X-Error-Code": code, "X-Error-Message": f"{code} on this hub"})

    def _send(self, status, content, headers):
        self._head(status, headers, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status, headers, length):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
