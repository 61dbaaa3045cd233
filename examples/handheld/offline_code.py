# SPDX-License-Identifier: Apache-2.0
"""The pickup code of a deposit, computed as docs/link.md describes it (OFFLINE CODES), from nothing but the standard library.

    code = pickup_code(bytes.fromhex(answer["key"]), answer["slot"], answer["deposited"])

A handheld and a backend need pickup_code() alone: the cabinet gives them the key of each deposit. deposit_key() is what the cabinet
computes from its own key, and is here so that the test vectors can be checked from the beginning:

    python3 offline_code.py ../../docs/link.md
"""
import hashlib
import hmac
import json
import re
import struct
import sys

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def text(value):
    data = value.encode()
    return struct.pack("B", len(data)) + data


def hkdf(key, info):
    """HKDF-SHA256 (RFC 5869) without salt, 32 bytes: one block."""
    pseudorandom = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)


def deposit_key(cabinet_key, cabinet, slot, deposited, parcel):
    offline = hkdf(cabinet_key, b"lockerd/1/offline")
    return hkdf(offline, b"lockerd offline key 1\0" + text(cabinet) + text(slot) + struct.pack(">QQ", deposited, parcel))


def pickup_code(key, slot, deposited, alphabet="crockford"):
    """key: 32 bytes; slot: its label; deposited: the recorded time, microseconds since 1970 UTC; → six symbols."""
    first, = struct.unpack(">Q", hmac.digest(key, b"lockerd offline code 1\0" + text(slot) + struct.pack(">Q", deposited), hashlib.sha256)[:8])
    if alphabet == "digits":
        return f"{first % 1000000:06d}"
    return "".join(CROCKFORD[first >> 5 * i & 31] for i in range(6))


def vectors(path):
    """The JSON block of the document that holds them."""
    with open(path, encoding="utf-8") as f:
        return json.loads(re.search(r"```json vectors\n(.*?)```", f.read(), re.S)[1])


def check(path):
    """→ number of vectors; ValueError where one differs."""
    listed = vectors(path)
    for v in listed:
        key = deposit_key(bytes.fromhex(v["cabinet_key"]), v["cabinet"], v["slot"], v["deposited"], v["parcel"])
        found = (key.hex(), pickup_code(key, v["slot"], v["deposited"]), pickup_code(key, v["slot"], v["deposited"], "digits"))
        if found != (v["key"], v["crockford"], v["digits"]):
            raise ValueError(f"{v}: computed {found}")
    return len(listed)


if __name__ == "__main__":
    print(f"{check(sys.argv[1])} vectors, all as computed here")
