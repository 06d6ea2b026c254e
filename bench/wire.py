"""A client that costs next to nothing: bytes of the protocol, read as fast as they come and looked at only at their end."""

import re
import socket
import struct

END = re.compile(rb"C\0\0\0.(?:SELECT|COPY) (\d+)\0Z\0\0\0\x05I$", re.S)
READY = b"Z\0\0\0\x05I"


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def startup(user="sightline", database="sightline"):
    body = struct.pack("!I", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
    return struct.pack("!I", len(body) + 4) + body


def simple(sql):
    return message(b"Q", sql.encode() + b"\0")


def binary(sql):
    """The statement by the extended protocol with all results binary."""
    return (message(b"P", b"\0" + sql.encode() + b"\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\x01\0\x01")
            + message(b"E", b"\0\0\0\0\0") + message(b"S", b""))


class Connection:
    """One connection; it asks for no TLS and knows no password."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.socket.sendall(startup())
        greeting = self.until_ready()
        at = greeting.index(b"K\0\0\0\x0c") + 5
        self.key = greeting[at:at + 8]

    def until_ready(self):
        """All bytes up to ReadyForQuery, for small answers."""
        data = b""
        while not data.endswith(READY):
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(data[-200:])
            data += piece
        return data

    def ask(self, sql):
        """A small answer, or the server's error."""
        self.socket.sendall(simple(sql))
        answer = self.until_ready()
        if answer.startswith(b"E"):
            raise RuntimeError(answer)
        return answer

    def drain(self, request):
        """Sends a request and reads its result to the end: the number of rows, and of bytes."""
        self.socket.sendall(request)
        total, tail = 0, b""
        view = memoryview(self.buffer)
        while True:
            size = self.socket.recv_into(view)
            if not size:
                raise ConnectionError(tail)
            total += size
            tail = (tail + bytes(view[max(0, size - 64):size]))[-64:]
            if tail.endswith(READY):
                found = END.search(tail)
                if found:
                    return int(found[1]), total
                if b"ERROR" in bytes(view[:min(size, 400)]):
                    raise RuntimeError(bytes(view[:min(size, 400)]))

    def close(self):
        self.socket.close()


def cancel(host, port, key):
    """CancelRequest on a connection of its own."""
    with socket.create_connection((host, port)) as s:
        s.sendall(struct.pack("!II", 16, 80877102) + key)
        s.recv(1)
