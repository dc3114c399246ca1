"""`kineo evaluate`: what it writes and prints, how it is interrupted, and how it refuses."""

import json
from pathlib import Path

import pytest
from command import kineo, refusal
from tiny_models import save_shaken

from kineograph.evaluation import facts
from kineograph.evaluation.facts import Facts, Stage
from kineograph.media.probe import probe
from kineograph.models.diffusion import Diffusion

STAGE = Stage("tokenizer", 1.0, 100, 8.0, "psnr", ((0.0, 10.0), (99.0, 20.0)))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to work in, with a tiny model without training that fills few canvases, so that it is soon
    measured, and facts of a training that it never had."""
    save_shaken(tmp_path / "tiny")
    config = json.loads((tmp_path / "tiny" / "config.json").read_text())
    few = json.dumps(config | {"abilities": ["image", "inpainting"]})
    (tmp_path / "tiny" / "config.json").write_text(few)
    facts.write(tmp_path / "tiny", Facts("playground", 6, 20, 1, "a slow machine", (STAGE,)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_report_is_written_and_printed(here, capsys):
    pytest.importorskip("matplotlib")
    assert kineo("evaluate", "tiny", "--clips", 4, "--report", "new/report", "--json") == 0
    printed, said = capsys.readouterr()
    out = here / "new" / "report"
    assert names(out) == {"README.md", "report.json", "sheet.png", "curves.png"}
    assert json.loads(printed) == json.loads((out / "report.json").read_text())
    assert json.loads(printed)["spec"]["name"] == "tiny"
    assert "minutes left" in said
    card = (out / "README.md").read_text()
    assert card.startswith("# tiny")
    assert "](sheet.png)" in card
    assert "](curves.png)" in card
    claim = json.loads(probe(out / "sheet.png").metadata["comment"])
    assert claim["model"] == "tiny"
    assert claim.get("seed") is None


def test_another_number_of_steps_is_measured_at_that_setting(capsys):
    def measured(*options):
        assert kineo("evaluate", "tiny", "--clips", 4, "--json", *options) == 0
        return json.loads(capsys.readouterr().out)

    own, other = measured(), measured("--steps", 2)
    assert other["spec"]["sampling"]["steps"] == 2
    assert other["cost"]["evaluations"] < own["cost"]["evaluations"]
    assert other["spec"]["sampling"]["guidance"] == own["spec"]["sampling"]["guidance"]


REFUSED = {
    "no step": ["tiny", "--steps", 0],
    "too few clips": ["tiny", "--clips", 2],
    "too many clips": ["tiny", "--clips", 5000],
    "half a clip": ["tiny", "--clips", 4.5],
    "unknown model": ["tin"],
    "no model": ["file"],
    "one word too many": ["tiny", "twice"],
    "a report into a file": ["tiny", "--report", "file"],
    "a report below a file": ["tiny", "--report", "file/report"],
    "damaged weights": ["damaged", "--report", "report"],
    "damaged facts": ["forged", "--report", "report"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused_at_once(arguments, here, capsys):
    """Nothing is measured and no folder is made."""
    (here / "file").touch()
    for name in ("damaged", "forged"):
        save_shaken(here / name)
    weights = here / "damaged" / "flow.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (here / "forged" / facts.FILE).write_text('{"preset": 3}')
    before = names(here)
    assert kineo("evaluate", *arguments) == 2
    assert refusal(capsys)
    assert names(here) == before


def test_an_interrupt_leaves_the_older_report(here, capsys, monkeypatch):
    def interrupted(self, latents):
        raise KeyboardInterrupt

    Path("report").mkdir()
    Path("report", "report.json").write_text("older")
    monkeypatch.setattr(Diffusion, "decode", interrupted)
    assert kineo("evaluate", "tiny", "--clips", 4, "--report", "report") == 130
    assert "interrupted" in refusal(capsys)
    assert names(here / "report") == {"report.json"}
    assert Path("report", "report.json").read_text() == "older"
