"""The path from a hub to the disk: what is fetched, what a broken network does, and what is refused in which words."""

import json
import os

import huggingface_hub
import pytest
from hub import repositories

from bitskept.sources import hub, model_files, models, tasks
from bitskept.sources.packages import SourceError

ID = "pythia-14m"
REPOSITORY, _ = repositories.entry_of(ID)
FILE = "GET /storage/"  # a large one


@pytest.fixture
def online(place, tmp_path, monkeypatch):
    """The place with an empty home and no lock of commits, entered by this process, whose client asks the hub."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        for spelling in (name, name.upper()):
            monkeypatch.delenv(spelling, raising=False)
    project = tmp_path / "project"
    (project / "params").mkdir(parents=True)
    for path in (place.project / "params").glob("*.yaml"):
        (project / "params" / path.name).write_bytes(path.read_bytes())
    for name, path in (("ROOT", project), ("HOME", tmp_path / "home"), ("DATA", tmp_path)):
        monkeypatch.setenv(f"BITSKEPT_{name}", str(path))
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", place.hub.address)
    template = place.hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    huggingface_hub.close_session()
    place.hub.forget()
    yield place
    place.hub.forget()
    huggingface_hub.close_session()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client would have waited; it does not."""
    found = []
    for module in ("huggingface_hub.utils._http", "huggingface_hub.file_download"):
        monkeypatch.setattr(f"{module}.time.sleep", found.append)
    return found


def asked(place, part):
    return [request for request in place.hub.requests if part in " ".join(request[:2])]


# ---- what is fetched ----


def test_a_model_is_fetched_once_and_then_without_the_hub(online, monkeypatch):
    folder = model_files.fetch(ID)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert not names & {"README.md", "pytorch_model.bin", "onnx", "original"}
    assert not [request for request in asked(online, "pytorch_model") if request[0] == "GET"]
    online.hub.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert model_files.fetch(ID, verify=True) == folder
    assert len(model_files.fingerprint(ID)) == 16
    assert [row["here"] for row in model_files.catalogue() if row["id"] == ID] == ["yes"]
    assert online.hub.requests == []


def test_the_commit_of_the_first_fetch_is_used_from_then_on(online, tmp_path):
    first = model_files.fetch(ID)
    lock = tmp_path / "project" / "params" / "models.lock"
    assert json.loads(lock.read_text()) == {f"{REPOSITORY}@main": first.name}
    path = online.hub.place(REPOSITORY) / "config.json"
    before = path.read_text()
    try:
        path.write_text(before + "\n")  # the branch has moved on
        assert model_files.fetch(ID) == first
        lock.unlink()
        assert model_files.fetch(ID) != first
    finally:
        path.write_text(before)


def test_a_checkpoint_is_another_model_than_the_main_branch(online):
    repositories.put_model(online.hub, "pythia-70m")
    main, early = (models.load(id) for id in ("pythia-70m", repositories.CHECKPOINT))
    assert main.fingerprint != early.fingerprint
    assert (main.embeddings != early.embeddings).any()
    assert early.id == repositories.CHECKPOINT


def test_shards_are_fetched_as_their_index_names_them(online):
    folder = model_files.fetch("llama2-7b", accept_terms=["llama2"])
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert {path.name for path in folder.glob("*.safetensors")} == set(index["weight_map"].values())
    assert len(set(index["weight_map"].values())) == 2


def test_a_file_that_changed_on_the_disk_is_named(online):
    path = model_files.fetch(ID) / "model.safetensors"
    content = path.read_bytes()
    path.resolve().write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SourceError, match=r"pythia-14m is damaged \(model\.safetensors\): remove"):
        models.load(ID)


def test_data_sets_are_fetched(online):
    assert len(tasks.similarity("stsb")) > 50
    assert set(tasks.classification("sst2")[0]["label"]) <= {0, 1}
    assert len(tasks.preference("hh-harmless", seed=0)) > 50
    online.hub.requests.clear()
    assert len(tasks.similarity("stsb")) > 50
    assert online.hub.requests == []


def test_a_corpus_is_read_from_the_hub(place, tmp_path, monkeypatch):
    """By `datasets`, in a process whose whole environment is the hub's."""
    home = tmp_path / "home"
    done = place.bitskept("fetch", "wikitext", BITSKEPT_HOME=str(home))
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = (home / "text").glob("Salesforce--wikitext-wikitext-2-v1-*.txt")
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 80
    assert lines[0] == repositories.sentences(1)[0]
    online = len(place.hub.requests)
    assert place.bitskept("fetch", "wikitext", BITSKEPT_HOME=str(home)).returncode == 0
    assert len(place.hub.requests) == online


# ---- a network that fails for a while ----


def starts(place):
    """Where in a large file each request for it began."""
    ranges = [part or "bytes=0-" for _, _, part in asked(place, FILE)]
    return [int(part.removeprefix("bytes=").removesuffix("-")) for part in ranges]


@pytest.fixture
def small_parts(monkeypatch):
    """The client keeps what has arrived in parts of 10 MB, and loses a part that is not whole."""
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)


@pytest.mark.usefixtures("small_parts", "waits")
def test_a_download_that_breaks_off_goes_on_where_it_stopped(online):
    online.hub.fail(FILE, 0, times=2)
    folder = model_files.fetch(ID, verify=True)
    first, second, third = starts(online)
    assert first == 0 < second < third < (folder / "model.safetensors").stat().st_size


@pytest.mark.usefixtures("waits")
def test_a_download_that_failed_goes_on_with_the_next_call(online):
    """File by file: the client keeps those that are whole, and of the others nothing."""
    online.hub.fail(FILE, 0, times=1)
    online.hub.fail(FILE, 503)
    with pytest.raises(SourceError, match=rf"{ID}: cannot fetch {REPOSITORY} at main \(.*503"):
        model_files.fetch(ID)
    assert hub.snapshot(repositories.ON_HUB[ID]) is None
    online.hub.forget()
    model_files.fetch(ID, verify=True)
    assert starts(online) == [0]
    assert not [request for request in asked(online, "resolve") if request[0] == "GET" and "json" in request[1]]


def test_a_busy_hub_is_asked_again_after_the_time_that_it_names(online, waits):
    online.hub.fail(rf"GET /api/models/{REPOSITORY}/revision", 429, times=1, Retry_After=7)
    online.hub.fail(FILE, 429, times=1, Retry_After=3)
    model_files.fetch(ID, verify=True)
    assert {7, 3} <= {round(seconds) - 1 for seconds in waits}  # and a second more, for rounding


@pytest.mark.parametrize("pattern", [r"GET /api/models/\S+/revision", "/tree/", r"HEAD \S+config\.json", r"HEAD "])
def test_a_hub_that_is_down_for_a_moment_is_asked_again(online, waits, pattern):
    online.hub.fail(pattern, 503, times=1)
    model_files.fetch(ID, verify=True)
    assert online.hub.faults[0].times == 0


@pytest.mark.parametrize("pattern", ["/api/models", "/tree/", "HEAD ", FILE, "."])
def test_a_hub_that_stays_down_is_told_in_a_sentence(online, waits, pattern):
    online.hub.fail(pattern, 503)
    with pytest.raises(SourceError) as error:
        model_files.fetch(ID)
    message = str(error.value)
    assert message.startswith(f"{ID}: cannot fetch {REPOSITORY} at main (")
    assert "503" in message
    assert f"run `bitskept fetch {ID}` with a network, or put its files" in message
    assert "\n" not in message


# ---- what is refused ----


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_is_refused_with_the_way_to_it(online, status):
    online.hub.gated[REPOSITORY] = status
    with pytest.raises(SourceError, match=f"{ID}: accept the licence of {REPOSITORY} on its page, then run `hf auth"):
        model_files.fetch(ID)


@pytest.mark.parametrize("status", [401, 404])
def test_a_repository_that_is_gone_is_told(online, status):
    """The hub answers 401, not 404, to who is not logged in: it does not say which private repositories there are."""
    online.hub.fail(f"/{REPOSITORY}/", status, X_Error_Code="RepoNotFound")
    with pytest.raises(SourceError, match=rf"{ID}: cannot fetch {REPOSITORY} at main \({status} Client Error"):
        model_files.fetch(ID)


def test_a_revision_that_is_not_there_is_told(online):
    with pytest.raises(SourceError, match=rf"cannot fetch {REPOSITORY} at step7 \(404 Client Error"):
        model_files.fetch(f"{ID}@step7")


def test_pickled_weights_are_refused_before_anything_is_fetched(online):
    folder = online.hub.place("someone/pickled")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "config.json").write_text("{}")
    entry = {"hub": "someone/pickled", "revision": "main", "parameters": 1}
    with pytest.raises(SourceError, match="someone/pickled at main has no safetensors file, and pickled weights are"):
        hub.download("pickled", entry)
    assert not asked(online, "resolve")


def test_the_checkouts_own_lock_is_not_touched(place):
    path = repositories.CHECKOUT / "params" / "models.lock"
    assert not path.exists() or "127.0.0.1" not in path.read_text()
    assert os.environ.get("HF_HUB_OFFLINE") == "1"


# ---- which files ----


def repository(online, name, files):
    """A repository with these files, by their path, beside those of a small one; its entry."""
    place = online.hub.place(f"someone/{name}")
    for path in online.hub.place(REPOSITORY).iterdir():
        if path.is_file() and path.suffix not in (".safetensors", ".bin"):
            (place / path.name).write_bytes(path.read_bytes())
    for path, content in files.items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_bytes(content)
    return {"hub": f"someone/{name}", "revision": "main", "parameters": 1}


def index(*names):
    return json.dumps({"metadata": {}, "weight_map": {f"w{place}": name for place, name in enumerate(names)}}).encode()


SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FORMATS = {
    "other precisions and formats": (
        {SINGLE: b"1", "model.fp16.safetensors": b"2", "consolidated.safetensors": b"3", "onnx/model.onnx": b"4",
         "original/model.safetensors": b"5", "tokenizer/tokenizer.json": b"{}", "._model.safetensors": b"6"},
        {SINGLE},
    ),
    "one file and shards": ({SINGLE: b"1", INDEX: index("a.safetensors"), "a.safetensors": b"2"}, {SINGLE}),
    "shards and others": (
        {INDEX: index("a.safetensors", "b.safetensors"), "a.safetensors": b"1", "b.safetensors": b"2",
         "c.safetensors": b"3", "model.fp16.safetensors.index.json": index("c.safetensors")},
        {INDEX, "a.safetensors", "b.safetensors"},
    ),
    "shards in a folder": ({INDEX: index("parts/a.safetensors"), "parts/a.safetensors": b"1"},
                           {INDEX, "parts/a.safetensors"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_only_the_weights_that_are_loaded_are_fetched(online, kind):
    files, wanted = FORMATS[kind]
    entry = repository(online, f"formats-{list(FORMATS).index(kind)}", files)
    folder = hub.download("formats", entry)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in found if "safetensors" in name} == wanted
    assert {"config.json", "tokenizer.json"} <= found
    assert hub.snapshot(entry) == folder
    assert hub.broken(folder) == []
    last = folder / sorted(wanted - {INDEX})[-1]
    last.resolve().write_bytes(b"damage")
    assert hub.broken(folder) == [last]
    last.unlink()
    assert hub.snapshot(entry) is None


def test_a_shard_that_the_repository_lacks_and_an_adapter_are_refused_in_words(online):
    entry = repository(online, "shard", {INDEX: index("a.safetensors", "b.safetensors"), "a.safetensors": b"1"})
    with pytest.raises(SourceError, match=r"shard: someone/shard at main has no b\.safetensors, and other files"):
        hub.download("shard", entry)
    entry = repository(online, "only", {"consolidated.safetensors": b"1"})
    with pytest.raises(SourceError, match=r"only: someone/only at main has no model\.safetensors, and other files"):
        hub.download("only", entry)
    entry = repository(online, "adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"1"})
    with pytest.raises(SourceError, match=r"adapter: someone/adapter at main holds an adapter \(adapter_con"):
        hub.download("adapter", entry)


@pytest.mark.usefixtures("waits")
def test_what_is_missing_on_the_hub_and_what_is_busy_is_said(online):
    entry = repository(online, "known", {SINGLE: b"1"})
    online.hub.place("someone/else")
    with pytest.raises(SourceError, match=r"\(404 .*no such repository, or a private one\): correct its name"):
        hub.download("missing", entry | {"hub": "someone/missing"})
    with pytest.raises(SourceError, match=r"known at v9 \(404 .*no such revision\): name a branch, a tag or a commit"):
        hub.download("known", entry | {"revision": "v9"})
    for status in (429, 503):
        online.hub.fail("GET /api/models", status)
        with pytest.raises(SourceError, match=rf"known at main \(.*{status}.*\): wait some minutes, and run `bitskept"):
            hub.download("known", entry)
        online.hub.faults.clear()
    assert hub.download("known", entry) == hub.snapshot(entry)
