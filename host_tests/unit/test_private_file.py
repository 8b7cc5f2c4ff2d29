# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files with keys are refused if others can read, write or replace them."""

import os

import pytest

from dicectl import private_file
from dicectl.errors import CommandError

USES = pytest.mark.parametrize("use", [private_file.read, private_file.check, private_file.opened])


def test_a_private_file_is_read(tmp_path):
    path = tmp_path / "key"
    private_file.write(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert private_file.read(path) == b"secret"
    private_file.check(path)
    path.chmod(0o400)
    private_file.check(path)
    with pytest.raises(FileExistsError):
        private_file.write(path, b"other")
    with pytest.raises(FileNotFoundError):
        private_file.read(tmp_path / "none")


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606, 0o601])
@USES
def test_a_file_that_others_can_use_is_refused(tmp_path, mode, use):
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(CommandError, match=f"key, which contains a key, can be read or written by others: chmod 600 {path}"):
        use(path, "a key")


@USES
def test_links_folders_and_pipes_are_refused(tmp_path, use):
    private_file.write(tmp_path / "key", b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, trouble in (("link", "is a link"), ("dangling", "is a link"), ("pipe", "is no file"), (".", "is no file")):
        with pytest.raises(CommandError, match=trouble):
            use(tmp_path / name)


def test_files_and_folders_of_others_are_refused(tmp_path, monkeypatch):
    private_file.write(tmp_path / "key", b"secret")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CommandError, match="belongs to another user"):
        private_file.check(tmp_path / "key")
    private_file.check(tmp_path / "key", of_anybody=True)
    with pytest.raises(CommandError, match="belongs to another user"):
        private_file.check_folder(tmp_path)


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    private_file.check_folder(tmp_path)
    for mode in (0o775, 0o1777):
        tmp_path.chmod(mode)
        with pytest.raises(CommandError, match="can be changed by others: chmod go-w"):
            private_file.check_folder(tmp_path)
    tmp_path.chmod(0o700)


def test_a_file_that_cannot_be_written_is_removed(tmp_path, monkeypatch):
    def fails(_):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError):
        private_file.write(tmp_path / "key", b"secret")
    assert not list(tmp_path.iterdir())
