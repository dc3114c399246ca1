"""The source runs no text and no file as code, starts no shell and calls no other machine.

It is parsed, so that docstrings may speak of all that. What is looked up by text that is put together at run
time is not found.
"""

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    *(ROOT / "src").rglob("*.py"),
    *(ROOT / "benchmarks").rglob("*.py"),
    *(ROOT / "docs").glob("*.py"),
]
RUNS_FILES = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"),
    *("torch.load", "torch.save", "torch.hub", "torch.package", "torch.jit.load", "torch.serialization"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "runpy", "pandas.read_pickle"),
}
RUNS_TEXT = {"eval", "exec", "__import__", "builtins.eval", "builtins.exec", "builtins.__import__", "code"}
RUNS_SHELL = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "pty",
    "commands",
}
CALLS_OUT = {
    *("urllib", "urllib3", "requests", "httpx", "aiohttp", "http", "socket", "ssl", "ftplib", "smtplib"),
    *("telnetlib", "xmlrpc", "websockets", "huggingface_hub", "multiprocessing.connection.Client"),
}
FORBIDDEN = RUNS_FILES | RUNS_TEXT | RUNS_SHELL | CALLS_OUT
SWITCHES = ("shell", "trust_remote_code", "allow_pickle")  # that may not be anything but False
# A server listens, it does not call; nothing else may know of sockets.
MEANT: dict[str, set[str]] = {
    "src/kineograph/serving": {"http", "socket"},
    "benchmarks/mnist.py": {"http.client", "urllib.request"},  # images, whose hash is checked
}


def faults(source: str, allowed: frozenset[str] = frozenset()) -> list[str]:
    """What is forbidden in a source text, each with its line."""
    tree = ast.parse(source)
    names = imported(tree)
    found = [fault for node in ast.walk(tree) for fault in faults_of(node, names)]
    return [f"line {line}: {name}" for line, name in found if not within(name, allowed)]


def imported(tree: ast.AST) -> dict[str, str]:
    """What the names that a module imports stand for."""
    names = {name: name for name in ("eval", "exec", "__import__")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: whole(alias) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def whole(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.split(".")[0]


def faults_of(node: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names if within(alias.name, FORBIDDEN))
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        paths = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from ((node.lineno, path) for path in paths if within(path, FORBIDDEN))
    elif isinstance(node, ast.Name | ast.Attribute):
        path = dotted(node, names)
        if path in FORBIDDEN:
            yield node.lineno, path
    elif isinstance(node, ast.Call):
        yield from switched_on(node)


def switched_on(call: ast.Call) -> Iterator[tuple[int, str]]:
    for keyword in call.keywords:
        off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg in SWITCHES and not off:
            yield call.lineno, keyword.arg
    if isinstance(call.func, ast.Name) and call.func.id == "compile":
        yield call.lineno, "compile"


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`torch.hub.load` of the expression, by what its first name stands for; empty for what is no such."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (before := dotted(node.value, names)):
        return f"{before}.{node.attr}"
    return ""


def within(path: str, roots: set[str] | frozenset[str]) -> bool:
    """Whether a dotted name is one of `roots`, or of something in them."""
    parts = path.split(".")
    return any(".".join(parts[:count]) in roots for count in range(1, len(parts) + 1))


def test_nothing_that_could_do_harm() -> None:
    found = {}
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        meant = [names for folder, names in MEANT.items() if place.startswith(folder)]
        found[place] = faults(path.read_text(encoding="utf-8"), frozenset().union(*meant))
    assert {place: lines for place, lines in found.items() if lines} == {}


BAD = [
    "import pickle",
    "import pickle as p",
    "from pickle import loads",
    "def f():\n    import cloudpickle",
    "import torch\ntorch.load('a')",
    "import torch as t\nt.save({}, 'a')",
    "from torch import load as read",
    "from torch.hub import load",
    "import torch\nread = torch.load",
    "import torch\ntorch.hub.load('a', 'b')",
    "import torch.serialization",
    "eval('1')",
    "exec('1')",
    "run = exec",
    "import builtins\nbuiltins.eval('1')",
    "from builtins import exec as run",
    "compile('1', 'a', 'eval')",
    "__import__('os')",
    "import os\nos.system('ls')",
    "from os import popen",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "from subprocess import Popen\nPopen('ls', shell=1)",
    "from subprocess import getoutput",
    "model(trust_remote_code=True)",
    "def f(trust):\n    model(trust_remote_code=trust)",
    "import numpy as np\nnp.load('a', allow_pickle=True)",
    "import yaml\nyaml.load('a')",
    "from yaml import unsafe_load",
    "import runpy",
    "import urllib.request",
    "from urllib import request",
    "import requests",
    "import socket",
    "from http.client import HTTPConnection",
    "from huggingface_hub import snapshot_download",
    "from multiprocessing.connection import Client",
]
GOOD = [
    "'pickle, eval(x), torch.load, shell=True'",
    "import torch\nmodel = torch.compile(model).eval()",
    "network.eval()",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "requests = [1]\nprint(requests)",
    "from kineograph.generation import load",
    "config.compile = True",
    "import yaml\nyaml.safe_load('a')",
    "from multiprocessing.connection import Connection",
]


@pytest.mark.parametrize("source", BAD)
def test_the_check_bites(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize("source", GOOD)
def test_the_check_bites_nothing_else(source: str) -> None:
    assert faults(source) == []


def test_a_server_may_know_of_sockets_and_of_nothing_more() -> None:
    allowed = frozenset(MEANT["src/kineograph/serving"])
    assert faults("import socket\nimport http.server", allowed) == []
    assert faults("import pickle\nimport urllib.request", allowed)


def test_what_is_looked_for_is_there_to_be_found() -> None:
    assert len(SOURCES) > 100
    assert {"eval", "exec", "__import__", "compile"} <= set(dir(builtins))
