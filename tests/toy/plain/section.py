"""The parameters of three notebooks without a figure."""

from bitskept.base.params import Section


class Failing(Section):
    notebook = "01_failing"

    seed: int


class Dying(Section):
    notebook = "02_dying"

    seed: int


class Waiting(Section):
    notebook = "03_waiting"

    seed: int
