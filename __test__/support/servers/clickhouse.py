"""ClickHouse's engine behind the part of its HTTP interface that batches use: a POST whose body is a
statement, with its data behind it, answered as a server answers it. The statement may be the parameter
`query` of the URL, and the body chunked, as the clients of ClickHouse send them.

    python clickhouse.py FOLDER USER PASSWORD

It prints the port it listens on.
"""

import re
import sys
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from chdb.session import Session

FOLDER, USER, PASSWORD = sys.argv[1:]
SESSION = Session(FOLDER)
TURN = Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        query = parse_qs(urlsplit(self.path).query).get("query")
        statement = self.body()
        if query:
            statement = query[0].encode() + b"\n" + statement
        login = self.login()
        if login != (USER, PASSWORD):
            text = f"Code: 516. DB::Exception: {login[0]}: Authentication failed."
            return self.answer(403, text.encode(), 516)
        try:
            with TURN:
                result = SESSION.query(statement, "TabSeparated")
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            return self.answer(500, text.encode(), int(code[1]) if code else None)
        self.answer(200, result.bytes() if result.size() else b"")

    def login(self):
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return tuple(b64decode(text).decode().split(":", 1))
        return (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key"))

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(self, status, body, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Clients are killed while they wait.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
