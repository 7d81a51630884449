"""A download is whole and right, or leaves no trace; against a real server on this machine."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from wardrobe.training.data.dataset import DataUnavailable
from wardrobe.training.data.download import download

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/silent":
            time.sleep(2)
            return
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        content = {"/cut": CONTENT[:1_000], "/altered": CONTENT[::-1]}.get(self.path, CONTENT)
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests' output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_file_arrives_and_its_progress_is_told(server, tmp_path):
    target, steps = tmp_path / "new" / "file.gz", []
    download(f"{server}/file.gz", target, SHA256, 5, lambda *step: steps.append(step))

    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.gz"]
    assert steps[-1] == ("file.gz", len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "404"),
        ("/cut", "something else"),
        ("/altered", "something else"),
        ("/silent", "timed out"),
    ],
)
def test_a_failure_leaves_what_was_there(server, tmp_path, path, reason):
    target = tmp_path / "file.gz"
    target.write_bytes(b"old")
    begin = time.monotonic()
    with pytest.raises(DataUnavailable, match=reason):
        download(server + path, target, SHA256, 0.3)

    assert time.monotonic() - begin < 1.5
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "not an address", "http://[/x"])
def test_an_address_that_does_not_answer_is_no_traceback(tmp_path, url):
    with pytest.raises(DataUnavailable, match="cannot be downloaded"):
        download(url, tmp_path / "file.gz", SHA256, 1)


def test_a_folder_that_cannot_be_made_is_no_traceback(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataUnavailable, match="cannot be downloaded"):
        download(f"{server}/x", tmp_path / "file" / "x", SHA256, 1)
