"""A stand-in of the Hugging Face hub: what of its HTTP API publishing and fetching a model asks.

One thread serves it on loopback; models live in memory, each with its commits. Files of the suffix
.safetensors go by LFS, as on the hub.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(ThreadingHTTPServer):
    """Models by name: a list of commits, each a number and its files by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        history = self.models[name]
        number = hashlib.sha1(f"{name}{len(history)}".encode()).hexdigest()
        history.append((number, files))
        return number

    def at(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        history = self.models.get(name) or []
        if revision == "main":
            return history[-1] if history else None
        return next((each for each in history if each[0] == revision), None)


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(\w+))?", path):
            known = self.server.at(found[1], found[2] or "main")
            if known is None:
                return self.missing()
            files = [{"rfilename": name} for name in known[1]]
            return self.answer({"id": found[1], "sha": known[0], "siblings": files})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(\w+)/?", path):
            known = self.server.at(found[1], found[2])
            if known is None:
                return self.missing()
            return self.answer([entry(name, content) for name, content in known[1].items()])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path):
            known = self.server.at(found[1], found[2])
            if known is None or found[3] not in known[1]:
                return self.missing()
            content = known[1][found[3]]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self.send(200, content, {"ETag": etag, "X-Repo-Commit": known[0]})
        return self.missing()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"POST {path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            return self.send(403, b'{"error": "no right to write here"}', {})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
            if name in self.server.models:
                return self.send(409, json.dumps({"url": f"{self.server.url}/{name}"}).encode(), {})
            self.server.models[name] = []
            self.server.private[name] = asked.get("private") or asked.get("visibility") == "private"
            self.server.commit(name, {})
            return self.answer({"url": f"{self.server.url}/{name}"})
        if path == "/api/validate-yaml":
            return self.answer({"warnings": [], "errors": []})
        if re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/main", path):
            names = [each["path"] for each in json.loads(body)["files"]]
            modes = {True: "lfs", False: "regular"}
            files = [
                {"path": n, "uploadMode": modes[n.endswith(".safetensors")], "shouldIgnore": False}
                for n in names
            ]
            return self.answer({"files": files})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [self.upload_of(each) for each in json.loads(body)["objects"]]
            return self.answer({"transfer": "basic", "objects": objects})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            return self.committed(found[1], [json.loads(line) for line in body.splitlines()])
        return self.missing()

    def upload_of(self, asked: dict) -> dict:
        actions = {"upload": {"href": f"{self.server.url}/upload/{asked['oid']}"}}
        return {"oid": asked["oid"], "size": asked["size"], "actions": actions}

    def do_PUT(self) -> None:
        content = self.uploaded()
        assert hashlib.sha256(content).hexdigest() == self.path.rpartition("/")[2]
        self.server.objects[self.path.rpartition("/")[2]] = content
        self.send(200, b"", {})

    def uploaded(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []  # sent in chunks, each after its length
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def committed(self, name: str, lines: list[dict]) -> None:
        files = dict(self.server.models[name][-1][1])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        number = self.server.commit(name, files)
        url = f"{self.server.url}/{name}/commit/{number}"
        self.answer({"success": True, "commitUrl": url, "commitOid": number})

    def missing(self) -> None:
        self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, value: object) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def entry(name: str, content: bytes) -> dict:
    oid = hashlib.sha1(content).hexdigest()
    found: dict = {"type": "file", "path": name, "size": len(content), "oid": oid}
    if name.endswith(".safetensors"):
        found["lfs"] = {
            "oid": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "pointerSize": 130,
        }
    return found


@contextlib.contextmanager
def served() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
