"""A client of the Language Server Protocol, over the standard streams of a real server.

It asks one question after the other, as an editor does, and answers what the server asks meanwhile.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PATIENCE = 60.0  # seconds after which the server is given up, and the test with it

_CAPABILITIES = {
    "workspace": {"configuration": True},
    "textDocument": {
        "hover": {"contentFormat": ["markdown"]},
        "completion": {
            "completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}
        },
    },
}


class LanguageServer:
    """A server that was started with the settings of an editor, `{"yaml": {…}}`."""

    def __init__(self, process: subprocess.Popen[bytes], settings: Mapping[str, Any]) -> None:
        self._process = process
        self._settings = settings
        self._asked = 0
        self._told: list[dict[str, Any]] = []
        self._ask("initialize", processId=None, rootUri=None, capabilities=_CAPABILITIES)
        self._tell("initialized")
        self._tell("workspace/didChangeConfiguration", settings=settings)

    def open(self, path: Path, text: str) -> str:
        """Show a text as the content of this file, which need not be there; its address."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", textDocument=document)
        return uri

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What is wrong with a text that was just opened."""
        while True:
            for place, message in enumerate(self._told):
                about = message.get("params", {}).get("uri")
                if message["method"] == "textDocument/publishDiagnostics" and about == uri:
                    found: list[dict[str, Any]] = self._told.pop(place)["params"]["diagnostics"]
                    return found
            self._take(self._read())

    def completions(self, uri: str, line: int, character: int) -> dict[str, str]:
        """What is offered at a place: each label, with the snippet that it inserts."""
        result = self._ask_at("textDocument/completion", uri, line, character)
        items = result["items"] if isinstance(result, dict) else result
        return {item["label"]: item.get("insertText", item["label"]) for item in items}

    def hover(self, uri: str, line: int, character: int) -> str:
        """What is shown below the mouse at a place."""
        result = self._ask_at("textDocument/hover", uri, line, character)
        return str(result["contents"]["value"])

    def _ask_at(self, method: str, uri: str, line: int, character: int) -> Any:
        place = {"line": line, "character": character}
        return self._ask(method, textDocument={"uri": uri}, position=place)

    def _ask(self, method: str, **words: Any) -> Any:
        self._asked += 1
        number = self._asked
        self._send({"id": number, "method": method, "params": words})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            self._take(message)

    def _tell(self, method: str, **words: Any) -> None:
        self._send({"method": method, "params": words})

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self._told.append(message)
        elif message["method"] == "workspace/configuration":
            sections = [item["section"] for item in message["params"]["items"]]
            self._send({"id": message["id"], "result": [self._settings.get(s) for s in sections]})
        else:
            self._send({"id": message["id"], "result": None})

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            return self._message(self._process.stdout)
        finally:
            watch.cancel()

    def _message(self, stream: IO[bytes]) -> dict[str, Any]:
        size = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        assert size, f"the language server has ended, or said nothing in {PATIENCE:.0f} s"
        message: dict[str, Any] = json.loads(stream.read(size))
        return message


@contextmanager
def language_server(
    command: Sequence[str | Path], settings: Mapping[str, Any]
) -> Iterator[LanguageServer]:
    """Started, and ended with the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield LanguageServer(process, settings)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()


def inserted(snippet: str) -> str:
    """The text that a snippet leaves where nobody changes what it proposes. A placeholder ends at
    the first closing brace without a backslash, as in VS Code."""
    plain = re.sub(r"\$\{\d+(?::((?:\\.|[^}\\])*))?\}", lambda match: match[1] or "", snippet)
    return re.sub(r"\\([\\$}])", r"\1", re.sub(r"\$\d", "", plain))
