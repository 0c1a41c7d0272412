"""Cards of the tests' own, and small weight files."""

import hashlib
import json
import random

PAYLOAD = b"\x08" + random.Random(5).randbytes(40_000)  # begins as ONNX does


def write_card(folder, *sources, name="small", payload=PAYLOAD, format="onnx", **changed):
    """A card of a file with that content; `bytes=0, sha256=""` where nobody knows its hash."""
    facts = {
        "name": name, "file": f"{name}.{format}", "format": format, "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(), "licence": "CC0", "licence_url": "https://example.org",
    } | changed  # fmt: skip
    lines = [f"{k} = {json.dumps(v)}" for k, v in facts.items()]  # JSON's words and numbers are TOML's too
    for source in sources:
        lines += ["[[sources]]", *(f"{k} = {json.dumps(v)}" for k, v in source.items())]
    (folder / f"{name}.toml").write_text("\n".join(lines))


def https(url, **more):
    return {"kind": "https", "url": url} | more
