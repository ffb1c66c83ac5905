"""A checkpoint is found, fetched, and trusted only by its hash."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from pydantic import ValidationError

from gauntlet.errors import DataError, ResourceUnavailable
from gauntlet.runtime.files import file_sha256, read_json
from gauntlet.training.checkpoints import CheckpointSettings, availability, fetch

CONTENT = bytes(range(256)) * 400


def settings(**more):
    return CheckpointSettings.model_validate(
        {"file": "net.pt", "format": "torchvision", "page": "their page", **more}
    )


@pytest.fixture
def known(tmp_path):
    """The content in a file elsewhere, and its SHA-256."""
    file = tmp_path / "elsewhere"
    file.write_bytes(CONTENT)
    return file_sha256(file)


@pytest.fixture
def data_root(tmp_path):
    folder = tmp_path / "data"
    (folder / "checkpoints").mkdir(parents=True)
    return folder


def put(folder, content=CONTENT):
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "checkpoints" / "net.pt").write_bytes(content)


@pytest.fixture
def host():
    """Serves CONTENT, with ranges; remembers what was asked; breaks off after ``limit`` bytes."""

    class Handler(BaseHTTPRequestHandler):
        asked: ClassVar[list] = []
        limit = None

        def do_GET(self):
            wanted = self.headers.get("Range")
            self.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            body = CONTENT[start:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: Handler.limit])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.url = f"http://127.0.0.1:{server.server_port}/net.pt"
    yield Handler
    server.shutdown()
    server.server_close()


def test_the_data_root_goes_before_the_downloads_and_these_before_the_host(data_root, tmp_path, known, host):
    wanted = settings(sha256=known, url=host.url)
    assert not availability(wanted, data_root, tmp_path).local
    assert availability(wanted, data_root, tmp_path).hosts == ("127.0.0.1",)
    assert fetch(wanted, data_root, tmp_path, tmp_path / "lock.json") == tmp_path / "checkpoints" / "net.pt"
    assert host.asked == [None]
    put(data_root)
    assert fetch(wanted, data_root, tmp_path, tmp_path / "lock.json") == data_root / "checkpoints" / "net.pt"
    assert availability(wanted, data_root, tmp_path).local
    assert host.asked == [None]


def test_a_broken_transfer_is_continued(tmp_path, known, host):
    wanted = settings(sha256=known, url=host.url)
    host.limit = 1000
    with pytest.raises(ResourceUnavailable, match=r"net\.pt"):
        fetch(wanted, None, tmp_path, tmp_path / "lock.json")
    assert not (tmp_path / "checkpoints" / "net.pt").exists()
    host.limit = None
    assert fetch(wanted, None, tmp_path, tmp_path / "lock.json").read_bytes() == CONTENT
    assert host.asked == [None, "bytes=1000-"]


def test_the_prefix_of_a_hash_is_enough(data_root, tmp_path, known):
    put(data_root)
    assert (
        fetch(settings(sha256=known[:8]), data_root, tmp_path, tmp_path / "lock.json").read_bytes() == CONTENT
    )


def test_another_content_is_refused_wherever_it_comes_from(data_root, tmp_path, host):
    wanted = settings(sha256="0" * 64, url=host.url)
    with pytest.raises(DataError, match="SHA-256"):
        fetch(wanted, data_root, tmp_path, tmp_path / "lock.json")
    assert not list((tmp_path / "checkpoints").glob("net*"))
    put(data_root)
    with pytest.raises(DataError, match=str(data_root)):
        fetch(wanted, data_root, tmp_path, tmp_path / "lock.json")


def test_a_file_without_a_published_hash_is_accepted_once_and_no_other_after_it(data_root, tmp_path, known):
    put(data_root)
    assert availability(settings(), data_root, tmp_path).local
    for _ in range(2):
        here = fetch(settings(), data_root, tmp_path, tmp_path / "lock.json")
        assert here == data_root / "checkpoints" / "net.pt"
    assert read_json(tmp_path / "lock.json") == {"net.pt": known}
    put(data_root, b"something else")
    with pytest.raises(DataError, match=r"net\.pt has changed.*lock\.json.*the key net\.pt.*remove that key"):
        fetch(settings(), data_root, tmp_path, tmp_path / "lock.json")
    assert read_json(tmp_path / "lock.json") == {"net.pt": known}
    (tmp_path / "lock.json").unlink()
    assert fetch(settings(), data_root, tmp_path, tmp_path / "lock.json").read_bytes() == b"something else"


def test_a_file_without_a_published_hash_is_never_downloaded(tmp_path, host):
    wanted = settings(url=host.url)
    assert availability(wanted, None, tmp_path).hosts == ()
    put(tmp_path)
    with pytest.raises(ResourceUnavailable, match="save it there"):
        fetch(wanted, None, tmp_path, tmp_path / "lock.json")
    assert host.asked == []


def test_a_checkpoint_that_nobody_can_download_says_where_a_person_finds_it(data_root, tmp_path, known):
    for asked in (settings(sha256=known), settings()):
        assert "their page" in availability(asked, data_root, tmp_path).reason
        with pytest.raises(ResourceUnavailable, match="their page"):
            fetch(asked, data_root, tmp_path, tmp_path / "lock.json")


def test_an_unreachable_host_is_a_message(tmp_path, known):
    with pytest.raises(ResourceUnavailable, match=r"127\.0\.0\.1:9/"):
        fetch(settings(sha256=known, url="http://127.0.0.1:9/net.pt"), None, tmp_path, tmp_path / "lock.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": None},
        {"file": "../net.pt"},
        {"sha256": "0676"},
        {"sha256": "XYZ"},
        {"format": "other"},
        {"url": "ftp://x"},
    ],
)
def test_unusable_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_a_file_lies_in_the_folders_of_its_archive_and_is_remembered_with_them(data_root, tmp_path, known):
    for folder in ("noise_0.12", "noise 0.25"):
        file = data_root / "checkpoints" / "models" / folder / "checkpoint.pth.tar"
        file.parent.mkdir(parents=True)
        file.write_bytes(CONTENT)
        wanted = settings(file=f"models/{folder}/checkpoint.pth.tar")
        assert fetch(wanted, data_root, tmp_path, tmp_path / "lock.json") == file
    assert read_json(tmp_path / "lock.json") == {
        "models/noise 0.25/checkpoint.pth.tar": known,
        "models/noise_0.12/checkpoint.pth.tar": known,
    }


@pytest.mark.parametrize("file", ["/etc/passwd", "../net.pt", "models/../../net.pt", "", "C:\\net.pt"])
def test_a_file_outside_the_folder_of_checkpoints_is_refused(file):
    with pytest.raises(ValidationError, match="below the folder checkpoints"):
        settings(file=file)


def test_a_damaged_list_of_accepted_hashes_is_named(data_root, tmp_path):
    (data_root / "checkpoints").mkdir(exist_ok=True)
    (data_root / "checkpoints" / "net.pt").write_bytes(CONTENT)
    for content in ("{", "[1]"):
        (tmp_path / "lock.json").write_text(content)
        with pytest.raises(DataError, match=r"lock\.json is damaged"):
            fetch(settings(), data_root, tmp_path, tmp_path / "lock.json")
