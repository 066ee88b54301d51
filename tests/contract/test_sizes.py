"""What fits on a few screens stays so: lines of a module, parameters of a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("service", "models", "workers", "migrations", "tests", "benchmarks")
LINES, PARAMETERS = 300, 8

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def functions(
    tree: ast.AST, owner: ast.ClassDef | None = None, outer: str = ""
) -> Iterator[tuple[Function, str, bool]]:
    """Every function, nested ones too: its dotted name, and whether it is a method, whose first parameter does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
            yield node, f"{outer}{node.name}", owner is not None and not static
            yield from functions(node, None, f"{outer}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            if not is_settings(node):
                yield from functions(node, node, f"{outer}{node.name}.")
        else:
            yield from functions(node, owner, outer)


def is_settings(node: ast.ClassDef) -> bool:
    """Settings have as many fields as there is to set, and may be made of all of them."""
    return node.name.endswith("Settings")


def parameters(function: Function, method: bool) -> int:
    """How many there are but for self or cls; *args and **kwargs are not counted, whatever they may hold."""
    given = function.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - method


def too_many(source: str, name: str) -> list[str]:
    return [
        f"{name}:{function.lineno} {called} has {count} parameters, more than {PARAMETERS}"
        for function, called, method in functions(ast.parse(source))
        if (count := parameters(function, method)) > PARAMETERS
    ]


def test_there_are_modules_in_every_folder() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(FOLDERS)


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    counted = {path: len(path.read_text().splitlines()) for path in modules()}
    long = [f"{path.relative_to(ROOT)} has {count} lines" for path, count in counted.items() if count > LINES]
    assert not long, f"More than {LINES} lines; split by subject:\n" + "\n".join(long)


def test_no_function_takes_more_than_eight_parameters() -> None:
    found = [line for path in modules() for line in too_many(path.read_text(), str(path.relative_to(ROOT)))]
    assert not found, "Group what belongs together in a value type:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b, /, c, d, e, *, f, g, h, i): ...",
        "async def f(a, b, c, d, e, f, g, h, i): ...",
        "class A:\n    def f(self, a, b, c, d, e, f, g, h, *, i): ...",
        "class A:\n    @staticmethod\n    def f(a, b, c, d, e, f, g, h, i): ...",
        "class A:\n    if True:\n        def f(self, a, b, c, d, e, f, g, h, i): ...",
        "def outer():\n    def f(a, b, c, d, e, f, g, h, i): ...",
    ],
)
def test_nine_are_found_wherever_they_stand(source: str) -> None:
    (found,) = too_many(source, "file.py")
    assert "f has 9 parameters" in found


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b, /, c, d, e, *args, f, g, h, **kwargs): ...",
        "class A:\n    def f(self, a, b, c, d, e, f, g, h): ...",
        "class A:\n    @classmethod\n    def f(cls, a, b, c, d, e, f, g, h): ...",
        "class ServerSettings:\n    def __init__(self, a, b, c, d, e, f, g, h, i): ...",
    ],
)
def test_eight_and_the_settings_of_a_class_of_settings_are_not(source: str) -> None:
    assert too_many(source, "file.py") == []
