"""Folders and archives read alike; archives that could do harm are refused."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from gauntlet.datasets import containers
from gauntlet.datasets.containers import Folder, Tar, Zip, locate
from gauntlet.errors import DataError

FILES = {
    "set/a/1.png": b"one",
    "set/a/2.png": b"two",
    "set/b/1.png": b"three",
    "set/.hidden/x": b"",
    "else/c": b"four",
}
VISIBLE = ["set/a/1.png", "set/a/2.png", "set/b/1.png"]


def test_folder_tar_and_zip_give_the_same_names_and_contents(write_files, write_tar, write_zip):
    for container in (
        Folder(write_files(FILES)),
        Tar(write_tar("x.tar", FILES)),
        Tar(write_tar("x.tar.gz", FILES)),
        Zip(write_zip("x.zip", FILES)),
    ):
        assert sorted(container.names("set")) == VISIBLE
        assert dict(container.read(VISIBLE[1:])) == {name: FILES[name] for name in VISIBLE[1:]}


def test_names_that_start_with_a_dot_and_slash_are_the_plain_names(write_tar):
    assert Tar(write_tar("x.tar", {"./set/a/1.png": b"one"})).names("set") == ["set/a/1.png"]


def test_a_folder_of_a_similar_name_is_not_below_the_folder(write_tar):
    assert Tar(write_tar("x.tar", {"set2/a": b"", "set/a": b""})).names("set") == ["set/a"]


def test_a_path_leads_into_an_archive(write_tar):
    root = write_tar("x.tar.gz", FILES).parent
    place = locate(root, "x.tar.gz/set/a")
    assert place is not None
    assert sorted(place.container.names(place.inside)) == VISIBLE[:2]
    whole = locate(root, "x.tar.gz")
    assert whole is not None
    assert len(whole.container.names(whole.inside)) == 4


def test_what_does_not_exist_is_not_found(write_files):
    root = write_files(FILES)
    assert locate(root, "set/c") is None
    assert locate(root, "y.tar.gz/set") is None
    assert locate(None, "set") is None


def test_an_absolute_path_needs_no_root(write_files):
    root = write_files(FILES)
    place = locate(None, str(root / "else" / "c"))
    assert place is not None
    assert place.content() == b"four"


def test_links_in_a_folder_of_the_user_are_followed_and_loops_end(write_files, tmp_path):
    root = write_files(FILES)
    (root / "set" / "linked").symlink_to(root / "else")
    (root / "else" / "loop").symlink_to(root / "set")
    names = Folder(root).names("set")
    assert "set/linked/c" in names
    assert len(names) < 20


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "set/../../evil.png"])
def test_a_member_that_leads_out_is_refused(write_tar, write_zip, name):
    for container in (
        Tar(write_tar("x.tar", {"a": b"", name: b""})),
        Zip(write_zip("x.zip", {"a": b"", name: b""})),
    ):
        with pytest.raises(DataError, match=r"evil.*leads out"):
            container.names("")
        with pytest.raises(DataError, match="leads out"):
            list(container.read(["a", "never"]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_a_link_or_device_is_refused(tmp_path, kind):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        information = tarfile.TarInfo("innocent.png")
        information.type, information.linkname = kind, "/etc/passwd"
        archive.addfile(information)
    with pytest.raises(DataError, match=r"x\.tar holds innocent\.png, a link or device"):
        Tar(path).names("")


def test_a_zip_with_a_link_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        information = zipfile.ZipInfo("innocent.png")
        information.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(information, "/etc/passwd")
    with pytest.raises(DataError, match="a link or device"):
        Zip(path).names("")


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_read(
    write_tar, write_zip, write_files, monkeypatch
):
    monkeypatch.setattr(containers, "MOST_BYTES", 1000)
    bomb = {"bomb": bytes(1_000_000)}
    for container in (
        Tar(write_tar("x.tar.gz", bomb)),
        Zip(write_zip("x.zip", bomb)),
        Folder(write_files(bomb)),
    ):
        with pytest.raises(DataError, match="bomb has"):
            list(container.read(["bomb"]))


def test_a_zip_member_that_holds_more_than_it_announces_is_refused(write_zip):
    path = write_zip("x.zip", {"bomb": bytes(1_000_000)})
    true, announced = (1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, announced))
    with pytest.raises(DataError, match=r"x\.zip is truncated or damaged"):
        list(Zip(path).read(["bomb"]))


def test_an_archive_of_too_many_members_is_refused(write_tar, write_zip, monkeypatch):
    monkeypatch.setattr(containers, "MOST_MEMBERS", 2)
    files = {str(number): b"" for number in range(3)}
    for container in (Tar(write_tar("x.tar", files)), Zip(write_zip("x.zip", files))):
        with pytest.raises(DataError, match="more than 2 members"):
            container.names("")


@pytest.mark.parametrize("cut", [40, 12, 4])
def test_a_truncated_compressed_tar_names_itself(write_tar, cut):
    """Also where only the checksum at its end is cut off."""
    path = write_tar("x.tar.gz", {"a": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"x\.tar\.gz is truncated or damaged"):
        list(Tar(path).read(["a"]))


def test_a_compressed_tar_with_an_altered_checksum_is_noticed(write_tar):
    path = write_tar("x.tar.gz", {"a": b"content"})
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="truncated or damaged"):
        Tar(path).names("")


def test_a_truncated_plain_tar_names_itself(write_tar):
    path = write_tar("x.tar", {"a": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"x\.tar is truncated or damaged"):
        list(Tar(path).read(["a"]))


def test_a_zip_packed_by_a_method_unknown_here_is_not_called_damaged(write_zip):
    """Deflate64, method 9, stands in both of the member's headers."""
    path = write_zip("x.zip", {"a": b"content"})
    content = bytearray(path.read_bytes())
    for method in (8, content.index(b"PK\1\2") + 10):
        content[method : method + 2] = (9).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip is packed in a way that Python cannot read .*unpack it"):
        list(Zip(path).read(["a"]))


def test_an_altered_zip_member_is_noticed(write_zip):
    path = write_zip("x.zip", {"a": b"content of a"})
    content = path.read_bytes()
    stored = content.index(b"a", 30) + 1
    path.write_bytes(content[:stored] + bytes([content[stored] ^ 0xFF]) + content[stored + 1 :])
    with pytest.raises(DataError, match=r"x\.zip is truncated or damaged"):
        list(Zip(path).read(["a"]))


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_a_file_that_is_no_archive_names_itself(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"<html>404</html>" * 100)
    place = locate(tmp_path, name)
    assert place is not None
    with pytest.raises(DataError, match=name):
        place.container.names("")


def test_an_encrypted_zip_says_so(write_zip):
    path = write_zip("x.zip", {"a": b"content"})
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert not archive.infolist()[0].flag_bits & 1
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        Zip(path).names("")
