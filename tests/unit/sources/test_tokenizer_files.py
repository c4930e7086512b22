"""DeBERTa-v3's tokenizer is a sentencepiece model: it cuts a text as sentencepiece does, between [CLS] and [SEP]."""

import families
import pytest
from sentencepiece import SentencePieceProcessor

from bitskept.sources.tokenizer_files import read_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return families.save("deberta-v2", tmp_path_factory.mktemp("deberta") / "model")


@pytest.mark.parametrize("text", [*families.SENTENCES, "Unlocked cats sat on 3,750 mats."])
def test_a_sentencepiece_model_cuts_as_sentencepiece_does(folder, text):
    tokenizer, model = read_tokenizer(folder), SentencePieceProcessor(model_file=str(folder / "spm.model"))
    start, end = model.piece_to_id("[CLS]"), model.piece_to_id("[SEP]")
    assert tokenizer(text)["input_ids"] == [start, *model.encode(text), end]


def test_its_mask_is_added_after_the_pieces_and_its_other_special_tokens_are_pieces(folder):
    tokenizer, model = read_tokenizer(folder), SentencePieceProcessor(model_file=str(folder / "spm.model"))
    assert tokenizer.mask_token_id == model.get_piece_size()
    assert tokenizer.pad_token_id == model.piece_to_id("[PAD]")
    assert tokenizer.unk_token_id == model.unk_id()
