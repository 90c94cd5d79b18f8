"""What lies in a folder and is no file: named with its reason, and never waited for."""

import os
import socket

import pytest
import soundfile

from bench.corpus.add import add
from bench.corpus.folder_files import folder_files
from bench.errors import CorpusError


def odd(folder):
    (folder / "broken.wav").symlink_to("nothing")
    (folder / "loop").symlink_to("loop")
    (folder / "zero.wav").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.wav")
    (folder / "linked").symlink_to(folder.parent)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "s"))


def test_every_name_that_is_no_file_has_its_reason(source, tmp_path, speech, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd(source)
    soundfile.write(tmp_path / "elsewhere.wav", speech(), 16_000)
    (source / "here.wav").symlink_to(tmp_path / "elsewhere.wav")
    result = add(source, tmp_path / "corpus")
    assert [entry.id for entry in result.added] == ["here"]
    assert result.refused == ()
    assert {path.name: why.partition(";")[0] for path, why in result.unread} == {
        "broken.wav": "is a link to nothing",
        "linked": "is a link to a folder, which is not followed",
        "loop": "is a link that leads back to itself",
        "pipe.wav": "is no regular file but a pipe or a device",
        "s": "is no regular file but a pipe or a device",
        "zero.wav": "is no regular file but a pipe or a device",
    }


def test_a_folder_of_nothing_else_says_so(source, tmp_path):
    (source / "broken.wav").symlink_to("nothing")
    with pytest.raises(CorpusError, match=r"1 files not looked at, the first, 'broken\.wav', is a"):
        add(source, tmp_path / "corpus")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_read_is_named(source):
    (source / "shut").mkdir(mode=0)
    found = folder_files(source, besides=source / "corpus")
    assert [(path.name, why) for path, why in found.others] == [
        ("shut", "cannot be read (Permission denied)")
    ]


def test_a_folder_that_vanishes_or_cannot_be_listed_is_named(source, monkeypatch):
    (source / "shut").mkdir()

    def listed(path):
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return ["shut"]

    monkeypatch.setattr(os, "listdir", listed)
    found = folder_files(source, besides=source / "corpus")
    assert found == ((), ((source / "shut", "cannot be read (Permission denied)"),))


def test_the_corpus_itself_is_left_out_even_by_a_link(source, small):
    (source / "back.flac").symlink_to(small / "short-yes.flac")
    small.rename(source / "corpus")
    (source / "back.flac").unlink()
    (source / "back.flac").symlink_to(source / "corpus" / "short-yes.flac")
    assert folder_files(source, besides=source / "corpus") == ((), ())
