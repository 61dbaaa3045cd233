#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a ledger as version 0.1.0 left it, with its key: ledger_0_1_0.py LEDGER KEYFILE

It has rows of every live state, ended parcels, people with credentials, an interrupted movement, a command, a lockout, and events
with their audit chain. Nothing of lockerd is used: the formats of sealed values, keyed hashes and of the chain are written down
here a second time, so that a change of them by accident is found. The schema comes from the migrations 001 to 003, whose statements
are compared with what 0.1.0 had. For the cabinet of config/cabinet-12.conf.
"""
import argparse
import hashlib
import hmac
import os
import pathlib
import re
import sqlite3
import struct
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema"
# SHA-256 of the statements (without comments and white space) as they were released.
MIGRATIONS = {
    "001-ledger.sql": "c6ccbb9b8fa7756b19359c541c1bdb138525347a491f6860b77eb041e8b12abb",
    "002-inbox.sql": "f035c617908090c3b5f5d73e0cc20b5392c5a58733a823243e5a33e590c7753f",
    "003-reminders.sql": "a137e22a30048c9640c6bc14e36ee4e9b50a7bcfdab0bb9e23a24c4a4f96ed82",
}
APPLICATION_ID = 0x4C6B7244
KEY = bytes(range(32))
HOUR = 3600 * 1000000

COURIER, RECIPIENT, REVOKED = 1, 2, 3
PIN, PASSWORD = "2580", "correct horse"
PHONE = "+49 151 2345678"
# parcel → (state, slot, size, code or None, recipient, phone, person). Slots have one position.
PARCELS = {
    1: ("announced", None, "S", None, "Zoë Ä. Muster", PHONE, RECIPIENT),
    2: ("reserved", "01", "S", None, "Ada Lovelace", None, None),
    3: ("depositing", "02", "S", "2V0AAA", "Ada Lovelace", None, None),
    4: ("stored", "03", "S", "7K3M9P", "张三", "0151 9876543", None),
    5: ("collecting", "04", "S", "8H2J4Q", "Eve Example", "0151 5550000", None),
    6: ("rejected", "05", "S", None, "Eve Example", None, None),
    7: ("recalled", "06", "S", None, None, None, None),
    8: ("unverified", "07", "M", "9X5Y6Z", "Li", "0151 1112222", None),
    9: ("stored", "08", "M", "3A4B5C", "Zoë Ä. Muster", PHONE, RECIPIENT),
    10: ("stored", "09", "S", "6D7E8F", "Too Late", None, None),
}
ENDED = {11: "collected", 12: "returned", 13: "cancelled"}


def statements(text):
    return re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", text)).strip()


def hkdf(key, info, salt=b""):
    """RFC 5869 for one block of SHA-256."""
    secret = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(secret, info + b"\x01", "sha256")


class Keys:
    def __init__(self, key):
        self.seal_key, self.code_key, self.phone_key, self.pepper, self.check_key = (
            hkdf(key, b"lockerd/1/" + purpose) for purpose in (b"seal", b"code", b"phone", b"pepper", b"check"))

    def seal(self, label, text, salt=None):
        if text is None:
            return None
        data = text if isinstance(text, bytes) else text.encode()
        key = hkdf(self.seal_key, b"lockerd/1/person", salt) if salt else self.seal_key
        nonce = os.urandom(12)
        return b"\x01" + nonce + AESGCM(key).encrypt(nonce, data, b"\x01" + label.encode())

    def code(self, code):
        return hmac.digest(self.code_key, code.encode(), "sha256")

    def phone(self, phone, tail=False):
        digits = re.sub(r"\D", "", phone or "")
        if not digits:
            return None
        if len(digits) >= 10 and digits.startswith("00"):
            digits = digits[2:]
        return hmac.digest(self.phone_key, (b"t" + digits[-4:].encode()) if tail else b"p" + digits.encode(), "sha256")

    def credential(self, secret, log_n=10):
        salt = os.urandom(16)
        peppered = hmac.digest(self.pepper, secret.encode(), "sha256")
        return bytes([1, log_n, 8, 1]) + salt + hashlib.scrypt(peppered, salt=salt, n=1 << log_n, r=8, p=1, dklen=32, maxmem=1 << 26)


def make_schema(db):
    for name, digest in MIGRATIONS.items():
        text = (SCHEMA / name).read_text(encoding="utf-8")
        found = hashlib.sha256(statements(text).encode()).hexdigest()
        if found != digest:
            raise SystemExit(f"schema/{name} is not what 0.1.0 had ({found}): released migrations are never changed, add a new one")
        db.executescript(text)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def insert(db, table, **row):
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def add_people(db, keys, now):
    for person, kind, number, name, phone, secrets in (
            (COURIER, "courier", "4711", "Carla Courier", None, {"pin": PIN}),
            (RECIPIENT, "recipient", None, "Zoë Ä. Muster", PHONE, {"pin": PIN, "password": PASSWORD})):
        salt = os.urandom(16)
        insert(db, "person", id=person, kind=kind, number=number, salt=salt, name=keys.seal("person.name", name, salt),
               phone=keys.seal("person.phone", phone, salt), phone_mac=keys.phone(phone), enrolled=now - 900 * HOUR,
               consented=now - 900 * HOUR if kind == "recipient" else None)
        for credential, secret in secrets.items():
            insert(db, "credential", person=person, kind=credential,
                   data=keys.seal("credential." + credential, keys.credential(secret), salt))
    insert(db, "person", id=REVOKED, kind="courier", number="0815", enrolled=now - 900 * HOUR, revoked=now - 100 * HOUR)
    insert(db, "habit", person=RECIPIENT, hours=bytes(18) + b"\x07" + bytes(5), changed=now - 30 * HOUR)


def add_parcels(db, keys, now):
    for parcel, (state, slot, size, code, recipient, phone, person) in PARCELS.items():
        was_stored = state in ("stored", "collecting", "rejected", "recalled", "unverified")
        stored = now - (200 if parcel == 10 else 20) * HOUR
        insert(db, "parcel", id=parcel, state=state, slot=slot, position=1 if slot else None, size=size, waybill=f"WB-{parcel}",
               recipient=keys.seal("parcel.recipient", recipient), phone=keys.seal("parcel.phone", phone),
               phone_tail=keys.phone(phone, tail=True), person=person, courier=None if state in ("announced", "reserved") else COURIER,
               courier_number=None if state in ("announced", "reserved") else "4711", created=stored - HOUR,
               stored=stored if was_stored else None, expires=stored + 72 * HOUR if was_stored else None)
        if code:
            insert(db, "pickup_code", parcel=parcel, mac=keys.code(code))
        if was_stored:
            insert(db, "reminder", parcel=parcel, since=stored, synced=1, look=stored + 24 * HOUR)
    for parcel, state in ENDED.items():
        insert(db, "parcel_history", id=parcel, state=state, slot="03", position=1, size="S", recipient=keys.seal("parcel.recipient", "Old Name"),
               courier=COURIER, courier_number="4711", created=now - 500 * HOUR, stored=now - 499 * HOUR, ended=now - 480 * HOUR)
    # Ids are not used again, not even those in the history.
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'parcel'", (max(ENDED),))


def add_work(db, keys, now):
    """What a running 0.1.0 was in the middle of when the power went."""
    insert(db, "slot", label="10", service="disabled", reason="hinge")
    insert(db, "position", slot="11", number=1, service="quarantined", reason="does not open", last_used=3)
    insert(db, "session", id=1, kind="courier", terminal=":1.5", begun=now - 30 * HOUR, person=COURIER, evidence="pin", ended=now - 29 * HOUR,
           how="ended")
    insert(db, "session", id=2, kind="recipient", terminal=":1.7", begun=now - HOUR, evidence="code")
    insert(db, "movement", id=1, session=1, parcel=4, slot="03", position=0, action="unlock", why="deposit", actor="courier:4711",
           intended=now - 30 * HOUR, settled=now - 30 * HOUR, outcome="released")
    insert(db, "movement", id=2, session=2, parcel=5, slot="04", position=0, action="unlock", why="collect", actor="recipient",
           intended=now - HOUR)
    insert(db, "lockout", subject="claim:slot:07", failures=2, locked=0, until_boot=0, remaining=0, boot_id=bytes(16))
    insert(db, "setting", name="reminder-after", value=25 * HOUR)
    insert(db, "inbox", id="cmd-1", arrival=1, name="recall", received=now - 40 * HOUR, expires=now + 40 * HOUR,
           command=keys.seal("inbox.command", '{"parcel":7}'), begun=1, answer=keys.seal("inbox.answer", '{"status":"done"}'),
           response_topic="backend/replies", correlation="00ff")


def add_events(db, keys, now):
    previous = db.execute("SELECT value FROM meta WHERE key = 'audit-genesis'").fetchone()[0]
    rows = [("courier:4711", None, "parcel.stored", "parcel:4", '{"size":"S"}', None),
            ("lockerd", None, "code.issued", "parcel:4", "{}", '{"code":"7K3M9P"}'),
            ("operator:anna", "hinge", "slot.disabled", "slot:10", "{}", None)]
    # An operator has slot 08 open; 06 was forced, and is shut again.
    doors = [("03", "released"), ("03", "opened"), ("03", "closed"), ("06", "forced-open"), ("08", "closed"), ("06", "closed"),
             ("08", "released"), ("08", "opened")]
    rows += [("lockerd", None, f"door.{what}", f"slot:{slot}", f'{{"position":0,"slot":"{slot}"}}', None) for slot, what in doors]
    for sequence, (actor, reason, type_, subject, data, secret) in enumerate(rows, 1):
        wall = now - (30 - sequence) * HOUR
        insert(db, "event", sequence=sequence, wall=wall, synced=1, type=type_, subject=subject, data=data)
        texts = b"".join(struct.pack(">I", 0xFFFFFFFF if t is None else len(t.encode())) + (t or "").encode()
                         for t in (actor, type_, subject, reason, data))
        previous = hashlib.sha256(previous + struct.pack(">QqB", sequence, wall, 1) + texts).digest()
        insert(db, "audit", sequence=sequence, actor=actor, reason=reason, hash=previous)
        if sequence in (2, 3):  # the backend has acknowledged the others
            insert(db, "outbox", sequence=sequence, secret=keys.seal(f"outbox.{sequence}", secret))


def make(ledger, key_file):
    """Both files must not exist."""
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as f:
        f.write(KEY)
    os.close(os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    keys, now = Keys(KEY), int(time.time()) * 1000000
    db = sqlite3.connect(ledger, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        make_schema(db)
        db.execute("BEGIN")
        insert(db, "meta", key="key-check", value=hmac.digest(keys.check_key, b"lockerd ledger", "sha256"))
        insert(db, "meta", key="audit-genesis", value=os.urandom(32))
        add_people(db, keys, now)
        add_parcels(db, keys, now)
        add_work(db, keys, now)
        add_events(db, keys, now)
        db.execute("COMMIT")
    finally:
        db.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ledger")
    parser.add_argument("key_file")
    args = parser.parse_args()
    make(args.ledger, args.key_file)
