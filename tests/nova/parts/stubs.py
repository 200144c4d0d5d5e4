"""The part of Glance and Neutron that nova needs to start a server without networks: ``stubs.py PORT``."""

import json
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IMAGE = "00000000-0000-4000-8000-000000000001"
SELF = f"http://127.0.0.1:{sys.argv[1]}"


def version(number: str, path: str) -> dict:
    return {"versions": [{"id": number, "status": "CURRENT", "links": [{"rel": "self", "href": f"{SELF}{path}"}]}]}


IMAGE_BODY = {
    "id": IMAGE,
    "name": "tiny",
    "status": "active",
    "visibility": "public",
    "container_format": "bare",
    "disk_format": "raw",
    "size": 512,
    "virtual_size": 512,
    "min_disk": 0,
    "min_ram": 0,
    "checksum": "0" * 32,
    "owner": "nobody",
    "protected": False,
    "os_hidden": False,
    "tags": [],
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "file": f"/v2/images/{IMAGE}/file",
    "schema": "/v2/schemas/image",
    "self": f"/v2/images/{IMAGE}",
}


def answer(path: str) -> tuple[int, object]:
    """The status and the body for a path; bytes are sent as they are."""
    service, _, rest = path.strip("/").partition("/")
    if not rest:
        if service == "image":
            return 300, version("v2.16", "/image/v2/")
        return 200, version("v2.0", "/network/v2.0/")
    if service == "image":
        if rest == f"v2/images/{IMAGE}/file":
            return 200, bytes(512)
        if rest.startswith("v2/schemas"):
            properties = {name: {} for name in IMAGE_BODY}
            return 200, {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}}
        if rest == "v2/images":
            return 200, {"images": [IMAGE_BODY]}
        return (200, IMAGE_BODY) if rest == f"v2/images/{IMAGE}" else (404, {})
    kind = rest.removeprefix("v2.0").strip("/").partition("/")[0]
    if kind == "security-groups":
        return 200, {"security_groups": [{"id": str(uuid.uuid4()), "name": "default"}]}
    if kind == "quotas":
        return 200, {"quota": {"port": -1, "network": -1}}
    return 200, {kind.replace("-", "_") or "resources": []}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = answer(self.path.partition("?")[0])
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
