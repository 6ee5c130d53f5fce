"""When bytes arrived, as the kernel noted it: a receiver that is slow to read them does not move them in time."""
import socket
import struct
import time

SO_TIMESTAMPNS = 35  # asm-generic/socket.h
STAMP = struct.Struct("qq")


class StampedSocket(socket.socket):
    """A TCP socket that knows, on the clock of time.monotonic(), when the newest bytes it gave came in."""
    arrived = None

    def listen_here(self, port=0):
        if port:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.bind(("127.0.0.1", port))
        self.setblocking(False)
        return self

    def accept(self):
        fd, address = self._accept()
        accepted = StampedSocket(self.family, self.type, self.proto, fileno=fd)
        accepted.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return accepted, address

    def recv(self, size, flags=0):
        data, notes, _, _ = self.recvmsg(size, 64, flags)
        self.arrived = time.monotonic()
        for level, kind, note in notes:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = STAMP.unpack(note[:STAMP.size])
                self.arrived -= max(0.0, time.time() - seconds - nanoseconds / 1e9)
        return data
