"""The public names: there, lazy, and the same for people as for type checkers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kineograph


@pytest.mark.parametrize("name", kineograph.__all__)
def test_every_public_name_is_there(name):
    assert getattr(kineograph, name) is not None
    assert name in dir(kineograph)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(kineograph.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    homes = {name: f"kineograph.{home}" for name, home in kineograph._HOMES.items()}
    assert seen == homes
    assert {"__version__", *homes} == set(kineograph.__all__)


def test_no_public_name_is_a_submodule():
    """Importing a submodule would put it in the place of the name."""
    folder = Path(kineograph.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    assert not modules & set(kineograph.__all__)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="genrate"):
        _ = kineograph.genrate


def test_importing_does_nothing_else():
    code = "import sys, kineograph; print(*sorted(m for m in sys.modules if m.split('.')[0] in "
    code += "('torch', 'numpy', 'av', 'PIL', 'kineograph')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["kineograph"]


def test_the_version_is_the_one_that_is_installed():
    from importlib.metadata import version

    assert version("kineograph") == kineograph.__version__
