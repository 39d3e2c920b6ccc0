"""A loopback server that speaks as much of the Hub's protocol as uploads and downloads of models need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_loopback"
LFS_SUFFIXES = (".safetensors",)


class File(NamedTuple):
    """A file of a commit."""

    content: bytes
    lfs: bool

    @property
    def etag(self) -> str:
        if self.lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass
class Repository:
    """Commits (their files by path), and the branches that point at them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, File], branch: str, message: str) -> str:
        self.messages.append(message)
        sha = hashlib.sha1(f"{message}{len(self.commits)}{branch}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def files(self, branch: str = "main") -> dict[str, File]:
        return self.commits[self.branches[branch]]


class Hub(ThreadingHTTPServer):
    """The server and what it holds; `requests` lists method and path of what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.lock = threading.RLock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def text(self, repo: str, path: str, branch: str = "main") -> str:
        return self.repositories[repo].files(branch)[path].content.decode()


@contextmanager
def running_hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class RefusalError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str | None = None, message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = {
    ("POST", r"/api/repos/create"): "create",
    ("POST", r"/api/validate-yaml"): "validate",
    ("GET", r"/api/whoami-v2"): "whoami",
    ("POST", rf"/api/models/{NAME}/branch/(.+)"): "branch",
    ("POST", rf"/api/models/{NAME}/preupload/([^/]+)"): "preupload",
    ("POST", rf"/api/models/{NAME}/commit/([^/]+)"): "commit",
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch"): "lfs_batch",
    ("PUT", r"/lfs/(\w+)"): "lfs_put",
    ("GET", rf"/api/models/{NAME}"): "info",
    ("GET", rf"/api/models/{NAME}/revision/([^/]+)"): "info",
    ("GET", rf"/api/models/{NAME}/tree/([^/]+)"): "tree",
    ("HEAD", rf"/{NAME}/resolve/([^/]+)/(.+)"): "resolve",
    ("GET", rf"/{NAME}/resolve/([^/]+)/(.+)"): "resolve",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            for (method, pattern), name in ROUTES.items():
                match = re.fullmatch(pattern, path)
                if match and method == self.command:
                    with self.server.lock:
                        getattr(self, name)(body, *map(unquote, match.groups()))
                    return
            raise RefusalError(404, "EntryNotFound", f"no route {path}")
        except RefusalError as refusal:
            self.refuse(refusal)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass

    # What is asked.

    def create(self, body: bytes) -> None:
        self.check_writer()
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"user/{asked['name']}"
        answer = {"url": f"{self.server.url}/{name}"}
        if name in self.server.repositories:
            return self.answer_json(answer, 409)
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        repository = self.server.repositories[name] = Repository(private)
        repository.commit({".gitattributes": File(b"*.safetensors filter=lfs\n", False)}, "main", "initial commit")
        return self.answer_json(answer)

    def validate(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        try:
            metadata = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", content, re.S)[1])
            errors = metadata_errors(metadata)
        except (TypeError, yaml.YAMLError) as error:
            errors = [str(error)]
        self.answer_json({"errors": [{"message": error} for error in errors], "warnings": []}, 400 if errors else 200)

    def whoami(self, _: bytes) -> None:
        self.check_writer()
        self.answer_json({"type": "user", "name": "user"})

    def branch(self, _: bytes, repo: str, branch: str) -> None:
        self.check_writer()
        repository = self.repository(repo)
        if branch in repository.branches:
            raise RefusalError(409, None, "Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        self.answer_json({})

    def preupload(self, body: bytes, repo: str, branch: str) -> None:
        self.check_writer()
        self.commit_of(repo, branch)
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer_json({"files": modes})

    def lfs_batch(self, body: bytes, repo: str) -> None:
        self.check_writer()
        self.repository(repo)
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}},
            }
            for one in json.loads(body)["objects"]
        ]
        self.answer_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise RefusalError(400, None, "not the announced content")
        self.server.blobs[oid] = body
        self.answer(b"")

    def commit(self, body: bytes, repo: str, branch: str) -> None:
        self.check_writer()
        _, files = self.commit_of(repo, branch)
        files, message = dict(files), ""
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif entry["key"] == "lfsFile":
                files[value["path"]] = File(self.server.blobs[value["oid"]], True)
            elif files.pop(value["path"], None) is None:
                raise RefusalError(404, "EntryNotFound", "A file with this name doesn't exist")
        sha = self.repository(repo).commit(files, branch, message)
        self.answer_json({"commitUrl": f"{self.server.url}/{repo}/commit/{sha}", "commitOid": sha})

    def info(self, _: bytes, repo: str, revision: str = "main") -> None:
        sha, files = self.commit_of(repo, revision)
        siblings = [{"rfilename": path} for path in files]
        private = self.server.repositories[repo].private
        self.answer_json(
            {"_id": repo, "id": repo, "modelId": repo, "sha": sha, "private": private, "siblings": siblings}
        )

    def tree(self, _: bytes, repo: str, revision: str) -> None:
        _, files = self.commit_of(repo, revision)
        entries = [
            {"type": "file", "path": path, "size": len(file.content), "oid": file.etag} for path, file in files.items()
        ]
        self.answer_json(entries)

    def resolve(self, _: bytes, repo: str, revision: str, path: str) -> None:
        sha, files = self.commit_of(repo, revision)
        if path not in files:
            raise RefusalError(404, "EntryNotFound", f"no {path}")
        file = files[path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{file.etag}"'}
        if file.lfs:
            headers |= {"X-Linked-ETag": f'"{file.etag}"', "X-Linked-Size": str(len(file.content))}
        self.answer(file.content, headers=headers)

    # Who asks, and for what.

    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def check_writer(self) -> None:
        if self.token() != TOKEN:
            raise RefusalError(401, None, "Invalid username or password.")

    def repository(self, repo: str) -> Repository:
        if self.token() not in (None, TOKEN):
            raise RefusalError(401, None, "Invalid credentials in Authorization header")
        repository = self.server.repositories.get(repo)
        if repository is None or (repository.private and self.token() is None):
            raise RefusalError(401 if self.token() is None else 404, "RepoNotFound", "Repository not found")
        if repository.gated and self.token() is None:
            raise RefusalError(401, "GatedRepo", "Access to this model is restricted")
        return repository

    def commit_of(self, repo: str, revision: str) -> tuple[str, dict[str, File]]:
        repository = self.repository(repo)
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repository.commits[sha]

    # What is answered.

    def answer_json(self, content: Any, status: int = 200) -> None:
        self.answer(json.dumps(content).encode(), status, {"Content-Type": "application/json"})

    def refuse(self, refusal: RefusalError) -> None:
        headers = {"X-Error-Message": refusal.message} | ({"X-Error-Code": refusal.code} if refusal.code else {})
        body = json.dumps({"error": refusal.message}).encode()
        self.answer(body, refusal.status, {**headers, "Content-Type": "application/json"})

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def metadata_errors(metadata: dict[str, Any]) -> list[str]:
    """What the Hub refuses in a card: values of wrong types, and figures without task, data set, type or value."""
    lists = {"tags", "datasets", "metrics", "base_model", "language"}
    texts = {"license", "library_name", "pipeline_tag"}
    errors = [
        f'"{name}" must be a list or a string' for name in lists if not isinstance(metadata.get(name, []), (list, str))
    ]
    errors += [f'"{name}" must be a string' for name in texts if not isinstance(metadata.get(name, ""), str)]
    for index in metadata.get("model-index", []):
        if not index.get("name"):
            errors.append('"model-index[0].name" is required')
        for result in index["results"]:
            named = result["task"].get("type") and result["dataset"].get("type") and result["dataset"].get("name")
            if not named or any("value" not in metric or "type" not in metric for metric in result["metrics"]):
                errors.append('"model-index[0].results" lacks what is required')
    return errors
