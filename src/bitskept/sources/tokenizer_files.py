"""The tokenizer of a model's folder."""

import json
from pathlib import Path
from typing import Any

LOCAL = {"local_files_only": True, "trust_remote_code": False}  # without the second, transformers would ask the user


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder. DeBERTa-v3 publishes a sentencepiece model and nothing else."""
    import transformers

    if (folder / "spm.model").is_file() and not (folder / "tokenizer.json").is_file():
        return _deberta(folder)
    return transformers.AutoTokenizer.from_pretrained(folder, **LOCAL)


def _deberta(folder: Path) -> Any:
    """A tokenizer from `spm.model`, which transformers would read with protobuf, a library that is not needed here."""
    from sentencepiece import SentencePieceProcessor
    from transformers import DebertaV2Tokenizer

    model = SentencePieceProcessor(model_file=str(folder / "spm.model"))
    pieces = [(model.id_to_piece(id), model.get_score(id)) for id in range(model.get_piece_size())]
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    known = {name: value for name, value in settings.items() if name not in ("tokenizer_class", "auto_map")}
    return DebertaV2Tokenizer(vocab=pieces, unk_id=model.unk_id(), **known)
