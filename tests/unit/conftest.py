import pytest


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """Jobs run where the test can see them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_PROCESSES", "1")
        yield
