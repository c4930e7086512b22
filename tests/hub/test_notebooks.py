"""`measure` and `run 02 03 04` over models from the hub, on a profile of its own, and what a failing model stops."""

import json
import re
from collections import Counter

import families
import numpy as np
import pandas as pd
import pytest
import yaml
from hub import repositories

from bitskept.base import params
from bitskept.instruments.soft_entropy import compression
from bitskept.run.notebooks import SECTIONS
from bitskept.sources.leaderboard import SCORES
from bitskept.studies.bottleneck import preference, section
from bitskept.studies.bottleneck.correlations import REPORTED

PROFILE = "from-hub"
STEMS = ("02_layer_sweep", "03_fine_tuning", "04_ib_correlations")
if repositories.WHOLE:
    MODELS = list(repositories.ON_HUB)
else:  # an encoder, and as many decoders as p-values need
    MODELS = ["deberta-v3-small", "gpt2", "opt-125m", "llama2-7b", "gemma3-270m-full", "qwen2.5-0.5b", "falcon-7b"]
    MODELS += ["phi-1", "pythia-14m"]
SHOWN = list(repositories.FIRST.values()) if repositories.WHOLE else ["deberta-v3-small", "llama2-7b"]
TUNED = ["bert-base", "gpt2", "gemma3-270m-full"] if repositories.WHOLE else ["llama2-7b"]
MISSING = "gpt2@not-there"  # a revision that the hub does not have
DECODERS = [id for id in MODELS if repositories.ON_HUB[id]["kind"] == "decoder"]


@pytest.fixture(scope="module")
def profile(fetched):
    """The place, with a profile that names models of the hub, its text and its data sets, and with a leaderboard."""
    place, done = fetched
    assert done.returncode == 0, done.stderr[-2000:]
    smoke = yaml.safe_load((place.project / "params" / "smoke.yaml").read_text("utf-8"))
    text, terms = {"corpus": str(place.corpus), "longest": 48}, {"accept_terms": repositories.TERMS}
    sections = {stem: smoke[stem] | text | terms for stem in STEMS}
    sizes = {"train_sentences": 40, "validation_sentences": 10, "test_sentences": 10}
    masking = {"masked_model": "deberta-v3-small", "masked_steps": 4, "masked_batch": 4}
    sections["02_layer_sweep"] |= sizes | masking | {"models": SHOWN, "smaller_train_sentences": [20]}
    arms = {"arms": ["recoverability", "continued", "permuted"], "first_rate_arms": [], "rates": [1e-3], "seeds": [0]}
    arms |= {"steps": 2, "checkpoints": [], "dose_tasks": [], "batch": 8}
    sections["03_fine_tuning"] |= {
        "tuning": dict.fromkeys(TUNED, arms), "measuring": dict.fromkeys(TUNED, sizes | {"layers": 3, "items": 20}),
        "tasks": ["stsb"], "data_tasks": ["sst2"], "negatives": 64, "rank": 4,
    }  # fmt: skip
    sections["04_ib_correlations"] |= {
        "models": SHOWN, "more_model": SHOWN[0], "bigram_model": SHOWN[0], "exact_model": SHOWN[-1],
        "correlation_models": [MISSING, repositories.CHECKPOINT, *MODELS],
        "sentences": [20, 40], "more_sentences": [80],
        "bottleneck_types": 30, "anchors": 20, "documents": {str(place.corpus): {"sentences": 30, "longest": 48}},
        "exact_population": 100, "exact_sentences": [20, 40], "exact_repeats": 2,
        "simulated_models": 4, "simulated_positions": 500, "simulated_per_type": [5, 20],
        "preference_longest": families.POSITIONS, "preference_pairs": 5,
    }  # fmt: skip
    (place.project / "params" / f"{PROFILE}.yaml").write_text(yaml.safe_dump(sections), "utf-8")
    rows = []
    for number, id in enumerate(repositories.ON_HUB):  # scores of every second model only
        if number % 2 == 0 or id in DECODERS:
            name, points = repositories.ON_HUB[id]["hub"], {score: 10.0 + number % 40 for score in SCORES.values()}
            rows.append(
                {"fullname": name, "Precision": "bfloat16", "Submission Date": "2024-08-01", "#Params (B)": 1} | points
            )
    (place.data / "leaderboard").mkdir()
    pd.DataFrame(rows).to_csv(place.data / "leaderboard" / "open-llm-leaderboard_new.csv", index=False)
    return place


@pytest.fixture(scope="module")
def measured(profile):
    """The place, after `bitskept measure` of notebook 04; and what that printed. One of the models cannot be had."""
    return profile, profile.bitskept("measure", "--profile", PROFILE, "--notebook", "04")


@pytest.fixture(scope="module")
def ran(measured):
    """The place, after `bitskept run 02 03 04`."""
    place, _ = measured
    lock = repositories.CHECKOUT / "params" / "models.lock"
    before = lock.read_bytes() if lock.exists() else None
    done = place.bitskept("run", "--profile", PROFILE, "02", "03", "04")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (lock.read_bytes() if lock.exists() else None) == before
    return place


def table(place, name):
    return pd.read_csv(place.project / "build" / PROFILE / "results" / f"{name}.csv")


def in_store(place, monkeypatch):
    """The models whose compression and preference information are stored."""
    for name, folder in (("ROOT", place.project), ("HOME", place.home), ("DATA", place.data)):
        monkeypatch.setenv(f"BITSKEPT_{name}", str(folder))
    asked = params.load(PROFILE, SECTIONS)[STEMS[2]]
    compressed = compression.measured(section.plan(asked))
    judged = preference.measured(section.preference_plan(asked))
    assert set(compressed["model"]) == set(judged["model"])
    return set(judged["model"])


def test_a_model_that_the_hub_does_not_have_is_told_and_every_other_is_measured(measured, monkeypatch):
    place, done = measured
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("  04.")]
    assert len(told) == 2, done.stderr
    assert "LOAD REPORT" not in done.stderr
    for line, name in zip(told, ("compression", "preference"), strict=True):
        assert line.startswith(
            f"  04.{name}.{MISSING}: {MISSING}: cannot fetch openai-community/gpt2 at not-there (404"
        )
    assert in_store(place, monkeypatch) == {*MODELS, repositories.CHECKPOINT}


def test_a_dry_run_says_what_it_takes(profile):
    done = profile.bitskept("measure", "--profile", PROFILE, "--notebook", "04", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"on {len({MISSING, repositories.CHECKPOINT, *MODELS, *SHOWN})} models" in done.stdout
    assert "GB to download" in done.stdout


def test_the_commits_are_in_the_projects_own_lock(fetched):
    place, _ = fetched
    commits = json.loads((place.project / "params" / "models.lock").read_text())
    assert {"@".join(repositories.entry_of(id)) for id in repositories.SERVED} <= set(commits)


def test_the_notebooks_show_the_models_of_the_hub(ran):
    assert set(table(ran, "02_retained")["model"]) == set(SHOWN)
    assert set(table(ran, "03_learning")["model"]) == set(TUNED)
    assert set(table(ran, "04_layers")["model"]) == set(SHOWN)
    for stem in STEMS:
        text = (ran.project / "build" / PROFILE / "notebooks" / f"{stem}.ipynb").read_text("utf-8")
        assert '"output_type": "error"' not in text
        assert "Traceback" not in text


def test_the_correlations_are_those_of_the_models_with_a_score(ran):
    whole = table(ran, "04_correlations")
    shown = whole[whole["model"].notna()]
    scored = shown[shown["average"].notna()]
    assert set(scored["model"]) == set(DECODERS)
    assert set(shown["model"]) == {*MODELS, repositories.CHECKPOINT}
    board = pd.read_csv(ran.data / "leaderboard" / "open-llm-leaderboard_new.csv").set_index("fullname")
    for row in scored.itertuples():
        assert row.average == board.loc[repositories.ON_HUB[row.model]["hub"], "Average ⬆️"] / 100
    complexity = scored[scored["quantity"] == "complexity"]
    rank = np.corrcoef(complexity["estimate"].rank(), complexity["average"].rank())[0, 1]
    found = whole[whole["model"].isna()].set_index("quantity").loc["complexity"]
    assert (found["n"], found["estimate"]) == (len(DECODERS), pytest.approx(rank, abs=1e-4))
    assert found["reported"] == -0.38
    claims = table(ran, "04_claims").set_index("claim")
    scores = claims[claims.index.str.contains("goes with a model's benchmark scores")]
    assert set(scores["clusters"]) == {len(DECODERS)}
    assert "not tested" not in set(scores["outcome"])
    notebook = (ran.project / "build" / PROFILE / "notebooks" / f"{STEMS[2]}.ipynb").read_text("utf-8")
    assert "Scores are left out" not in notebook
    if repositories.WHOLE:
        assert len(DECODERS) >= 60
        assert len({families.family_of(id) for id in MODELS}) >= 20


def test_the_figure_names_every_model_with_a_score_and_has_the_papers_coefficients_beside_ours(ran):
    picture = (ran.project / "build" / PROFILE / "figures" / "04_correlations.svg").read_text("utf-8")
    words = Counter(text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", picture))
    rows = table(ran, "04_correlations").dropna(subset=["average", "estimate"])
    known = rows[rows["quantity"].isin(["optimality", "optimality_corrected"])]["model"].value_counts()  # two panels
    assert {id: words[id] for id in known.index} == known.to_dict()
    assert set(known.index) == set(DECODERS)
    assert words["the paper, 47 models"] == words[f"found here, {len(DECODERS)} models"] == 1
    assert all(words[quantity.replace("_", " ")] == 1 for quantity in REPORTED)


# ---- one model that fails ----


def put_broken(folder, name):
    """A folder with a model that cannot be measured, each in another way."""
    path = families.save("llama3", folder / name)
    config = json.loads((path / "config.json").read_text())
    if name == "text-config":  # sizes are a level deeper, as in models for text and images
        inner = families.tiny("gemma3").to_dict()
        config = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": inner,
                  "vision_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                                    "intermediate_size": 16, "image_size": 28, "patch_size": 14}}  # fmt: skip
    elif name == "no-text":
        config = {"model_type": "vit", "architectures": ["ViTModel"]}
    elif name == "unknown":
        config["model_type"] = "from-the-future"
    elif name == "other-sizes":
        config["hidden_size"] = 64
    elif name == "deep":
        (path / "config.json").write_text("[" * 100_000)
        return path
    elif name == "no-tokenizer":
        for file in path.glob("*token*"):
            file.unlink()
    elif name == "cut":
        weights = path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
    elif name == "no-weights":
        (path / "model.safetensors").unlink()
    (path / "config.json").write_text(json.dumps(config))
    return path


BROKEN = ("text-config", "no-text", "unknown", "other-sizes", "deep", "no-tokenizer", "cut", "no-weights")


def test_one_model_that_fails_stops_no_other_whatever_it_raises(measured, tmp_path, monkeypatch):
    """Broken ones come first, so that one that stopped the others would leave the last one unmeasured."""
    place, _ = measured
    broken = [str(put_broken(tmp_path, name)) for name in BROKEN]
    good = str(families.save("qwen2", tmp_path / "good", seed=5))
    done = place.bitskept("measure", "--profile", PROFILE, "--notebook", "04", *broken, good)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("  04.compression.")]
    failed = {name for name in BROKEN if any(f"-{name}:" in line for line in told)}
    assert failed >= set(BROKEN) - {"text-config"}  # which may be supported
    assert "good" not in "".join(told)
    for line in told:
        assert not any(word in line for word in ("AttributeError", "KeyError", "TypeError:")), line
    stored = in_store(place, monkeypatch)
    assert any(name in stored for name in (good, "good"))  # a folder is called by its name or by its path
    assert not [name for name in stored for other in failed if name.endswith(other)]


def test_one_model_that_cannot_be_fetched_stops_no_other(place, tmp_path):
    place.hub.gated[repositories.entry_of("gpt2")[0]] = 403
    try:
        done = place.bitskept("fetch", "gpt2", "pythia-14m@step7", "pythia-14m", BITSKEPT_HOME=str(tmp_path / "home"))
    finally:
        place.hub.forget()
    assert done.returncode == 1
    assert "pythia-14m is here" in done.stdout
    assert "gpt2: accept the licence" in done.stderr
    assert "pythia-14m@step7: cannot fetch" in done.stderr
    assert "Traceback" not in done.stderr
