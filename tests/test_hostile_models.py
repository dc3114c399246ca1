"""Model folders, records, manifests and checkpoints from strangers: one sentence, or what they say."""

import json
import random
import resource
import shutil
import unicodedata
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from families import FAMILIES
from hostile.models import SEED, Wrong, harmed, wrong_models
from hostile.values import wrong_json
from hostile.watch import Outcome, attempt, names, told
from plain_model import SPEC
from tiny_models import shaken

from kineograph import catalog
from kineograph.batch.folder import Manifest, is_done, others, read
from kineograph.batch.orders import Order
from kineograph.generation import generate
from kineograph.provenance.claim import Job, claim_of, job_of
from kineograph.request import Keyframe, Request, Walk
from kineograph.training import recipes

MOST_MEMORY = 4_000_000  # kilobytes


def save_sound(family: str, folder: Path) -> Path:
    networks = shaken(FAMILIES[family].networks())
    FAMILIES[family].save(folder / "sound", networks)
    return folder / "sound"


# Models


def use(folder: Path) -> None:
    """Describe it, load it and make a frame."""
    about = catalog.describe(str(folder))
    shown = (about.name, about.family, *about.abilities, *about.vocabulary, *about.card.split())
    assert not any(unicodedata.category(letter) in ("Cc", "Cf") for word in shown for letter in word)
    request = Request("a red ball", model=str(folder), frames=1, steps=1)
    for _ in generate(request, catalog.load(str(folder))):
        pass


def tried(sound: Path, wrong: Wrong, place: Path) -> Outcome:
    folder = harmed(sound, wrong, place / "model")
    there = names(place)
    try:
        outcome = attempt(wrong.name, lambda: use(folder), typed=[str(folder)])
        assert names(place) == there
    finally:
        shutil.rmtree(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_MEMORY, wrong.name
    return outcome


def test_a_sound_model_is_taken(tmp_path: Path) -> None:
    sound = save_sound("gan", tmp_path)
    assert not attempt("sound", lambda: use(sound)).said


def test_a_sample_of_models(tmp_path: Path) -> None:
    sound = save_sound("diffusion", tmp_path)
    cases = wrong_models(sound, most=60)
    draw = random.Random(SEED)
    outcomes = [tried(sound, wrong, tmp_path / "place") for wrong in draw.sample(cases, 25)]
    assert any(outcome.said for outcome in outcomes)


ALL_TAKING = {
    "networks.denoiser.width": 30_000,
    "networks.denoiser.depth": 10**6,
    "window": 10**6,
    "height": 10**6,
}


@pytest.mark.parametrize("setting", ALL_TAKING)
def test_a_config_can_not_take_all_memory_or_time(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path)  # else it may take as much as these
    sound = save_sound("diffusion", tmp_path)
    config = json.loads((sound / "config.json").read_text())
    at, (*path, last) = config, setting.split(".")
    for name in path:
        at = at[name]
    at[last] = ALL_TAKING[setting]
    (sound / "config.json").write_text(json.dumps(config))
    assert attempt(setting, lambda: use(sound), typed=[str(sound)]).said


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_all_models(family: str, tmp_path: Path) -> None:
    sound = save_sound(family, tmp_path)
    cases = wrong_models(sound, most=200)
    print(told(f"models, {family}", [tried(sound, wrong, tmp_path / "place") for wrong in cases]))


# Records


def sound_job(folder: Path) -> Job:
    (folder / "a.png").write_bytes(b"a picture")
    images = (Keyframe(str(folder / "a.png"), 0.5),)
    request = Request("a red ball", images=images, walk=Walk("a blue ball", 3, 0.5), size=(64, 48), seed=3)
    return job_of(request, SPEC)


def take_job(text: str) -> None:
    job = Job.from_json(text)
    claim_of(job).to_json()
    job.check_inputs()


def jobs_tried(cases: list[tuple[str, bytes]], folder: Path) -> list[Outcome]:
    texts = {what: data.decode("utf-8", "replace") for what, data in cases}
    return [attempt(f"job: {what}", partial(take_job, text), [str(folder)]) for what, text in texts.items()]


def test_job_records(tmp_path: Path) -> None:
    job = sound_job(tmp_path)
    assert not attempt("sound", lambda: take_job(job.to_json())).said
    cases = list(wrong_json(json.loads(job.to_json())))
    outcomes = jobs_tried(random.Random(SEED).sample(cases, 150), tmp_path)
    assert sum(bool(outcome.said) for outcome in outcomes) > 50


@pytest.mark.slow
def test_all_job_records(tmp_path: Path) -> None:
    cases = list(wrong_json(json.loads(sound_job(tmp_path).to_json())))
    print(told("job records", jobs_tried(cases, tmp_path)))


ORDER = Order(1, "a", ".mp4", Request("a red ball"), "hash")
MANIFEST = Manifest(
    status="made",
    row=1,
    name="a",
    file="a.mp4",
    sha256="sum",
    hash="hash",
    request={"prompt": "a red ball"},
    model="tiny",
    weights_hash="sum",
    frames=9,
    width=64,
    height=48,
    fps=8.0,
    seconds=0.5,
    evaluations=4,
    notes=("note",),
)


def take_manifest(out: Path) -> None:
    found = read(out, "a")
    assert found is None or not is_done(out, ORDER, found)
    others(out, set())


def manifests_tried(out: Path, cases: list[tuple[str, bytes]]) -> list[Outcome]:
    (out / "a.mp4").write_bytes(b"a clip")
    outcomes = []
    for what, data in cases:
        (out / "a.json").write_bytes(data)
        outcomes.append(attempt(f"manifest: {what}", partial(take_manifest, out), [str(out)]))
    assert names(out) == {"a.mp4", "a.json"}
    return outcomes


def test_a_sample_of_manifests(tmp_path: Path) -> None:
    cases = random.Random(SEED).sample(list(wrong_json(asdict(MANIFEST))), 100)
    assert any(outcome.said for outcome in manifests_tried(tmp_path, cases))


@pytest.mark.slow
def test_all_manifests(tmp_path: Path) -> None:
    print(told("manifests", manifests_tried(tmp_path, list(wrong_json(asdict(MANIFEST))))))


def test_recipes(tmp_path: Path) -> None:
    recipes.keep(recipes.named(next(iter(recipes.PRESETS))), tmp_path)
    sound = json.loads((tmp_path / "recipe.json").read_text())
    outcomes = []
    for what, data in random.Random(SEED).sample(list(wrong_json(sound)), 40):
        (tmp_path / "recipe.json").write_bytes(data)
        outcomes.append(attempt(f"recipe: {what}", lambda: recipes.kept(tmp_path), [str(tmp_path)]))
    assert sum(bool(outcome.said) for outcome in outcomes) > 10
