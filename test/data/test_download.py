# Copyright 2026 The hasrd authors
# Apache-2.0
"""Downloads from a server on this machine that cuts off, lies and knows ranges."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hasrd.data import download as module
from hasrd.data.corpora import librispeech
from hasrd.data.download import Download, download, download_all, published_md5
from hasrd.data.unpack import unpack_tar
from hasrd.errors import UserError
from hasrd.jobs.digest import file_hash

CONTENT = np.random.default_rng(0).bytes(3_000_001)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; ends each answer after `limit` bytes; knows ranges unless told not to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.limit: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.server.asked.append(self.headers.get("Range"))
        start = int(match.group(1)) if match and self.server.ranges else 0
        if start >= len(content) > 0 and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = len(content) if self.server.limit is None else start + self.server.limit
        try:
            self.wfile.write(content[start:stop])
        except ConnectionError:
            pass

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_comes_whole_and_checked(tmp_path: Path, server: Server):
    server.files["a"] = CONTENT
    download(server.url("a"), tmp_path / "sub" / "a", MD5)
    assert (tmp_path / "sub" / "a").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a"]
    assert file_hash(tmp_path / "sub" / "a", "md5") == MD5


def test_an_interrupted_transfer_goes_on_where_it_was(tmp_path: Path, server: Server):
    server.files["a"] = CONTENT
    server.limit = 1_200_000
    for _ in range(2):
        with pytest.raises(UserError, match="cannot be downloaded .*run the same command again"):
            download(server.url("a"), tmp_path / "a", MD5)
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").read_bytes() == CONTENT[:2_400_000]
    download(server.url("a"), tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1200000-", "bytes=2400000-"]


def test_a_server_without_ranges_starts_again(tmp_path: Path, server: Server):
    server.files["a"], server.ranges = CONTENT, False
    (tmp_path / "a.part").write_bytes(b"from another server")
    download(server.url("a"), tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"too long"])
def test_a_part_that_is_whole_or_too_long(tmp_path: Path, server: Server, part: bytes):
    server.files["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(part)
    download(server.url("a"), tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_checksum_removes_the_file(tmp_path: Path, server: Server):
    server.files["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"differs from its published MD5 {MD5}"):
        download(server.url("a"), tmp_path / "a", MD5)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_one_line(tmp_path: Path, server: Server):
    with pytest.raises(UserError, match="cannot be downloaded .*Not Found.*check the network") as caught:
        download(server.url("nothing"), tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_no_network_is_one_line(tmp_path: Path, server: Server):
    url = server.url("a")
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="cannot be downloaded .*set LIBRISPEECH"):
        download(url, tmp_path / "a")


def test_too_little_disk_space_is_said_before(tmp_path: Path, server: Server, monkeypatch):
    server.files["a"] = CONTENT
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match="GB are needed"):
        download_all([Download(server.url("a"), tmp_path / "a", MD5)])
    assert not list(tmp_path.iterdir())


def test_files_that_are_there_are_not_asked_for(tmp_path: Path, server: Server):
    (tmp_path / "a").write_bytes(b"here")
    download_all([Download(server.url("a"), tmp_path / "a", MD5)])
    assert not server.asked


def test_published_checksums(server: Server):
    server.files["md5sum.txt"] = f"{MD5}  a.tar.gz\n{MD5.upper()} *dir/b.tar.gz\n\nodd line here\n".encode()
    assert published_md5(server.url("md5sum.txt")) == {"a.tar.gz": MD5, "b.tar.gz": MD5}
    server.files["md5sum.txt"] = b"<html>moved</html>"
    with pytest.raises(UserError, match="no checksums"):
        published_md5(server.url("md5sum.txt"))


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_part_is_downloaded_unpacked_and_then_left_alone(tmp_path: Path, server: Server, monkeypatch):
    archive = tar_gz({"LibriSpeech/README": b"x", "LibriSpeech/dev-clean-2/1/2/1-2.trans.txt": b"1-2-0 A\n"})
    server.files["dev-clean-2.tar.gz"] = archive
    server.files["md5sum.txt"] = f"{hashlib.md5(archive).hexdigest()}  dev-clean-2.tar.gz\n".encode()
    monkeypatch.setitem(librispeech.HOMES, "mini_librispeech", server.url("").rstrip("/"))
    arguments = ("", ["dev-clean-2"], tmp_path / "downloads", "mini_librispeech")
    root = librispeech.root_or_download(*arguments)
    assert (root / "dev-clean-2/1/2/1-2.trans.txt").read_text() == "1-2-0 A\n"
    asked = len(server.asked)
    assert librispeech.root_or_download(*arguments) == root
    assert len(server.asked) == asked
    assert sorted(path.name for path in root.iterdir()) == ["dev-clean-2"]


@pytest.mark.parametrize(
    "content",
    [b"no archive", tar_gz({"Other/a": b"x" * 5000})[:-20], tar_gz({"Other/a": b"x"})],
    # gzip notes the time: names made of the bytes would differ between processes.
    ids=["no-archive", "cut-off", "other-folder"],
)
def test_a_damaged_or_wrong_archive_leaves_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match="a.tar.gz: (damaged|no folder)"):
        unpack_tar(tmp_path / "a.tar.gz", tmp_path / "out" / "part", "LibriSpeech/part")
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_cannot_write_outside(tmp_path: Path):
    (tmp_path / "a.tar.gz").write_bytes(tar_gz({"../../evil": b"x", "LibriSpeech/part/a": b"x"}))
    with pytest.raises(UserError, match="damaged archive"):
        unpack_tar(tmp_path / "a.tar.gz", tmp_path / "out" / "part", "LibriSpeech/part")
    assert not (tmp_path / "evil").exists() and not (tmp_path.parent / "evil").exists()
