"""Downloads from a real HTTP server: checked, resumed, shared, and never half there."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gauntlet.datasets.downloads import fetch, file_md5
from gauntlet.datasets.settings import Download
from gauntlet.errors import DataError, ResourceUnavailable

CONTENT = bytes(range(256)) * 8000


class _Server(ThreadingHTTPServer):
    """Serves CONTENT; ``/broken`` stops half-way the first time, ``/whole`` knows no ranges."""

    requests: list[tuple[str, str | None]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        first = not any(path == self.path for path, _ in self.server.requests)
        self.server.requests.append((self.path, wanted))
        if self.path == "/absent":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.path != "/whole" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/broken" and first else body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def server():
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def download(server: _Server, path: str, md5: str | None = None) -> Download:
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    return Download(url=url, md5=md5 or hashlib.md5(CONTENT).hexdigest(), to="set/file.bin")


def visible(folder) -> list[str]:
    return sorted(path.name for path in (folder / "set").iterdir() if not path.name.startswith("."))


def test_a_download_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    path = fetch(download(server, "file"), tmp_path)
    assert path == tmp_path / "set" / "file.bin"
    assert path.read_bytes() == CONTENT
    fetch(download(server, "file"), tmp_path)
    assert len(server.requests) == 1
    assert visible(tmp_path) == ["file.bin"]


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    with pytest.raises(ResourceUnavailable, match="cannot be downloaded"):
        fetch(download(server, "broken"), tmp_path)
    assert visible(tmp_path) == ["file.bin.part"]
    assert fetch(download(server, "broken"), tmp_path).read_bytes() == CONTENT
    assert server.requests[1][1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(b"something else")
    assert fetch(download(server, "whole"), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_taken(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin.part").write_bytes(CONTENT)
    assert fetch(download(server, "file"), tmp_path).read_bytes() == CONTENT


def test_another_checksum_is_refused_and_nothing_is_kept(server, tmp_path):
    with pytest.raises(DataError, match=f"MD5 {hashlib.md5(CONTENT).hexdigest()} instead of {'0' * 32}"):
        fetch(download(server, "file", md5="0" * 32), tmp_path)
    assert visible(tmp_path) == []


def test_an_absent_file_and_an_absent_host_name_the_address(server, tmp_path):
    with pytest.raises(ResourceUnavailable, match=r"/absent cannot be downloaded \(HTTP Error 404"):
        fetch(download(server, "absent"), tmp_path)
    nowhere = Download(url="http://127.0.0.1:1/file", md5="0" * 32, to="set/file.bin")
    with pytest.raises(ResourceUnavailable, match=r"http://127\.0\.0\.1:1/file cannot be downloaded"):
        fetch(nowhere, tmp_path)


def test_jobs_that_want_the_same_file_fetch_it_once(server, tmp_path):
    jobs = [threading.Thread(target=fetch, args=(download(server, "file"), tmp_path)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert file_md5(tmp_path / "set" / "file.bin") == hashlib.md5(CONTENT).hexdigest()
    assert len(server.requests) == 1
