# SPDX-License-Identifier: Apache-2.0
"""What somebody reads who has all files of a cabinet: by the file format alone, without any code of ours."""
import glob
import os
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ledger"))
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ledger_0_1_0 import Keys, hkdf


class Copy:
    """All files of the cabinet at one moment, the key among them, and somebody who opens what can be opened: by the file format
    alone, without any code of ours."""

    def __init__(self, cabinet, path=None):
        """path: of another ledger than the cabinet's own, such as a backup"""
        self.directory = tempfile.mkdtemp(prefix="lockerd-copy-")
        path = path or cabinet.ledger
        # One moment: between two files the log may be written back and emptied.
        before = None
        while before != (before := self.stamps(path)):
            time.sleep(0.05)
            self.raw = b""
            for name in sorted(glob.glob(path + "*")):
                shutil.copy(name, self.directory)
                with open(name, "rb") as f:
                    self.raw += f.read()
        with open(os.path.join(cabinet.directory, "lockerd.key"), "rb") as f:
            self.keys = Keys(f.read())
        with sqlite3.connect(os.path.join(self.directory, os.path.basename(path))) as db:
            self.tables = {name: db.execute(f"SELECT * FROM {name}").fetchall() for (name,) in
                           db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
        db.close()
        shutil.rmtree(self.directory)

    @staticmethod
    def stamps(path):
        return [(s.st_size, s.st_mtime_ns) for s in (os.stat(p) for p in (path, path + "-wal") if os.path.exists(p))]

    def values(self):
        return [v for rows in self.tables.values() for row in rows for v in row if isinstance(v, bytes)]

    def open(self, salts=()):
        """Whatever any sealed value says, under the cabinet's key and under each person's half that is known."""
        salts = {None, *salts, *(v for v in self.values() if len(v) == 16)}
        labels = ["person.name", "person.phone", "credential.password", "credential.pattern", "credential.card", "credential.fingerprint", "credential.voice",
                  "credential.pin", "parcel.recipient", "parcel.phone", "inbox.command", "outbox.secret"]
        said = []
        for value in self.values():
            if len(value) < 29 or value[0] != 1:
                continue
            for salt in salts:
                key = hkdf(self.keys.seal_key, b"lockerd/1/person", salt) if salt else self.keys.seal_key
                for label in labels:
                    try:
                        said.append((label, AESGCM(key).decrypt(value[1:13], value[13:], b"\x01" + label.encode())))
                    except InvalidTag:
                        pass
        return said
