# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading YAML and JSON that people and other programs write, with one clear line where it is not what it should be.

What is read is plain data: text, numbers, lists and mappings. Dates and the like stay text, and `2e-3`, which YAML 1.1
takes for text, is the number that it looks like.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from yaml.composer import ComposerError

from hasrd.errors import UserError, first_line

Kind = TypeVar("Kind")

# Of a configuration, counting what an alias repeats: more is a mistake or an attack.
MAX_NODES = 1_000_000
MAX_DEPTH = 100
# A number of YAML 1.2 that is text in YAML 1.1, which wants a point and a sign: 2e-3, 1.5e3.
FLOAT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
# Bytes of a file that is read whole.
MAX_BYTES = 256 * 2**20


class _Loader(yaml.SafeLoader):
    """Safe, without dates, and with the floats of YAML 1.2. Not the parser in C, which deep nesting crashes."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node; deep nesting is refused at once, as the time that it takes grows with its square."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, f"nested more than {MAX_DEPTH} deep", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789"))


def parse_yaml(text: str, where: str | Path) -> Any:
    """Return what YAML text says.

    Args:
        text: One document.
        where: The file, or the option, for messages.

    Raises:
        UserError: Not YAML, nested more than 100 deep, more than a million values (aliases counted as often as they are
            used), or a number too large.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, where)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = error.problem or error.context or first_line(error)
        raise UserError(f"{where}{line}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError) as error:
        raise UserError(f"{where}: not valid YAML: {first_line(error)}") from None
    except RecursionError:
        raise UserError(f"{where}: not valid YAML: nested too deeply") from None


def _measure(root: yaml.Node, where: str | Path) -> None:
    """Refuse a document whose values would be too many with all aliases written out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise UserError(f"{where}:{node.start_mark.line + 1}: not valid YAML: an alias that contains itself")
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.SequenceNode):
            total += sum(size(item) for item in node.value)
        elif isinstance(node, yaml.MappingNode):
            total += sum(size(key) + size(value) for key, value in node.value)
        open_nodes.remove(id(node))
        if total > MAX_NODES:
            raise UserError(f"{where}: not valid YAML: more than {MAX_NODES} values")
        sizes[id(node)] = total
        return total

    size(root)


def read_yaml(path: str | Path, kind: type[Kind] = dict, advice: str = "") -> Kind:
    """Read a YAML file.

    Args:
        path: UTF-8 text.
        kind: What it must hold: a mapping, or any type that msgspec can check (a dataclass, a TypedDict, list[int]).
        advice: What to do where it is missing or not as it should be.

    Returns:
        The content, an empty mapping for an empty file.

    Raises:
        UserError: No such file, not UTF-8, not YAML, or another content.
    """
    content = parse_yaml(_text(path, advice), path)
    return check({} if content is None and kind is dict else content, kind, path, advice)


def read_json(path: str | Path, kind: type[Kind] = dict, advice: str = "") -> Kind:
    """Read a JSON file; args, result and errors as of `read_yaml`."""
    return check(parse_json(_text(path, advice), path, advice), kind, path, advice)


def parse_json(text: str | bytes, where: str | Path, advice: str = "") -> Any:
    """Return what JSON text says; UserError for what is no JSON, NaN and numbers beyond 64 bits among it."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise UserError(_line(where, f"not JSON ({first_line(error)})", advice)) from None


def check(content: Any, kind: type[Kind], where: str | Path, advice: str = "") -> Kind:
    """Return `content` as `kind`.

    Raises:
        UserError: It is another type, or a value in it is; says which.
    """
    if kind is dict and not isinstance(content, dict):
        raise UserError(_line(where, f"expected names with values, found a {type(content).__name__}", advice))
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UserError(_line(where, f"not what is needed here: {first_line(error)}", advice)) from None


def parse_count(text: str) -> int | None:
    """Return the whole number that text says; None for all but 1 to 18 digits, which a 64-bit number holds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _whole(text: str) -> int:
    # More than any program but Python's reads.
    if len(text) > 20:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)


def _text(path: str | Path, advice: str) -> str:
    path = Path(path)
    try:
        # Also from a pipe, which has no size (`--config <(...)`).
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(_line(path, f"larger than {MAX_BYTES // 2**20} MiB", advice))
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(_line(path, "no such file", advice)) from None
    except UnicodeDecodeError:
        raise UserError(_line(path, "not UTF-8 text", advice)) from None
    except OSError as error:
        raise UserError(_line(path, f"cannot be read ({error.strerror})", advice)) from None


def _line(where: str | Path, what: str, advice: str) -> str:
    return f"{where}: {what}" + (f": {advice}" if advice else "")
