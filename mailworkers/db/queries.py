"""The SQL of the project, read from files: one statement a file, named by its folder and verb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DEFAULT_SCHEMA = "mailworkers"
_SCHEMA_WORD = re.compile(rf"\b{DEFAULT_SCHEMA}\b")  # not the roles: mailworkers_app is another word
_COMMENT_LINE = re.compile(r"^\s*--.*\n", re.MULTILINE)


@cache
def sql_folder() -> Path:
    """Where `sql/` lies: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_sql"
    return inside if inside.is_dir() else package.parent / "sql"


def in_schema(sql: str, schema: str) -> str:
    """The same SQL for another schema. The files name the schema literally, so that psql can run them as they are.

    Args:
        sql: text that names the schema `mailworkers`.
        schema: an identifier that needs no quotes (settings hold it to that).
    """
    return sql if schema == DEFAULT_SCHEMA else _SCHEMA_WORD.sub(schema, sql)


class Queries:
    """`queries["queue/claim"]` is the text of `sql/queries/queue/claim.sql`, without its comments, for one schema."""

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        self.schema = schema
        root = sql_folder() / "queries"
        self._texts = {
            path.relative_to(root).with_suffix("").as_posix(): in_schema(
                _COMMENT_LINE.sub("", path.read_text(encoding="utf-8")), schema
            ).strip()
            for path in sorted(root.rglob("*.sql"))
        }

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)
