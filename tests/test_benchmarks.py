"""The benchmarks: what is counted, how it is timed, and that the page holds what was measured."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import save_shaken

from benchmarks import digits, long, process, report, setup, side_by_side, steps, streaming
from benchmarks.__main__ import PARTS, main
from benchmarks.report import Row
from benchmarks.timing import QUICK, Effort, Measured, flops_of, in_turn, measure
from kineograph import catalog
from kineograph.errors import OutputError, RequestError
from kineograph.models.layers import attend
from kineograph.sampling.settings import Sampling

TWICE = Measured(seconds=2.0, runs=3, gemm=1e9, flops=5e8)


# Counting and timing


@settings(max_examples=10, deadline=None)
@given(*[st.integers(1, 40)] * 3)
def test_a_product_has_two_operations_a_term(rows, inner, columns):
    one, other = torch.ones(rows, inner), torch.ones(inner, columns)
    assert flops_of(lambda: one @ other) == 2 * rows * inner * columns


def test_attention_is_counted_as_its_two_products():
    q, k, v = torch.randn(3, 2, 8, 4, 16).unbind()
    products = 2 * (2 * 2 * 4 * 8 * 8 * 16)
    assert flops_of(lambda: attend(q, k, v)) == products
    assert flops_of(lambda: F.scaled_dot_product_attention(q.mT, k.mT, v.mT)) > 0


@pytest.mark.parametrize(("seconds", "runs"), [(0.0, 2), (1e9, 5)])
def test_jobs_take_turns_after_a_first_round(seconds, runs):
    order = []
    jobs = {name: lambda name=name: order.append(name) for name in "ab"}
    spent = in_turn(jobs, Effort(least=2, most=5, seconds=seconds, matrix=8))
    assert order == ["a", "b"] * (1 + runs)
    assert {name: len(times) for name, times in spent.items()} == {"a": runs, "b": runs}


def test_the_yardstick_against_itself_is_about_one():
    side = 256
    a = torch.randn(side, side)
    found = measure({"same": lambda: a @ a, "other": lambda: None}, QUICK, {"same": 2 * side**3})
    assert found["same"].gemm == found["other"].gemm > 0
    assert found["same"].share > 0
    assert found["other"].share is None


def test_speed_and_share_follow_from_the_seconds():
    assert (TWICE.speed, TWICE.share) == (2.5e8, 0.25)


def test_the_peak_of_a_process_is_its_own():
    """Neither that of a large parent nor without that of what it runs."""
    ballast = bytearray(b"1") * 300_000_000

    def peak(code):
        call = [sys.executable, process.__file__, sys.executable, "-c", code]
        return float(subprocess.run(call, capture_output=True, check=True).stdout)  # noqa: S603

    small, large = peak(""), peak("bytearray(b'1') * 100_000_000")
    assert small < 100 < large < small + 150
    del ballast


# The page


def test_the_page_and_json_hold_what_was_measured():
    rows = [Row("quick", TWICE, 4, "clips", "a note", ratio=1.5), Row("slow", None, note="not installed")]
    found, on = {"generating": rows}, report.conditions(QUICK)
    page = report.page(found, {"generating": "About it."}, on, 0.5)
    (line,) = [line for line in page.splitlines() if line.startswith("| quick")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["quick", "2.00 s", "2 clips/s", "0.2", "25%", "1.50", "3", "a note"]
    assert "peak MB" not in page
    assert "not installed" in page
    assert "mean nothing" in page
    first, second = json.loads(report.as_json(found, on, 0.5))["parts"]["generating"]
    assert (first["rate"], first["share"], first["measured"]["seconds"]) == (2.0, 0.25, 2.0)
    assert second["measured"] is None


def test_every_part_says_what_it_is():
    assert all(part.about for part in PARTS.values())


# Side by side


@pytest.mark.parametrize(
    ("ratio", "share", "reached"), [(1.3, 0.1, True), (1.0, 0.7, True), (1.29, 0.69, False)]
)
def test_the_aim(ratio, share, reached):
    assert side_by_side.reaches(Measured(1.0, 3, 1e9, share * 1e9), ratio) == reached


def test_both_networks_do_as_much(tmp_path):
    """Also at a size for which the width was not chosen by hand."""
    pytest.importorskip("diffusers")
    config = setup.quick(tmp_path).recipe.denoiser
    networks = side_by_side.networks_alike(config)
    assert len(networks) == 2
    for backward in (False, True):
        done = side_by_side.Pass(networks, config, 2, backward).flops.values()
        assert max(done) <= (1 + side_by_side.ALIKE) * min(done)


# Long clips


def clip_of(frames):
    sharp = np.array([long.sharpness(frame) for frame in frames])
    return long.Long(len(frames) / 8, 100.0, 1.0, 8.0, sharp, frames.mean(axis=(1, 2)))


def test_a_clip_that_blurs_and_darkens_is_told():
    rng = np.random.default_rng(0)
    steady = rng.integers(60, 200, (64, 16, 16, 3), np.uint8)
    faded = (steady * np.linspace(1, 0.5, 64)[:, None, None, None]).astype(np.uint8)
    kept, lost = clip_of(steady), clip_of(faded)
    assert kept.sharpness_kept == pytest.approx(1, abs=0.03)
    assert kept.color_drift < 0.02
    assert lost.sharpness_kept == pytest.approx(0.57, abs=0.05)
    assert lost.color_drift > 0.15


@pytest.mark.slow
def test_long_clips_end_to_end(tmp_path):
    model = setup.quick(tmp_path).model
    (tmp_path / "docs").mkdir()
    long.main(seconds=(0.25, 1.5), model=str(model), report=tmp_path / "docs" / "long.md")
    page = (tmp_path / "docs" / "long.md").read_text()
    assert "| 0.25 s" in page
    assert "| 1.5 s" in page
    assert (tmp_path / "docs" / "images" / long.PICTURE).stat().st_size > 1000


# The command


def test_a_model_takes_fewer_steps(tmp_path):
    save_shaken(tmp_path / "model")
    model = catalog.load(str(tmp_path / "model"))
    ways = steps.ways_of(model.at(Sampling(8, 2.0)))
    page = steps.page(list(steps.measured(ways, 2, steps.SHOWN[:1], QUICK)), 2)
    assert re.search(r"\| passes through the network +\| 16 +\| 94 +\| 10 +\|", page)
    assert f"{steps.SHOWN[0].name}: all" in page
    ways = steps.ways_of(model.at(Sampling(6, 2.0)))
    assert [way.spec.sampling.steps for way in ways.values()] == [6, 24, 4]
    ways = steps.ways_of(model.at(Sampling(36, 2.0, shift=3.0)))
    assert [way.spec.sampling.steps for way in ways.values()] == [18, 36, 12]
    assert [way.spec.sampling.shift for way in ways.values()] == [3.0, 1.0, 3.0]
    assert [way.spec.sampling.solver for way in ways.values()] == ["euler", "heun", "euler"]
    with pytest.raises(RequestError, match="too few"):
        steps.ways_of(model)


def test_where_nothing_can_be_written_nothing_is_measured(tmp_path):
    with pytest.raises(OutputError):
        main(quick=True, report=tmp_path / "none" / "page.md")


@pytest.mark.slow
def test_the_work_of_kept_codes_grows_with_their_number_and_without_keeping_them_with_its_square():
    counts = (4, 8, 16)
    work = streaming.works(counts, Effort(least=1, most=1, seconds=0.0, matrix=8))
    kept, again = ([w.kept[0] for w in work], [w.again[0] for w in work])
    assert (kept[2] - kept[1]) / (kept[1] - kept[0]) == pytest.approx(2, rel=0.05)
    assert (again[2] - again[1]) / (again[1] - again[0]) > 2.5
    assert again[2] > kept[2]
    assert again[0] > kept[0]


def test_what_is_no_recurrent_model_streams_nothing(tmp_path):
    save_shaken(tmp_path / "model")
    with pytest.raises(RequestError, match="give a model of the family rnn"):
        streaming.main(model=str(tmp_path / "model"))


def test_predictions_are_scored_as_published():
    """One pixel off by its whole range in each of ten frames is an error of 1 a frame."""
    clips = np.zeros((2, digits.FRAMES, 16, 16), np.uint8)
    made = clips[:, digits.GIVEN :].astype(float)
    made[:, :, 3, 5] = 255
    found = digits.scores_of(made, clips)
    assert (found.mse, found.mae) == pytest.approx((1.0, 1.0))
    assert found.ssim < 1
    made[:, :, 3, 5] = 127.5
    assert digits.scores_of(made, clips).mse == pytest.approx(0.25)
    assert digits.scores_of(made, clips).mae == pytest.approx(0.5)


@pytest.mark.slow
def test_families_learn_digits(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 255, (10_000, 28, 28), np.uint8)
    header = np.array([2051, 10_000, 28, 28], ">u4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + images.tobytes())
    asked = {"digits": tmp_path, "minutes": 0.05, "tokenizer_minutes": 0.05, "clips": 4}
    asked |= {"presets": ("gan", "convlstm"), "out": tmp_path / "runs", "report": tmp_path / "digits.md"}
    for _ in range(2):
        digits.main(**asked)
    page = (tmp_path / "digits.md").read_text()
    with pytest.raises(RequestError, match="holds a contest on other terms: keep them"):
        digits.main(**asked | {"clips": 5})
    assert capsys.readouterr().out == (page + "\n") * 2
    assert all(f"| {name} " in page for name in ("gan", "convlstm", "holding the last frame", "PredRNN v2"))


@pytest.mark.slow
def test_the_command_measures_every_part(tmp_path, capsys):
    main(quick=True, json=tmp_path / "figures.json", report=tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert capsys.readouterr().out == page + "\n"
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures["parts"]) == list(PARTS)
    assert all(row["measured"] or row["note"] for rows in figures["parts"].values() for row in rows)
    assert {path.name for path in Path(tmp_path).iterdir()} == {"figures.json", "page.md"}
