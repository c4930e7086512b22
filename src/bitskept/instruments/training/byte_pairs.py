"""One tokenizer for all twins: byte-level byte-pair encoding (Sennrich et al. 2016), learned from a corpus."""

from collections.abc import Iterable
from importlib.metadata import version

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from bitskept.base import store
from bitskept.base.files import locked, set_aside
from bitskept.instruments.training.stored_runs import write_sealed
from bitskept.sources import corpora
from bitskept.sources.seals import broken

VERSION = 1
"""Raise it when the same text would give another tokenizer."""
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
FILE = "tokenizer.json"
SENTENCES = 100_000
"""The most sentences used to learn a tokenizer."""


def learn(texts: Iterable[str], types: int) -> Tokenizer:
    """A tokenizer of at most `types` types, among them the 256 bytes and four special ones, that writes a text as
    `<s> ... </s>`.

    The same texts give the same tokenizer, in any order. ValueError if there are too few types for all bytes.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if types < (fewest := len(alphabet) + len(SPECIAL)):
        raise ValueError(f"a byte-level tokenizer needs at least {fewest} types, not {types}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    options = {"special_tokens": list(SPECIAL.values()), "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=types, min_frequency=2, **options))
    start, end = SPECIAL["bos_token"], SPECIAL["eos_token"]
    frame = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A {end}", special_tokens=frame)
    return tokenizer


def ready(tokenizer: Tokenizer, longest: int) -> transformers.PreTrainedTokenizerFast:
    """The tokenizer in the form that models use, for texts of at most `longest` tokens. A special token that is spelt
    in a text is text.
    """
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **SPECIAL)
    tokenizer.split_special_tokens = True
    return tokenizer


def digest(corpus: str, types: int, *, skipped: int, seed: int) -> str:
    """The digest that identifies the tokenizer of a corpus: of the text, and of how it is learned."""
    key = {"text": corpora.fingerprint(corpus), "types": types, "skipped": skipped, "seed": seed}
    return store.digest("byte_pairs", VERSION, key | {"tokenizers": version("tokenizers")})[:12]


def of_corpus(corpus: str, types: int, *, skipped: int, seed: int) -> Tokenizer:
    """The tokenizer of a corpus without its first `skipped` sentences in the order drawn by `seed`; it is stored in
    BITSKEPT_HOME/tokenizers. Errors as `corpora.load` and `learn`.
    """
    target = store.home() / "tokenizers" / digest(corpus, types, skipped=skipped, seed=seed)
    if not target.exists() or broken(target):
        with locked(target, f"the tokenizer of {corpus}"):
            if wrong := broken(target):
                set_aside(target, f"is damaged ({', '.join(wrong)})")
            if not target.exists():  # no other process has learned it meanwhile
                texts = corpora.load(corpus, seed=seed)["text"][skipped : skipped + SENTENCES]
                write_sealed(target, lambda folder: learn(texts, types).save(str(folder / FILE)))
    return Tokenizer.from_file(str(target / FILE))
