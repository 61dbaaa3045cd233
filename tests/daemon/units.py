# SPDX-License-Identifier: Apache-2.0
"""What the service manager does for lockerd's workers (systemd/worker.socket.in, worker@.service.in), as far as a test can do it
without one: a socket for each program, for each connection a process with the connection as descriptor 3, as another user, and
a watchdog that kills the process that does not tell that it is alive.

    units = Units(directory, {"lockerd-line": ("/path/to/lockerd-line", 65533), …})
    Cabinet(…, arguments=["--workers", units.directory])
"""
import os
import pwd
import select
import signal
import socket
import subprocess
import threading
import time


class Instance:
    def __init__(self, name, program, uid, connection, directory):
        self.name = name
        self.notify_path = os.path.join(directory, f"notify-{time.monotonic_ns()}")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.bind(self.notify_path)
        os.chmod(self.notify_path, 0o777)
        self.heard = time.monotonic()
        self.log = os.path.join(directory, "log")
        # As PID 1 does: it has the connection for as long as the process lives.
        self.connection = connection
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program, f"--daemon={units_user()}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(3,),
                env={"NOTIFY_SOCKET": self.notify_path, "PATH": "/usr/bin:/bin"}, cwd="/",
                preexec_fn=lambda: self._become(uid, connection.fileno()))

    @staticmethod
    def _become(uid, fd):
        os.dup2(fd, 3, inheritable=True)
        if uid is not None and uid != os.geteuid():
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)

    def is_over(self, watchdog):
        """Also what the watchdog does."""
        try:
            while b"WATCHDOG=1" in self.notify.recv(4096):
                self.heard = time.monotonic()
        except BlockingIOError:
            pass
        if self.process.poll() is None and watchdog and time.monotonic() - self.heard > watchdog:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        return self.process.poll() is not None

    def close(self):
        self.connection.close()
        self.notify.close()
        os.unlink(self.notify_path)


def units_user():
    return pwd.getpwuid(os.geteuid()).pw_name


class Units:
    def __init__(self, directory, programs, watchdog=6):
        """programs: name → (path, uid or None for this user); watchdog: seconds, for the ones that the daemon pings."""
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.programs, self.watchdog = programs, watchdog
        self.instances, self.ended = [], False
        self.sockets = {}
        for name in programs:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            listener.bind(os.path.join(directory, name))
            os.chmod(os.path.join(directory, name), 0o600)
            listener.listen(64)
            self.sockets[listener] = name
        # Not from the thread: subprocess and preexec_fn do not like each other there.
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended:
            ready, _, _ = select.select(list(self.sockets), [], [], 0.02)
            for listener in ready:
                name = self.sockets[listener]
                connection, _ = listener.accept()
                program, uid = self.programs[name]
                self.instances.append(Instance(name, program, uid, connection, self.directory))
            for instance in list(self.instances):
                if instance.is_over(self.watchdog if instance.name not in ("lockerd-open", "lockerd-hash") else None):
                    instance.close()
                    self.instances.remove(instance)

    def processes(self, name):
        return [i.process.pid for i in list(self.instances) if i.name == name]

    def log(self):
        try:
            with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def stop(self):
        """What still runs was not told to end: → their names."""
        end = time.monotonic() + 10
        while self.instances and time.monotonic() < end:
            time.sleep(0.05)
        left = [i.name for i in self.instances]
        self.ended = True
        self.thread.join()
        for instance in self.instances:
            instance.process.kill()
            instance.process.wait()
            instance.close()
        for listener in self.sockets:
            listener.close()
        return left
