"""Media files from strangers: one sentence or a film, never a crash, a hang, another file or another host."""

from collections import Counter
from pathlib import Path

import pytest
from command import kineo
from hostile.damage import Case
from hostile.media import corpus, read, sample
from hostile.watch import check_sentence, names, told
from plain_model import only_plain

SECRET = b"nobody asked for this"
FELL = "made its decoder fail"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "secret").write_bytes(SECRET * 1000)
    return corpus(folder, folder / "secret")


def test_there_are_enough_and_each_has_a_name_of_its_own(cases: list[Case]) -> None:
    assert len(cases) >= 1000
    assert max(Counter(case.name for case in cases).values()) == 1
    suffixes = {case.name.rpartition(".")[2] for case in cases}
    assert suffixes >= {"mp4", "mov", "mkv", "webm", "avi", "gif", "png", "jpg", "webp"}


def test_a_sample(cases: list[Case], tmp_path: Path) -> None:
    outcomes = [read(tmp_path, case) for case in sample(cases, 12)]
    assert any(outcome.said for outcome in outcomes)
    assert names(tmp_path) == set()


def test_a_sample_by_the_command(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = only_plain(tmp_path, monkeypatch)
    for number, case in enumerate(sample(cases[5:], 4)):
        (here / case.name).write_bytes(case.make())
        given = ["--video", case.name, "--extend", "0.25"] if number % 2 else ["--image", case.name]
        code = kineo("generate", "a ball", *given, "--model", "plain", "--steps", 1, "-o", f"{number}.mp4")
        said = capsys.readouterr().err
        if code:
            assert code == 2
            check_sentence(said.removeprefix("error: ").removesuffix("\n"), [case.name])
        made = set() if code else {f"{number}.mp4", f"{number}.job.json"}
        assert names(here) == {case.name} | made
        for file in here.iterdir():
            file.unlink()


@pytest.mark.slow
def test_all(cases: list[Case], tmp_path: Path) -> None:
    outcomes = [read(tmp_path, case) for case in cases]
    print(told("media files", outcomes))
    print("decoders that fell:", [outcome.name for outcome in outcomes if FELL in outcome.said])
    print(
        Counter(" ".join(outcome.said.removeprefix(f"'{outcome.name}' ").split()[:4]) for outcome in outcomes)
    )
