# SPDX-License-Identifier: Apache-2.0
"""The service manager's end of what lockerd tells it."""
import socket


class Manager:
    """A notification socket as systemd has one."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(path)
        self.lines = []

    def fill(self):
        """Until nobody can say anything more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            other.connect(self.path)
            try:
                while True:
                    other.send(b"X_FILL=1")
            except BlockingIOError:
                pass

    def read(self):
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return [line for line in self.lines if line != "X_FILL=1"]
