import logging

import pytest

from bitskept.sources.model_checks import heard
from bitskept.sources.packages import SourceError

LOG = logging.getLogger("transformers.modeling_utils")


@pytest.mark.parametrize(
    "message",
    [
        "This checkpoint seem corrupted. The tied weights mapping for this model specifies to tie a to b",
        "The tied weights mapping says so, but both are present with different values, so we will NOT tie them",
        "Could not reorder vocab using converter for X due to Y. Falling back to raw SentencePiece extraction.",
    ],
)
def test_what_transformers_only_logs_is_an_error(message):
    with pytest.raises(SourceError, match=r"the model is read only in part .*get a complete copy"), heard("the model"):
        LOG.warning(message)


@pytest.mark.parametrize("message", ["BertModel LOAD REPORT: newly initialized", "an old name is used"])
def test_what_says_nothing_of_the_files_is_no_error(message):
    number = len(logging.getLogger("transformers").handlers)
    with heard("the model"):
        LOG.warning(message)
    assert len(logging.getLogger("transformers").handlers) == number
