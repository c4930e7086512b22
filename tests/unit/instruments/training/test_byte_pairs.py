import json
import random

import pytest

from bitskept.instruments.training import byte_pairs

TEXTS = ["the captain told the children", "that the whale had swallowed his ship", "naïve café — 42 ‰ 鯨"] * 5


def test_the_same_text_gives_the_same_tokenizer_in_any_order():
    first = byte_pairs.learn(TEXTS, 300).to_str()
    mixed = TEXTS.copy()
    random.Random(1).shuffle(mixed)
    assert byte_pairs.learn(TEXTS, 300).to_str() == first
    assert byte_pairs.learn(mixed, 300).to_str() == first
    assert len(json.loads(first)["model"]["vocab"]) == 300
    assert byte_pairs.learn(TEXTS, 290).to_str() != first


@pytest.mark.parametrize("text", ["the whale", "never seen: ¿鯨?", "", " two  spaces ", "<masked>", "A </s> <mask>"])
def test_a_text_is_framed_and_comes_back(text):
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 300), 64)
    ids = tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1)
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (2, 3)
    assert tokenizer.decode(ids[1:-1]) == text
    assert not set(ids[1:-1]) & set(tokenizer.all_special_ids)  # also if one is spelt in the text


def test_a_saved_tokenizer_is_the_same_file_as_before(tmp_path):
    byte_pairs.ready(byte_pairs.learn(TEXTS, 300), 64).save_pretrained(tmp_path)
    assert "split_special_tokens" not in (tmp_path / "tokenizer_config.json").read_text("utf-8")
    assert (tmp_path / "tokenizer.json").read_text("utf-8").count("Split") == 0


def test_too_few_types_are_refused():
    with pytest.raises(ValueError, match="at least 260 types, not 259"):
        byte_pairs.learn(TEXTS, 259)


def test_the_held_out_sentences_are_left_out(home, tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(sorted(set(TEXTS))), "utf-8")
    one, other = (byte_pairs.of_corpus(str(path), 280, skipped=skipped, seed=0) for skipped in (0, 2))
    assert one.get_vocab_size() > other.get_vocab_size()  # one sentence repeats less than three do
    kept = {file.name: file.stat().st_mtime_ns for file in (home / "tokenizers").iterdir()}
    assert len(kept) == 2
    assert byte_pairs.of_corpus(str(path), 280, skipped=0, seed=0).to_str() == one.to_str()
    assert {file.name: file.stat().st_mtime_ns for file in (home / "tokenizers").iterdir()} == kept


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: content.replace(b"c", b"d", 1)])
def test_a_damaged_tokenizer_is_set_aside_and_learned_again(home, tmp_path, damage):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(sorted(set(TEXTS))), "utf-8")
    one = byte_pairs.of_corpus(str(path), 300, skipped=0, seed=0).to_str()
    [file] = (home / "tokenizers").glob("*/tokenizer.json")
    assert damage(file.read_bytes()) != file.read_bytes()
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match=r"is damaged \(tokenizer\.json\): set aside"):
        assert byte_pairs.of_corpus(str(path), 300, skipped=0, seed=0).to_str() == one
