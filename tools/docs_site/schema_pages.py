"""Pages about files that have a JSON schema: each key with type, default, meaning and example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from markdown_text import block, code, prose

Schema = Mapping[str, Any]
BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} or less",
    "exclusiveMaximum": "less than {}",
}
WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "object": "a mapping",
    "null": "nothing",
}


@dataclass
class KeysPage:
    """Writes a section for each key of a schema, as deep as there are keys. What several keys have
    in common (a `$ref`) is described at the first of them, and linked to from the others."""

    schema: Schema
    placeholder: Mapping[str, str] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)

    def sections(self, part: Schema, path: str = "", level: int = 2) -> Iterator[str]:
        """Everything about the keys of `part`, in the schema's order; `path` is its own."""
        for reference, kind in self._kinds(part):
            if reference and self._has_keys(kind):
                first = self.described.setdefault(reference, path)
                if first != path:
                    if first != path.removesuffix("[]"):
                        yield f"Its keys are those of [`{first}`](#{anchor(first)})."
                    continue
            required = kind.get("required", ())
            for name, inner in kind.get("properties", {}).items():
                own = f"{path}.{name}" if path else name
                yield from self._key(name, inner, own, name in required, level)
            if isinstance(kind.get("items"), dict):
                yield from self.sections(kind["items"], f"{path}[]", level)
            if isinstance(kind.get("additionalProperties"), dict):
                name = self.placeholder.get(path, "NAME")
                inner = kind["additionalProperties"]
                yield from self._key(name, inner, f"{path}.{name}", False, level)

    def _key(self, name: str, part: Schema, path: str, required: bool, level: int) -> Iterator[str]:
        whole = self._resolved(part)
        facts = [f"Type: {self._type(whole)}"]
        if required:
            facts.append("Must be there")
        if "default" in whole:
            facts.append(f"Default: {code(whole['default'])}")
        yield f"{'#' * level} `{path}`"
        yield f"**{prose(whole['title'])}.** {prose(whole['description'])}"
        yield "\n".join(f"- {fact}" for fact in facts)
        examples = [
            *whole.get("examples", ()),
            *(
                snippet["body"]
                for snippet in whole.get("defaultSnippets", ())
                if not isinstance(snippet["body"], str)  # one of the values to choose from
            ),
        ]
        if examples:
            yield "\n\n".join(block(name, example) for example in examples)
        yield from self.sections(part, path, min(level + 1, 4))

    def _has_keys(self, kind: Schema) -> bool:
        return bool(kind.get("properties") or isinstance(kind.get("additionalProperties"), dict))

    def _kinds(self, part: Schema, reference: str = "") -> Iterator[tuple[str, Schema]]:
        """What a value may be, one after the other, with the reference that has led there."""
        reference = part.get("$ref", reference)
        whole = self._resolved(part)
        if "anyOf" not in whole:
            yield reference, whole
            return
        for each in whole["anyOf"]:
            yield from self._kinds(each, reference)

    def _resolved(self, part: Schema) -> Schema:
        if "$ref" not in part:
            return part
        name = part["$ref"].rpartition("/")[2]
        return {**self._resolved(self.schema["$defs"][name]), **part}

    def _type(self, part: Schema) -> str:
        kinds = [self._one_type(kind) for _, kind in self._kinds(part)]
        return ", or ".join(dict.fromkeys(kind for kind in kinds if kind != WORDS["null"]))

    def _one_type(self, kind: Schema) -> str:
        if "enum" in kind:
            return "one of " + ", ".join(code(value) for value in kind["enum"])
        if isinstance(kind.get("type"), list):
            return " or ".join(WORDS[each] for each in kind["type"])
        if kind.get("type") == "array":
            return f"a list of: {self._type(kind.get('items', {}))}"
        if "patternErrorMessage" in kind:
            return prose(str(kind["patternErrorMessage"]))
        limits = [words.format(kind[name]) for name, words in BOUNDS.items() if name in kind]
        return ", ".join([WORDS[kind.get("type", "string")], *limits])


def anchor(path: str) -> str:
    """The anchor of a key's heading, as GitHub and the site make it."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "_-")


def manifest_page(schema: Schema) -> str:
    """docs/reference/manifest.md."""
    page = KeysPage(
        schema,
        placeholder={"firmware": "NAME", "groups": "GROUP", "devices": "DEVICE"},
        described={"#/$defs/layer": "devices.DEVICE"},
    )
    parts = [
        "# Every key of a manifest",
        f"{prose(schema['description'])} [The manifest](../manifest.md) tells how the keys play "
        "together; [`schemas/fleet.schema.json`](../../schemas/fleet.schema.json), from which this "
        "page is made, has an editor complete them.",
        "What stands in capitals is a name of your own. Most keys of `devices.DEVICE` may stand in "
        "`defaults` and in `groups.GROUP` as well, and are described once.",
        *page.sections(schema),
    ]
    return "\n\n".join(parts) + "\n"


def config_page(schema: Schema) -> str:
    """docs/reference/config.md."""
    parts = [
        "# Every key of your configuration",
        f"{prose(schema['description'])} [Secrets and your own defaults](../secrets.md) tells "
        "what it is for.",
        *KeysPage(schema).sections(schema),
    ]
    return "\n\n".join(parts) + "\n"
