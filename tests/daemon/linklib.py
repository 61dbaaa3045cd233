# SPDX-License-Identifier: Apache-2.0
"""Handhelds for tests: an operator's authority (python3-cryptography), and the reference handheld of examples/handheld, which shares
nothing with the daemon.

    class Deposits(LinkTest):
        def test_something(self):
            with self.handheld("4711") as link:
                put = link.request("deposit", size="S")
"""
import datetime
import json
import os
import shutil
import sys
import tempfile
import types

import jsonschema
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemonlib import TREE, wait
from people import Scenario

sys.path.insert(0, str(TREE / "examples" / "handheld"))
from link import Gone, Link, Refused, SocketStream, Stream  # noqa: E402
from offline_code import check, pickup_code  # noqa: E402

__all__ = ["Authority", "Gone", "Judge", "Link", "LinkTest", "Refused", "SocketStream", "Stream", "check", "link_settings", "pickup_code",
           "place_of"]

HOUR = datetime.timedelta(hours=1)


def utc(hours=0):
    return datetime.datetime.utcnow() + hours * HOUR


class Authority:
    """An operator's: certificates and revocation lists, as files below `directory`."""

    def __init__(self, directory, name="Operator"):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (x509.CertificateBuilder().subject_name(self.name).issuer_name(self.name).public_key(self.key.public_key())
                            .serial_number(x509.random_serial_number()).not_valid_before(utc(-24 * 3650)).not_valid_after(utc(24 * 3650))
                            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
                            .sign(self.key, hashes.SHA256()))
        self.file = self._write(f"{name}.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _write(self, name, data):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def issue(self, name, uris, client=True, begin=-1, end=24, curve=ec.SECP256R1, usage=True):
        """→ (certificate, its file, its key's file); begin, end: hours from now."""
        key = ec.generate_private_key(curve())
        use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                   .issuer_name(self.name).public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(utc(begin)).not_valid_after(utc(end))
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True))
        if uris:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(u) for u in uris]), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return (certificate, self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
                self._write(f"{name}.key", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                             serialization.NoEncryption())))

    def cabinet(self, number):
        return self.issue(number, [f"urn:lockerd:cabinet:{number}"], client=False)[1:]

    def courier(self, number, cabinets=(), name=None, **more):
        return self.issue(name or f"courier-{number}", [f"urn:lockerd:courier:{number}", *(f"urn:lockerd:cabinet:{c}" for c in cabinets)], **more)

    def revoke(self, *certificates, name="revocations.pem", end=24):
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(utc(-48)).next_update(utc(end))
        for certificate in certificates:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
                                                      .revocation_date(utc(-1)).build())
        return self._write(name, builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


class Judge:
    """Says by schema/link, with a validator that is not ours, what is wrong with a message of the cabinet, or of a handheld."""

    def __init__(self):
        self.validators = {}
        for name in ("request", "answer", "prompt"):
            with open(TREE / "schema" / "link" / f"{name}.schema.json", encoding="utf-8") as f:
                self.validators[name] = jsonschema.Draft202012Validator(json.load(f), format_checker=jsonschema.FormatChecker())

    def complaints(self, kind, message):
        return [f"{kind} {message}: {e.message}" for e in self.validators[kind].iter_errors(message)]


class Heard(Link):
    """Keeps what it was told."""

    heard = []

    def receive_frame(self, timeout=None):
        message = super().receive_frame(timeout)
        self.heard.append(message)
        return message


def link_settings(authority, number):
    """[Link] of a cabinet with a certificate of this authority; its socket is beside it."""
    cert, key = authority.cabinet(number)
    return {"Listen": os.path.join(authority.directory, "link"), "CertFile": cert, "KeyFile": key, "CaFile": authority.file}


class LinkTest(Scenario):
    """A cabinet with a link, an authority, and courier 4711, who is enrolled and has a certificate."""

    link_settings = {}

    def setUp(self):
        self.certificates = tempfile.mkdtemp(prefix="link-")
        self.addCleanup(shutil.rmtree, self.certificates, True)
        self.authority = Authority(self.certificates)
        self.prepare()
        self.settings = {**self.settings, "Link": {**link_settings(self.authority, "C-0012"), **self.link_settings}}
        self.socket = self.settings["Link"]["Listen"]
        super().setUp()
        self.wait_listening()
        self.admin.enrol_courier("4711", "258036")
        self.couriers = {"4711": self.authority.courier("4711")[1:]}

    def _stop(self):
        super()._stop()
        judge = Judge()
        found = [c for m in Heard.heard for c in judge.complaints("prompt" if "prompt" in m else "answer", m)]
        Heard.heard.clear()
        self.assertEqual(found, [], "what the cabinet says is as schema/link says")

    def prepare(self):
        """Before the daemon starts."""

    def wait_listening(self):
        wait(lambda: self.admin.health().get("link", ("",))[0] == "ok", "the link")

    def handheld(self, courier=None, cert=None, key=None, timeout=20, **more):
        """A courier's, or a recipient's."""
        if courier:
            cert, key = self.couriers[courier]
        link = Heard(SocketStream(f"unix:{self.socket}"), "C-0012", self.authority.file, cert, key, timeout=timeout, **more)
        self.addCleanup(link.close)
        return link

    def assertSaysNo(self, error, link, request, **arguments):
        with self.assertRaises(Refused) as caught:
            link.request(request, **arguments)
        self.assertEqual(caught.exception.error, error, str(caught.exception))
        return str(caught.exception)

    @staticmethod
    def code_of(link, put):
        return pickup_code(bytes.fromhex(put["key"]), put["slot"], put["deposited"], link.hello["code_alphabet"])

    def bring(self, link, size="S", **more):
        """A parcel from door to door → (what the cabinet answered, the code that the handheld has computed)."""
        put = link.request("deposit", size=size, **more)
        self.put(place_of(put))
        self.shut(place_of(put))
        link.wait_prompt("stored")
        return place_of(put), self.code_of(link, put)

    def fetch(self, code, **claims):
        """A recipient comes with a phone, takes, accepts and leaves → what the cabinet answered."""
        with self.handheld() as link:
            got = place_of(link.request("collect", code=code, **claims))
            self.take(got)
            link.request("accept")
            self.shut(got)
            link.wait_prompt("collected")
        return got


def place_of(result):
    return types.SimpleNamespace(**result)
