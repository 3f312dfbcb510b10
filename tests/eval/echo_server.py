"""A loopback server with the shape of a chat completion API: it answers with the user turn it was sent."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": body["messages"][-1]["content"]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "echo", "choices": [choice]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, *args: object) -> None:
        pass


_server = HTTPServer(("127.0.0.1", 0), _Echo)
threading.Thread(target=_server.serve_forever, daemon=True).start()
os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{_server.server_port}/v1"
os.environ["OPENAI_API_KEY"] = "none"
